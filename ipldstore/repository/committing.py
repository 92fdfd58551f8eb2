"""Commits: a root becomes the tip of a branch, merged with what others committed meanwhile."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link, to_text
from ipldstore.errors import (
    CommitConflictError,
    InvalidNodeError,
    NoChangesError,
    RefError,
    RevisionError,
)
from ipldstore.history.commit import Commit
from ipldstore.history.revisions import no_branch
from ipldstore.history.state import Operation, State
from ipldstore.model.merging import (
    Merged,
    Resolve,
    apply_merged,
    check_resolve,
    describe,
    merge_trees,
)
from ipldstore.repository.versions import Versions, now

AUTHOR_VARIABLE = "IPLDSTORE_AUTHOR"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EMPTY_HIERARCHY = b"\xa0"


class Begun(NamedTuple):
    """What changes began from: a commit, None if there was none, and a hierarchy, None if empty."""

    commit: Link | None
    root: Link | None


@dataclass(frozen=True)
class About:
    """What a commit says of itself; parameters as those of `Session.commit`."""

    message: str
    author: str | None = None
    metadata: Mapping[str, Any] | None = None
    time: datetime | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.message, str):
            raise InvalidNodeError(f"message is {type(self.message).__name__}, expected text")
        if self.time is not None:
            microseconds(self.time)

    def make_commit(self, root: Link, parents: Collection[tuple[Link, Commit]]) -> Commit:
        """Make a commit of a root that comes after others."""
        author = os.environ.get(AUTHOR_VARIABLE, "") if self.author is None else self.author
        return Commit(
            root=root,
            parents=tuple(link for link, _ in parents),
            generation=1 + max((parent.generation for _, parent in parents), default=0),
            time=now() if self.time is None else microseconds(self.time),
            author=author,
            message=self.message,
            metadata={} if self.metadata is None else self.metadata,
        )


def microseconds(time: datetime) -> int:
    """Return the microseconds since 1970, UTC, of a time that says its zone."""
    if not isinstance(time, datetime):
        raise TypeError(f"time is {type(time).__name__}, expected a datetime")
    if time.tzinfo is None:
        raise ValueError(f"time {time} says no zone: datetime(..., tzinfo=timezone.utc) does")
    return (time - _EPOCH) // timedelta(microseconds=1)


class Tries(Protocol):
    """Where processes that may commit the same note what they try."""

    def note_try(self, link: Link, root: Link) -> None:
        """Note a commit, and the root that was to be committed, before the branch is moved."""

    def read_tries(self) -> dict[Link, Link]:
        """Return all that were noted."""


class Made(NamedTuple):
    """What a commit came to: its CID, and its root."""

    commit: Link
    root: Link


class Committing:
    """The commits of a root onto a branch, tried until one of them is done, or found done.

    Before a commit is tried it is noted in `tried`, with the root that was to be committed. So one
    whose answer was lost, or that was interrupted when it was done, is known again, and the same
    changes are not committed twice; by `tries` also where another process commits them.
    """

    def __init__(
        self, versions: Versions, branch: str, begun: Begun, tries: Tries | None = None
    ) -> None:
        self.tries = tries
        self._versions = versions
        self._blocks = versions.blocks
        self.branch = branch
        self.begun = begun
        self._tried: dict[Link, Link] = {}
        self._made: Made | None = None
        self._found: Made | None = None

    def commit(self, root: Link, about: About, resolve: Resolve | None) -> Made:
        """Commit a root; raises `NoChangesError` if the branch has all of its changes."""
        check_resolve(resolve)

        def change(state: State) -> State:
            self._made = self._found = None
            return self._change(state, root, about, resolve)

        _, state = self._versions.move(change)
        made = self._made or self._found
        if made is None:
            tip = state.branches.get(self.branch)
            # what is changed from now on is changed from there
            self.begun = Begun(tip, root)
            self._tried.clear()
            where = "is empty" if tip is None else f"is {to_text(tip)}"
            raise NoChangesError(
                f"nothing to commit: branch {self.branch!r} {where}, which has all of it"
            )
        self.begun = Begun(made.commit, root)
        self._tried.clear()
        return made

    def _change(self, state: State, root: Link, about: About, resolve: Resolve | None) -> State:
        tip = state.branches.get(self.branch)
        if tip is None and self.begun.commit is not None:
            raise RefError(
                f"branch {self.branch!r} is not there any more: repo.undo({self.branch!r}) may "
                f"bring it back, or repo.branch({self.branch!r}, {to_text(self.begun.commit)!r}) "
                "make it anew"
            )
        self._note_done(state, tip)
        tip_root = self._versions.root_of(state, tip)
        merged = self._merge(root, tip_root, resolve)
        if is_same(self._blocks, merged, tip_root):
            return state
        graph = self._versions.graph(state)
        commit = about.make_commit(merged, [] if tip is None else [(tip, graph.commit(tip))])
        link = self._versions.put_commit(commit)
        self._tried[link] = root
        if self.tries is not None:
            self.tries.note_try(link, root)
        self._made = Made(link, merged)
        operation = Operation(kind="commit", ref=self.branch, before=tip, after=link, time=now())
        return replace(state, branches={**state.branches, self.branch: link}, operation=operation)

    def _note_done(self, state: State, tip: Link | None) -> None:
        """Find out whether a commit that was tried before is in the branch."""
        if self.tries is not None:
            self._tried |= self.tries.read_tries()
        if not self._tried or tip is None:
            return
        graph = self._versions.graph(state)
        done = [link for link in self._tried if graph.is_ancestor(link, tip)]
        if done:
            last = max(done, key=lambda link: graph.commit(link).generation)
            self.begun = Begun(last, self._tried[last])
            self._found = Made(last, graph.commit(last).root)

    def _merge(self, root: Link, tip_root: Link | None, resolve: Resolve | None) -> Link:
        if is_same(self._blocks, self.begun.root, tip_root):
            return root
        return merge_roots(
            self._blocks,
            [self.begun.root],
            root,
            tip_root,
            resolve,
            f"branch {self.branch!r} moved since this began, and both changed",
        )


def is_same(blocks: ContentAddressableStore, root: Link | None, other: Link | None) -> bool:
    """Whether two hierarchies are the same, of which None is an empty one."""
    if root == other:
        return True
    empty = as_link(blocks.make_cid(_EMPTY_HIERARCHY, "dag-cbor"))
    return {root, other} == {None, empty}


def merge_roots(
    blocks: ContentAddressableStore,
    bases: Collection[Link | None],
    ours: Link | None,
    theirs: Link | None,
    resolve: Resolve | None,
    what: str,
) -> Link:
    """Merge two hierarchies that come from others, and put the blocks of what they give."""

    def name(data: bytes) -> Link:
        return as_link(blocks.make_cid(data, "dag-cbor"))

    def put(data: bytes) -> Link:
        return as_link(blocks.put_raw(data, "dag-cbor"))

    merged: Merged = merge_trees(
        tuple(bases), ours, theirs, blocks.get_block, name, resolve=resolve
    )
    if merged.conflicts:
        raise CommitConflictError(
            f"{what}:\n{describe(merged.conflicts)}",
            conflicts=merged.conflicts,
            keys=sorted({conflict.path for conflict in merged.conflicts}),
        )
    return apply_merged(merged, ours, theirs, blocks.get_block, put)


class Merging:
    """The merge of a commit into a branch."""

    def __init__(self, versions: Versions, branch: str, other: Link, what: str) -> None:
        self._versions = versions
        self._branch = branch
        self._other = other
        self._what = what
        self.made: Link = other

    def merge(self, about: About, resolve: Resolve | None) -> Link:
        """Move the branch on, and return its tip; where it has the commit already, it stays."""
        check_resolve(resolve)
        self._versions.move(lambda state: self._change(state, about, resolve))
        return self.made

    def _change(self, state: State, about: About, resolve: Resolve | None) -> State:
        graph = self._versions.graph(state)
        tip = state.branches.get(self._branch)
        if tip is None:
            raise no_branch(self._branch, state)
        if graph.is_ancestor(self._other, tip):
            self.made = tip
            return state
        if graph.is_ancestor(tip, self._other):
            self.made = self._other
        else:
            self.made = self._commit(state, tip, about, resolve)
        operation = Operation(
            kind="merge", ref=self._branch, before=tip, after=self.made, time=now()
        )
        return replace(
            state, branches={**state.branches, self._branch: self.made}, operation=operation
        )

    def _commit(self, state: State, tip: Link, about: About, resolve: Resolve | None) -> Link:
        graph = self._versions.graph(state)
        bases = graph.merge_bases(tip, self._other)
        if not bases:
            raise RevisionError(
                f"{self._what} and branch {self._branch!r} have no commit in common, "
                "so that it cannot be told what either changed"
            )
        ours, theirs = graph.commit(tip), graph.commit(self._other)
        root = merge_roots(
            self._versions.blocks,
            [graph.commit(base).root for base in bases],
            ours.root,
            theirs.root,
            resolve,
            f"{self._what} and branch {self._branch!r} both changed",
        )
        commit = about.make_commit(root, [(tip, ours), (self._other, theirs)])
        return self._versions.put_commit(commit)
