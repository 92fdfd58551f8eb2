"""Commits that a repository lets go, by number or by age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ipldstore.cid import Link
from ipldstore.history.graph import Graph
from ipldstore.history.revisions import no_branch
from ipldstore.history.state import Operation, State
from ipldstore.repository.committing import microseconds
from ipldstore.repository.versions import Versions, now

_ONE = timedelta(microseconds=1)


class Expired(NamedTuple):
    """What `Repository.expire` did.

    Attributes
    ----------
    kept : int
        The commits that are in the repository's history.
    let_go : int
        Those that were, and are no more.
    """

    kept: int
    let_go: int


class Rule:
    """Which commits stay: the last ones of a branch, and those that are young.

    `keep_last` counts along parents; `older_than` is a time that says its zone, or an age.
    """

    def __init__(self, keep_last: int | None, older_than: datetime | timedelta | None) -> None:
        if keep_last is None and older_than is None:
            raise TypeError("expected keep_last or older_than, or both")
        if keep_last is not None and keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}, expected 1 or more: tips always stay")
        self._last = 1 if keep_last is None else keep_last
        self._since = None if older_than is None else _time_of(older_than)

    def keeps(self, distance: int, time: int) -> bool:
        """Whether a commit stays that is so many steps from a tip, which itself is 1."""
        return distance <= self._last or (self._since is not None and time >= self._since)


def _time_of(older_than: datetime | timedelta) -> int:
    if isinstance(older_than, timedelta):
        return now() - older_than // _ONE
    return microseconds(older_than)


def expire(versions: Versions, rule: Rule, branch: str | None) -> Expired:
    """Let go of the commits of a branch, or of all, that a rule does not keep."""
    found: list[Expired] = []

    def change(state: State) -> State:
        if branch is not None and branch not in state.branches:
            raise no_branch(branch, state)
        graph = versions.graph(state)
        kept, cut = _find_kept(graph, state, rule, branch)
        before = _count(graph, state)
        shallow = (state.shallow & kept) | cut
        found[:] = [Expired(len(kept), before - len(kept))]
        if shallow == state.shallow:
            return state
        return replace(state, shallow=shallow, operation=Operation(kind="expire", time=now()))

    versions.move(change)
    return found[0]


def _count(graph: Graph, state: State) -> int:
    tips = {*state.branches.values(), *state.tags.values()}
    return sum(1 for _ in graph.iter_ancestors(tips))


def _find_kept(
    graph: Graph, state: State, rule: Rule, branch: str | None
) -> tuple[set[Link], set[Link]]:
    """Return the commits that stay, and those of them whose parents are let go."""
    if branch is None:
        kept = _walk(graph, state.branches.values(), rule) | set(state.tags.values())
    else:
        others = {link for name, link in state.branches.items() if name != branch}
        kept = {link for link, _ in graph.iter_ancestors(others | set(state.tags.values()))}
        kept |= _walk(graph, [state.branches[branch]], rule)
    cut: set[Link] = set()
    left = list(kept)
    while left:
        link = left.pop()
        parents = graph.parents(link)
        if not parents:
            continue
        if kept.isdisjoint(parents):
            cut.add(link)
            continue
        # of a merge all parents stay, or none
        beside = [parent for parent in parents if parent not in kept]
        kept.update(beside)
        left += beside
    return kept, cut


def _walk(graph: Graph, tips: Iterable[Link], rule: Rule) -> set[Link]:
    """Return what a rule keeps before some tips, and the tips."""
    distances = dict.fromkeys(tips, 1)
    heap = [(-graph.commit(tip).generation, tip) for tip in distances]
    heapify(heap)
    kept: set[Link] = set()
    while heap:
        _, link = heappop(heap)
        if not rule.keeps(distances[link], graph.commit(link).time):
            continue
        kept.add(link)
        for parent in graph.parents(link):
            if parent not in distances:
                heappush(heap, (-graph.commit(parent).generation, parent))
            distances[parent] = min(distances[link] + 1, distances.get(parent, distances[link] + 1))
    return kept
