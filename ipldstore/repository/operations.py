"""What moved the branches and tags of a repository, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from ipldstore.cid import Link
from ipldstore.errors import RefError
from ipldstore.formats.cidobject import CID
from ipldstore.history.state import Operation, State
from ipldstore.repository.log import time_of
from ipldstore.repository.versions import Versions, now


@dataclass(frozen=True)
class Done:
    """An operation on a repository.

    Attributes
    ----------
    state : CID
        The state that it led to.
    kind : str
        ``"init"``, ``"clone"``, ``"commit"``, ``"merge"``, ``"push"``, ``"pull"``, ``"branch"``,
        ``"tag"``, ``"reset"``, ``"delete"``, ``"expire"`` or ``"undo"``.
    ref : str or None
        The branch or tag that it was about.
    before, after : CID or None
        The commits that this was at, and is at since; None where it was not there.
    time : datetime
        When it was, in UTC.
    """

    state: CID
    kind: str
    ref: str | None
    before: CID | None
    after: CID | None
    time: datetime


def _make_done(link: Link, operation: Operation) -> Done:
    return Done(
        CID(link),
        operation.kind,
        operation.ref,
        None if operation.before is None else CID(operation.before),
        None if operation.after is None else CID(operation.after),
        time_of(operation.time),
    )


def iter_operations(versions: Versions) -> Iterator[Done]:
    """Iterate the operations, the last first."""
    for link, state in versions.iter_states():
        yield _make_done(link, state.operation)


class Undoing:
    """Takes the last operation on a branch or tag back, unless that moves meanwhile."""

    def __init__(self, versions: Versions, ref: str | None) -> None:
        self._versions = versions
        self._done, self._before = self._find_last(ref)

    def undo(self) -> Done:
        """Move on to a state in which it is as it was before."""
        self._versions.move(self._change)
        return self._done

    def _find_last(self, ref: str | None) -> tuple[Done, State]:
        """Return the last operation on a ref, and the state before it."""
        for (link, state), (_, before) in pairwise(self._versions.iter_states()):
            operation = state.operation
            if operation.ref is not None and ref in (None, operation.ref):
                return _make_done(link, operation), before
        what = "" if ref is None else f" to {ref!r}"
        raise RefError(f"nothing was done{what} that could be undone, as far as that is kept")

    def _change(self, state: State) -> State:
        done = self._done
        assert done.ref is not None
        branches, tags = dict(state.branches), dict(state.tags)
        present = branches.pop(done.ref, None) or tags.pop(done.ref, None)
        if present != (None if done.after is None else Link(bytes(done.after))):
            raise RefError(f"{done.ref!r} moved since: look at the operations again")
        for refs, earlier in ((branches, self._before.branches), (tags, self._before.tags)):
            if done.ref in earlier:
                refs[done.ref] = earlier[done.ref]
        operation = Operation(
            kind="undo",
            ref=done.ref,
            before=present,
            after=branches.get(done.ref) or tags.get(done.ref),
            time=now(),
        )
        return replace(state, branches=branches, tags=tags, operation=operation)
