"""What the changes of several processes come to: of each key the last, or several in conflict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ipldstore.cid import Link
from ipldstore.journals.records import Change, Record, Removal
from ipldstore.tree.documents import Document


class Origin(NamedTuple):
    """Where a record stands, and what its writer knew.

    `position` is where in the journal; `seen` says of how many bytes of other journals its writer
    knew, and whose writers knew of no more.
    """

    journal: str
    position: int
    seen: Mapping[str, int]

    def knew(self, other: Origin) -> bool:
        """Whether the writer knew of another record, so that this one came after it."""
        if self.journal == other.journal:
            return self.position > other.position
        return self.seen.get(other.journal, 0) > other.position


class Head(NamedTuple):
    """A value of a key (None if deleted) that no record takes back which came after it."""

    origin: Origin
    entry: Link | Document | None


class Joined:
    """The changes of all journals of a session, in whatever order they are read.

    A record takes the place of those that its writer knew of. Where two writers knew nothing of
    each other, both values stand, which is a conflict unless they are the same. No clock counts.

    `has_base` says whether a key was there before all of that.
    """

    def __init__(self, has_base: Callable[[str], bool]) -> None:
        self._has_base = has_base
        self._heads: dict[str, tuple[Head, ...]] = {}
        self._removals: list[tuple[str, Origin]] = []
        self._conflicts: dict[str, None] = {}

    @property
    def conflicts(self) -> list[str]:
        """The keys that were changed in different ways, in their order."""
        return sorted(self._conflicts)

    def __contains__(self, key: str) -> bool:
        return key in self._heads

    def entry(self, key: str) -> Link | Document | None:
        """Return the value of a key that was changed, None if it was deleted.

        In a conflict it is one of them, none that is a deletion, and the same for all who read the
        same journals.
        """
        heads = self._heads[key]
        if len(heads) == 1:
            return heads[0].entry
        return max(heads, key=lambda head: (head.entry is not None, head.origin[:2])).entry

    def add(self, origin: Origin, record: Record) -> Iterator[str]:
        """Take in a record, and iterate the keys that may have other values for it.

        Those that were there before all are not among the keys of a directory that was deleted.
        """
        if isinstance(record, Removal):
            return self._add_removal(origin, record.path)
        self._add_change(origin, record)
        return iter((record.key,))

    def _add_change(self, origin: Origin, change: Change) -> None:
        key = change.key
        heads = self._heads.get(key, ())
        if not heads and not self._removals:
            self._heads[key] = (Head(origin, change.entry),)
            return
        if not heads:
            heads = self._removed_before(key, origin)
        if not any(head.origin == origin or head.origin.knew(origin) for head in heads):
            left = [head for head in heads if not origin.knew(head.origin)]
            heads = (*left, Head(origin, change.entry))
        if heads:
            self._set(key, heads)

    def _removed_before(self, key: str, origin: Origin) -> tuple[Head, ...]:
        """Return the removals that count beside the first record of a key, or after it."""
        above = [removed for path, removed in self._removals if _is_below(key, path)]
        after = [removed for removed in above if removed.knew(origin)]
        beside = [removed for removed in above if not origin.knew(removed)]
        found = beside if beside and (after or self._has_base(key)) else after
        return tuple(Head(removed, None) for removed in found)

    def _add_removal(self, origin: Origin, path: str) -> Iterator[str]:
        below = [key for key in self._heads if _is_below(key, path)]
        for key in below:
            heads = self._heads[key]
            left = tuple(head for head in heads if not origin.knew(head.origin))
            has_removed = len(left) < len(heads) or self._has_base(key)
            if has_removed and not any(head.origin.knew(origin) for head in left):
                self._set(key, (*left, Head(origin, None)))
        if (path, origin) not in self._removals:
            self._removals.append((path, origin))
        return iter(below)

    def _set(self, key: str, heads: tuple[Head, ...]) -> None:
        self._heads[key] = heads
        if all(head.entry == heads[0].entry for head in heads):
            self._conflicts.pop(key, None)
        else:
            self._conflicts[key] = None


def _is_below(key: str, path: str) -> bool:
    return not path or key.startswith(f"{path}/")
