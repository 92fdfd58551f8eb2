"""Sessions that are not committed: found, gone on with, and let go."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ipldstore.blockstore.abilities import KeepsJournals
from ipldstore.errors import (
    InvalidCIDError,
    InvalidNameError,
    InvalidNodeError,
    RefError,
    SessionEndedError,
)
from ipldstore.formats.cidobject import CID
from ipldstore.journals.steps import CLOSED, OPEN, Step
from ipldstore.model.merging import Resolve
from ipldstore.repository.committing import About
from ipldstore.repository.journaling import Journals, iter_unfinished
from ipldstore.repository.log import time_of
from ipldstore.repository.versions import Versions

if TYPE_CHECKING:
    from ipldstore.repository.session import Session


@dataclass(frozen=True)
class Unfinished:
    """A session in which something was written that is not committed yet.

    Attributes
    ----------
    id : str
        Its name, for `Repository.resume` and `Repository.abandon`.
    branch : str
        The branch that it is to be committed to.
    base : CID or None
        The commit that it began from.
    message : str
        What it was begun with.
    begun, last : datetime
        When it was begun, and when it was written to last, by the clocks of who wrote, in UTC.
    writers : int
        How many processes wrote.
    size : int
        Bytes in their journals; a chunk takes about a hundred.
    """

    id: str
    branch: str
    base: CID | None
    message: str
    begun: datetime
    last: datetime
    writers: int
    size: int


def list_sessions(versions: Versions) -> list[Unfinished]:
    """Return the unfinished sessions of a repository, the oldest first."""
    if not isinstance(versions.blocks, KeepsJournals):
        return []
    found = [
        _describe(journals)
        for journals in iter_unfinished(versions.blocks)
        if journals.step.repository == versions.name
    ]
    return sorted(found, key=lambda one: one.begun)


def resume(
    versions: Versions, session: str, about: About, resolve: Resolve | None, *, keeps_message: bool
) -> Session:
    """Go on with a session, whatever became of the processes that wrote in it."""
    from ipldstore.repository.session import Session, SessionWriter

    journals, step = _enter(versions, session)
    first = journals.step
    if keeps_message:
        about = replace(about, message=first.message)
    writer = SessionWriter(versions, first, about, resolve, session)
    writer.journals = journals
    writer.refresh()
    if step.kind == CLOSED:
        journals.reopen()
        writer.begin_again()
    return Session._view(writer, read_only=False)


def abandon(versions: Versions, session: str) -> Unfinished | None:
    """Remove what was written in a session, also a damaged one; return what is known of it."""
    try:
        journals, _ = _enter(versions, session)
    except (InvalidNodeError, InvalidCIDError):
        assert isinstance(versions.blocks, KeepsJournals)
        Journals(versions.blocks, session).remove()
        return None
    known = _describe(journals)
    journals.let_go()
    return known


def _describe(journals: Journals) -> Unfinished:
    one = journals.describe()
    return Unfinished(
        id=one.session,
        branch=one.step.branch,
        base=None if one.step.commit is None else CID(one.step.commit),
        message=one.step.message,
        begun=time_of(one.times[0]),
        last=time_of(one.times[1]),
        writers=one.writers,
        size=one.size,
    )


def _enter(versions: Versions, session: str) -> tuple[Journals, Step]:
    """Return the journals of a session, and the step that it is at."""
    if isinstance(versions.blocks, KeepsJournals):
        journals = Journals(versions.blocks, session)
        with suppress(SessionEndedError, InvalidNameError):
            step = journals.enter()
            if journals.step.kind == OPEN and journals.step.repository == versions.name:
                return journals, step
    raise RefError(
        f"there is no session {session!r} in repository {versions.name!r}, or not any more: "
        "repo.sessions() lists those that are neither committed nor abandoned"
    )
