"""``ipldstore sessions`` and ``ipldstore abandon``: what is written and not committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipldstore.basics.words import printable, size_text
from ipldstore.cli.frame.output import count_text
from ipldstore.cli.tools.repositories import opened_repository, time_fact, time_text
from ipldstore.errors import RefError, RevisionError
from ipldstore.repository.unfinished import Unfinished
from ipldstore.views.ancestry import first_line


def iter_sessions(where: str, repository: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate the unfinished sessions as facts and as lines, the oldest first."""
    with opened_repository(where, repository) as repo:
        for one in repo.sessions():
            yield session_facts(one), session_line(one)


def abandon_session(where: str, repository: str, session: str) -> tuple[dict[str, Any], str]:
    """Let a session go; return what it was as facts and as a line.

    `RevisionError` if there is none.
    """
    with opened_repository(where, repository) as repo:
        try:
            known = repo.abandon(session)
        except RefError:
            raise RevisionError(
                f"there is no session {session!r} that is not committed, or not any more: "
                "`ipldstore sessions` lists them"
            ) from None
    if known is None:
        return {**dict.fromkeys(_FACTS), "id": session}, f"{session}  damaged"
    return session_facts(known), session_line(known)


_FACTS = ("id", "branch", "base", "message", "begun", "last", "writers", "bytes")


def session_facts(one: Unfinished) -> dict[str, Any]:
    """Return a session as JSON has it."""
    return {
        "id": one.id,
        "branch": one.branch,
        "base": None if one.base is None else str(one.base),
        "message": one.message,
        "begun": time_fact(one.begun),
        "last": time_fact(one.last),
        "writers": one.writers,
        "bytes": one.size,
    }


def session_line(one: Unfinished) -> str:
    """Return a session as a line."""
    writers = count_text(one.writers, "writer")
    line = f"{time_text(one.last)}  {one.id}  {printable(one.branch)}  {writers}"
    return f"{line}  {size_text(one.size)}  {first_line(one.message)}".rstrip()
