"""Commits that a repository lets go, by number or by age."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from ipldstore.cid import Link
from ipldstore.errors import BlockNotFoundError
from ipldstore.history.commit import decode_commit
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
        if older_than < timedelta(0):
            raise ValueError(f"older_than is {older_than}, expected an age of zero or more")
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
        orphans = _without_parents(versions, state.shallow - kept)
        shallow = (state.shallow & kept) | cut | orphans
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
    _add_beside(graph, kept)
    cut = {link for link in kept if graph.parents(link) and kept.isdisjoint(graph.parents(link))}
    return kept, cut


def _add_beside(graph: Graph, kept: set[Link]) -> None:
    """Have all parents of a merge stay where one does."""
    children: dict[Link, list[Link]] = {}
    left = list(kept)
    while left:
        link = left.pop()
        parents = graph.parents(link)
        for parent in parents:
            children.setdefault(parent, []).append(link)
        if not kept.isdisjoint(parents):
            beside = [parent for parent in parents if parent not in kept]
            kept.update(beside)
            left += beside
            for parent in beside:
                left += children[parent]


def _without_parents(versions: Versions, links: Iterable[Link]) -> set[Link]:
    """Return those commits that a branch may be at again, but whose parents are not there."""
    found = set()
    for link in links:
        with suppress(BlockNotFoundError):
            parents = decode_commit(link, versions.blocks.get_block(link)).parents
            if versions.blocks.find_missing(parents):
                found.add(link)
    return found


def _walk(graph: Graph, tips: Iterable[Link], rule: Rule) -> set[Link]:
    """Return what a rule keeps before some tips, and what leads to that from them."""
    distances = dict.fromkeys(tips, 1)
    order = []
    for link, _ in graph.iter_ancestors(list(distances)):
        order.append(link)
        for parent in graph.parents(link):
            further = distances[link] + 1
            distances[parent] = min(further, distances.get(parent, further))
    kept: set[Link] = set()
    for link in reversed(order):
        is_kept = rule.keeps(distances[link], graph.commit(link).time)
        if is_kept or not kept.isdisjoint(graph.parents(link)):
            kept.add(link)
    return kept
