"""What a ``put`` onto a branch wrote so far, noted in a session that another one goes on with.

The session is a note and not what is committed: that is a hierarchy of its own, which is written
whole each time, so that sources which changed meanwhile, or two processes that go on with one
session, make no mixture. Blocks that are there are not written again.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic

from ipldstore.basics.locks import Guard
from ipldstore.cid import Link
from ipldstore.cli.frame.output import say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.errors import (
    IPLDStoreError,
    RefError,
    RevisionError,
    SessionEndedError,
)
from ipldstore.repository.committing import About, Begun
from ipldstore.repository.repository import Repository
from ipldstore.repository.session import Session, begin_empty
from ipldstore.repository.unfinished import Unfinished
from ipldstore.repository.versions import Versions
from ipldstore.tree.documents import Document

_MOST_NAMED = 20
_MOST_UNNOTED, _SECONDS = 500, 1.0


def describe_put(sources: Sequence[str], concat: str | None, into: str) -> str:
    """Return what the session of a ``put`` is called, which no other sources share."""
    words = list(sources)
    if len(words) > _MOST_NAMED:
        digest = hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()
        words = [words[0], "...", words[-1], f"({len(words)} sources, {digest[:16]})"]
    words += [] if concat is None else ["--concat", concat]
    words += ["--into", into] if into else []
    text = shlex.join(["put", *words])
    return text.encode(errors="backslashreplace").decode()


class Noted:
    """The session in which a ``put`` notes what it wrote.

    One that is new is let go where the sources are at fault, as nobody could go on with it.
    """

    def __init__(self, repo: Repository, session: Session, *, is_new: bool) -> None:
        self._repo = repo
        self._is_new = is_new
        self._session = session
        self.id = session.id
        self._writer = session._session
        self._entries: dict[str, Link | Document] = {}
        self._noted_at = monotonic()
        self._lock = Guard()

    def note(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Note that a value was written, with others at once, as each note takes its time."""
        with self._lock():
            self._entries["/".join(segments)] = entry
            is_due = len(self._entries) >= _MOST_UNNOTED or monotonic() > self._noted_at + _SECONDS
        if is_due:
            self._flush()

    def _flush(self) -> None:
        with self._lock():
            entries, self._entries = self._entries, {}
            self._noted_at = monotonic()
        self._writer.insert_all(entries)

    def finish(self) -> None:
        """Let the session go, once all is committed, unless another process did."""
        with suppress(RefError, SessionEndedError):
            self._repo.abandon(self.id)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have an error say how to go on."""
        try:
            yield
        except CommandError:
            if self._is_new:
                self.finish()
            raise
        except SessionEndedError as error:
            error.add_note("run the command without --resume to begin anew")
            raise
        except Exception as error:
            error.add_note(self.hint)
            raise
        except KeyboardInterrupt:
            with suppress(IPLDStoreError):
                self._flush()
            raise
        finally:
            self._writer.unfrozen.clear()

    @property
    def hint(self) -> str:
        """How to go on."""
        return f"run the command again with --resume {self.id} to go on"


def begin_noting(repo: Repository, branch: str, what: str) -> Noted | None:
    """Begin a session, and say which there are of the same; None where no journals are kept."""
    versions = Versions(repo.blocks, repo.name)
    state = versions.read()[1]
    tip = state.branches.get(branch)
    begun = Begun(tip, versions.root_of(state, tip))
    session = begin_empty(versions, branch, begun, About(what))
    if session is None:
        return None
    with suppress(IPLDStoreError):  # a damaged session of somebody else is no reason to fail
        for one in repo.sessions():
            if (one.branch, one.message) == (branch, what):
                say(
                    f"a put of the same was not finished, unless it is still at work: --resume "
                    f"{one.id} goes on with it, `ipldstore abandon {one.id}` lets it go"
                )
    return Noted(repo, session, is_new=True)


def resume_noting(repo: Repository, branch: str, what: str, session: str) -> Noted:
    """Go on with the session of a ``put`` that was interrupted.

    Raises `RevisionError` if there is none, and `CommandError` if it is one of something else.
    """
    found = _find(repo, session)
    if found.message != what:
        raise CommandError(
            f"session {session!r} is of {found.message!r}, and this is {what!r}: name the same "
            "sources and options in the same way, or leave out --resume"
        )
    if found.branch != branch:
        raise CommandError(
            f"session {session!r} is of branch {found.branch!r}: say --branch {found.branch}"
        )
    try:
        return Noted(repo, repo.resume(session), is_new=False)
    except (RefError, SessionEndedError):
        raise _not_there(session) from None


def _find(repo: Repository, session: str) -> Unfinished:
    for one in repo.sessions():
        if one.id == session:
            return one
    raise _not_there(session)


def _not_there(session: str) -> RevisionError:
    return RevisionError(
        f"there is no session {session!r} that is not committed: `ipldstore sessions` lists them, "
        "and without --resume the command begins anew"
    )
