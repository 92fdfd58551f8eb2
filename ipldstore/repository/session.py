"""Sessions: a branch as a store that is written to, and committed."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.errors import (
    DetachedStoreError,
    IPLDStoreError,
    NoChangesError,
    ReadOnlyStoreError,
    SessionEndedError,
)
from ipldstore.faces import IPLDStore
from ipldstore.formats.cidobject import CID
from ipldstore.journals.steps import OPEN, Step
from ipldstore.model.merging import Resolve, check_resolve
from ipldstore.repository.committing import About, Begun, Committing
from ipldstore.repository.journaling import Journals, fresh
from ipldstore.repository.shared import SharedWriter, say_alone
from ipldstore.repository.versions import Versions
from ipldstore.store.writer import Writer, find_own, note_own, restore, share
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES

if TYPE_CHECKING:
    from types import TracebackType

_NO_SESSION = "this copy of a session cannot commit: {} the session that repo.writable() returned"
_LEFT = (
    "session.commit(message) keeps them, or write within `with repo.writable(branch, "
    "message=...) as session:`"
)


class SessionWriter(SharedWriter):
    """A hierarchy that is changed to be committed to a branch."""

    how_to_keep = _LEFT

    def __init__(
        self,
        versions: Versions,
        first: Step,
        about: About,
        resolve: Resolve | None,
        session: str | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        super().__init__(versions.blocks, first, session=session, cache_bytes=cache_bytes)
        begun = Begun(first.commit, first.base)
        self.versions = versions
        self.committing = Committing(versions, first.branch, begun)
        check_resolve(resolve)
        self.about = about
        self.resolve = resolve
        self._turn = Guard()

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.can_share:
            return _restore_alone, share(self)
        self.open_journals()
        note_own(self)
        resolve = self.resolve if isinstance(self.resolve, str) else None
        what = (self.versions, self.first, self.about, resolve, self.session, self.cache_bytes)
        return attach, what

    def note_handed_out(self, root: Link) -> None:
        """Leave it that changes are lost with the session: to know their root is no commit."""

    def commit(self, about: About, resolve: Resolve | None) -> Link:
        """Commit what is there now; see `Session.commit`."""
        with self._turn():
            self.record_late()
            if self.journals is None or not self.journals.is_at_last():
                self.refresh()
            if self.journals is None:
                return self._commit(about, resolve)
            return self._commit_all(self.journals, about, resolve)

    def _commit_all(self, journals: Journals, about: About, resolve: Resolve | None) -> Link:
        """Commit what all processes wrote till now; who writes after that is refused."""
        begun = self.committing.begun
        had_all: NoChangesError | None = None
        with self.closed(journals):
            self.check_joined()
            self.committing.tries = journals
            try:
                self._commit(about, resolve)
            except NoChangesError as error:
                if self.committing.begun == begun:
                    raise
                had_all = error
            finally:
                self.committing.tries = None
            tip, root = self.committing.begun
            first = replace(self.first, commit=tip, base=root, root=root, **fresh())
            self.end(journals, first)
        if had_all is not None:
            raise had_all
        assert tip is not None
        return tip

    def _commit(self, about: About, resolve: Resolve | None) -> Link:
        root = self.freeze()
        try:
            made = self.committing.commit(root, about, resolve)
        except NoChangesError:  # the branch has all of it
            super().note_handed_out(root)
            raise
        super().note_handed_out(root)
        return made.commit


class Session(IPLDStore):
    """A branch that is written to, as a mapping and Zarr store, and committed.

    `Repository.writable` makes it. Leaving ``with`` commits what changed, unless there is an
    exception; what was written is still in the session then, to be committed or left.
    """

    @property
    def id(self) -> str:
        """The name of the session, by which other processes go on with it: `Repository.resume`.

        It is another one after each commit. Raises `DetachedStoreError` where the block store
        keeps no journals, so that the session is of one process.
        """
        writer = self._session
        if not writer.can_share:
            raise DetachedStoreError(
                f"a session on {self.blocks!r} is of one process: keep the repository in a folder, "
                "an SQLite database or a bucket for others to write in it"
            )
        writer.open_journals()
        return writer.session

    @property
    def branch(self) -> str:
        """The branch that is committed to."""
        return self._session.committing.branch

    @property
    def base(self) -> CID | None:
        """The commit that this began from, or the last one that it made; None if none."""
        commit = self._session.committing.begun.commit
        return None if commit is None else CID(commit)

    @property
    def _session(self) -> SessionWriter:
        writer = self._writer
        if isinstance(writer, SessionWriter) and not writer.is_detached:
            return writer
        if writer.is_detached:
            raise DetachedStoreError(_NO_SESSION.format("it is in another process than"))
        raise ReadOnlyStoreError(_NO_SESSION.format("merge() a fork into"))

    def commit(
        self,
        message: str | None = None,
        *,
        author: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        time: datetime | None = None,
        resolve: Resolve | None = None,
    ) -> CID:
        """Commit all that changed, as one version.

        If others committed to the branch meanwhile, the changes are merged onto theirs. The session
        goes on with what it has, and does not show what others did, as arrays that are open could
        write over it; `Repository.writable` begins one that does.

        Parameters
        ----------
        message
            What changed, and why. What is None here is as `Repository.writable` was told.
        author
            Who changed it; else the environment variable ``IPLDSTORE_AUTHOR``, or nobody.
        metadata
            More to say of the version, as JSON or IPLD values, without links.
        time
            When it was made, with its zone; else now. With a given time the same commit can be made
            again.
        resolve
            What is done about conflicts: ``"ours"`` or ``"theirs"``, where ours is what this
            session has, or a function that is called with each `Conflict` and returns one of
            the two, or None to leave it.

        Returns
        -------
        CID
            The commit.

        Raises
        ------
        NoChangesError
            If the branch has nothing to gain.
        CommitConflictError
            If others changed the same in another way; the session is as it was.
        RefError
            If the branch is not there any more.
        InvalidNodeError
            If the message, the author or the metadata cannot be kept.
        BackendError, BlockNotFoundError
            If blocks cannot be kept or are gone, as in `freeze`, or the branch cannot be moved;
            committing again does not commit twice.
        """
        self._check_writable()
        session = self._session
        given = session.about
        about = About(
            given.message if message is None else message,
            given.author if author is None else author,
            given.metadata if metadata is None else metadata,
            given.time if time is None else time,
        )
        return CID(session.commit(about, session.resolve if resolve is None else resolve))

    def abandon(self) -> None:
        """Let what is not committed go, also what other processes wrote in the session."""
        if isinstance(self._writer, SessionWriter):
            self._session.drop()
        else:
            super().abandon()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what changed, but not after an exception: the session can be gone on with then."""
        if error is not None:
            # what went wrong first is what counts
            with suppress(IPLDStoreError):
                self._session.keep_changes()
        elif not self.read_only:
            with suppress(NoChangesError):
                self.commit()


def begin(
    versions: Versions, branch: str, begun: Begun, about: About, resolve: Resolve | None
) -> Session:
    """Begin a session."""
    return _begin(versions, branch, begun, begun.root, about, resolve)


def begin_empty(versions: Versions, branch: str, begun: Begun, about: About) -> Session | None:
    """Begin a session that has nothing of what the branch has, which it is to take the place of.

    None where the block store keeps no journals, so that nobody could go on with it.
    """
    session = _begin(versions, branch, begun, None, about, None)
    return session if session._session.can_share else None


def _begin(
    versions: Versions,
    branch: str,
    begun: Begun,
    root: Link | None,
    about: About,
    resolve: Resolve | None,
) -> Session:
    first = Step(
        kind=OPEN,
        repository=versions.name,
        branch=branch,
        commit=begun.commit,
        base=begun.root,
        root=root,
        message=about.message,
        **fresh(),
    )
    return Session._view(SessionWriter(versions, first, about, resolve), read_only=False)


def _restore_alone(
    token: str,
    blocks: ContentAddressableStore,
    root: Link | None,
    cache_bytes: int,
    home: tuple[int, str] | None,
) -> Writer:
    """Do as `restore`; elsewhere the copy says that the session is of one process."""
    writer = restore(token, blocks, root, cache_bytes, home)
    writer.why_detached = say_alone(blocks)
    return writer


_MOST_ATTACHED = 8
_attached: OrderedDict[tuple[int, str], SessionWriter] = OrderedDict()
_attaching = Guard()


def attach(
    versions: Versions,
    first: Step,
    about: About,
    resolve: Resolve | None,
    session: str,
    cache_bytes: int,
) -> SessionWriter:
    """Return the writer of this process in a session, with all that others wrote till now."""
    writer = find_own(session)
    if not isinstance(writer, SessionWriter):
        place = os.getpid(), session
        with _attaching():
            writer = _attached.get(place)
            if writer is None:
                writer = SessionWriter(versions, first, about, resolve, session, cache_bytes)
                _attached[place] = writer
                while len(_attached) > _MOST_ATTACHED:
                    _attached.popitem(last=False)
    with suppress(SessionEndedError):
        writer.open_journals()
        writer.refresh()
    return writer
