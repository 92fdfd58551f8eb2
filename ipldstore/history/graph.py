"""The graph that commits and their parents are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache, partial
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

from ipldstore.cid import Link
from ipldstore.errors import InvalidNodeError
from ipldstore.history.commit import Commit, decode_commit

_KEPT_FACTS = 10_000
_KEPT_COMMITS = 100
"""Few, as metadata may take 60 times its bytes in memory."""

_OF_ONE, _OF_OTHER, _BEHIND = 1, 2, 4
"""Of a commit: before which of two it is, and whether before a common ancestor of both."""

_Rank: TypeAlias = tuple[int, int, Link]


class _Facts(NamedTuple):
    """What a commit says of the graph, with no parents where they are let go."""

    parents: tuple[Link, ...]
    generation: int
    time: int


class Graph:
    """Looks into a history, from its tips to its beginning.

    A commit comes before its parents wherever several are given: generations say so, and are
    checked wherever both are loaded.

    Parameters
    ----------
    load
        Returns the verified block of a CID.
    shallow
        Commits whose parents are let go.
    """

    def __init__(self, load: Callable[[Link], bytes], shallow: Collection[Link] = ()) -> None:
        self.shallow = frozenset(shallow)
        self._commit = lru_cache(_KEPT_COMMITS)(partial(_load_commit, load))
        self._facts = lru_cache(_KEPT_FACTS)(partial(_load_facts, self._commit, self.shallow))

    def commit(self, link: Link) -> Commit:
        """Return a commit.

        Raises
        ------
        BlockNotFoundError
            If its block is missing; and what else `load` raises.
        InvalidNodeError
            If the block holds no commit.
        """
        return self._commit(link)

    def parents(self, link: Link) -> tuple[Link, ...]:
        """Return the parents of a commit, which are none where they are let go."""
        return self._facts(link).parents

    def check(self, link: Link) -> None:
        """Raise `InvalidNodeError` if a commit's generation does not follow from its parents'."""
        self._checked_parents(link)

    def iter_ancestors(self, tips: Iterable[Link]) -> Iterator[tuple[Link, Commit]]:
        """Iterate commits and all before them, each once.

        Those of the highest generation come first, of these the latest, of these by their CID. The
        parents of a commit are loaded when the one after it is asked for.
        """
        for link in self._iter_links(tips):
            yield link, self.commit(link)

    def _iter_links(self, tips: Iterable[Link]) -> Iterator[Link]:
        seen = set(tips)
        heap: list[_Rank] = []
        for tip in seen:
            heappush(heap, self._rank(tip))
        while heap:
            *_, link = heappop(heap)
            yield link
            for parent in self._checked_parents(link):
                if parent not in seen:
                    seen.add(parent)
                    heappush(heap, self._rank(parent))

    def _rank(self, link: Link) -> _Rank:
        facts = self._facts(link)
        return -facts.generation, -facts.time, link

    def _checked_parents(self, link: Link) -> tuple[Link, ...]:
        """Load the parents of a commit, and refuse generations that do not follow from theirs."""
        parents, generation, _ = self._facts(link)
        if parents:
            highest = max(parents, key=self._generation)
            if generation != (expected := self._generation(highest) + 1):
                raise self._lie(link, str(expected), highest)
        return parents

    def _generation(self, link: Link) -> int:
        return self._facts(link).generation

    def _lie(self, child: Link, expected: str, parent: Link) -> InvalidNodeError:
        return InvalidNodeError(
            f"commit {child} has generation {self._generation(child)}, expected {expected}: "
            f"its parent {parent} has {self._generation(parent)}"
        )

    def iter_first_parents(self, tip: Link) -> Iterator[tuple[Link, Commit]]:
        """Iterate a commit, the first of its parents, the first of that one's, and so on."""
        link = tip
        while True:
            yield link, self.commit(link)
            if not (parents := self.parents(link)):
                return
            self._check_before(parents[0], link)
            link = parents[0]

    def _check_before(self, parent: Link, child: Link) -> None:
        if self._generation(parent) >= self._generation(child):
            raise self._lie(child, f"more than {self._generation(parent)}", parent)

    def is_ancestor(self, old: Link, new: Link) -> bool:
        """Whether one commit is before another one, or the same.

        No commit of a generation below the older one's is looked into.
        """
        least = self._generation(old)
        for link in self._iter_links([new]):
            if link == old:
                return True
            if self._generation(link) < least:
                return False
        return False

    def merge_bases(self, one: Link, other: Link) -> list[Link]:
        """Return the best common ancestors of two commits, sorted.

        These are all that are before no other common ancestor. A commit that is before the other
        one is the only one; there is none where the histories have nothing in common.
        """
        flags = {one: _OF_ONE}
        flags[other] = flags.get(other, 0) | _OF_OTHER
        bases, undecided = [], set(flags)
        heap = sorted(map(self._rank, flags))
        while undecided:
            *_, link = heappop(heap)
            undecided.discard(link)
            if flags[link] == _OF_ONE | _OF_OTHER:
                bases.append(link)
                flags[link] |= _BEHIND
            for parent in self._checked_parents(link):
                if parent not in flags:
                    flags[parent] = 0
                    heappush(heap, self._rank(parent))
                flags[parent] |= flags[link]
                (undecided.discard if flags[parent] & _BEHIND else undecided.add)(parent)
        return sorted(bases)


def _load_commit(load: Callable[[Link], bytes], link: Link) -> Commit:
    return decode_commit(link, load(link))


def _load_facts(load: Callable[[Link], Commit], shallow: frozenset[Link], link: Link) -> _Facts:
    commit = load(link)
    parents = () if link in shallow else commit.parents
    return _Facts(parents, commit.generation, commit.time)
