"""Consolidated metadata follows what the merge made of the members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.model.merging.conflicts import settle
from ipldstore.model.merging.documents import Entries, entries_of, has_entries
from ipldstore.model.merging.merge import Outcome, Outcomes
from ipldstore.model.merging.nodes import parent_of
from ipldstore.tree.documents import make_document

_V2_NAMES = (".zarray", ".zgroup", ".zattrs")


def follow_members(outcomes: Outcomes) -> None:
    """Bring all consolidated metadata that a side changed up to the merged members."""
    for key in outcomes.sides.documents:
        if key not in outcomes.settled and key.rpartition("/")[2] in (".zmetadata", "zarr.json"):
            outcomes.found[key] = _follow(outcomes, key)


def _follow(outcomes: Outcomes, key: str) -> Outcome:
    holder = _Holder(outcomes, key)
    outcome = outcomes.found[key]
    if not holder.is_known:
        return outcome
    core = outcomes.value(key)
    if core is None:
        return outcome
    try:
        return holder.finish(core)
    except InvalidNodeError:
        # too large: readers look at the members themselves then
        value = holder.join(core, None)
        return None if value is None else make_document(value)


class _Holder:
    """A document with consolidated metadata, in all versions."""

    def __init__(self, outcomes: Outcomes, key: str) -> None:
        self._outcomes = outcomes
        self._path, _, self._name = key.rpartition("/")
        sides = outcomes.sides
        self._bases = [base.value(key) for base in sides.bases]
        self._sides = [sides.ours.value(key), sides.theirs.value(key)]
        rows = sides.rows[key]
        self._is_held = [
            value is not None and has_entries(self._name, value) for value in self._sides
        ]
        self._is_opaque = any(
            value is None and link is not None
            for value, link in zip(self._sides, (rows.ours, rows.theirs), strict=True)
        )

    @property
    def is_known(self) -> bool:
        """Whether there is consolidated metadata, on a side, of shapes that are known."""
        known = (
            value is None or entries_of(self._name, value) is not None for value in self._sides
        )
        return any(self._is_held) and not self._is_opaque and all(known)

    def finish(self, core: dict[str, Any]) -> Outcome:
        """Return the document with the entries of merged members; `core` is all else of it."""
        value = self.join(core, None if self._is_removed else self._merge_entries())
        return None if value is None else make_document(value)

    @property
    def _is_removed(self) -> bool:
        """Whether one side has no more what a base had."""
        return not all(self._is_held) and any(
            base is not None and has_entries(self._name, base) for base in self._bases
        )

    def join(self, core: dict[str, Any], entries: Entries | None) -> dict[str, Any] | None:
        if self._name == ".zmetadata":
            return None if entries is None else core | {"metadata": entries}
        rest = dict(core)
        if has_entries(self._name, core):
            del rest["consolidated_metadata"]
        if entries is None:
            return rest
        return rest | {"consolidated_metadata": self._frame() | {"metadata": entries}}

    def _frame(self) -> dict[str, Any]:
        """Return what stands beside the entries in a group of format 3."""
        frames = [
            dagcbor.encode(value["consolidated_metadata"] | {"metadata": {}})
            for value in self._sides
            if value is not None and has_entries(self._name, value)
        ]
        frame: dict[str, Any] = dagcbor.decode(min(frames))
        return frame

    def _merge_entries(self) -> Entries:
        bases = [self._entries_in(base) for base in self._bases]
        ours, theirs = (self._entries_in(value) for value in self._sides)
        entries, unclear = _merge_plainly(bases, ours, theirs)
        for member in sorted({*unclear, *self._changed_members()}):
            document = self._outcomes.value(self._key_of(member))
            if document is None or not self._is_reachable(member, entries):
                entries.pop(member, None)
            else:
                known = [each[member] for each in (ours, theirs, *bases) if member in each]
                entries[member] = self._entry(document, known)
        return entries

    def _entries_in(self, value: dict[str, Any] | None) -> Entries:
        return (None if value is None else entries_of(self._name, value)) or {}

    def _key_of(self, member: str) -> str:
        parts = [self._path, member, "" if self._name == ".zmetadata" else "zarr.json"]
        return "/".join(filter(None, parts))

    def _changed_members(self) -> Iterator[str]:
        start = len(self._path) + 1 if self._path else 0
        for key in self._outcomes.sides.documents_below(self._path):
            member, name = key[start:], key.rpartition("/")[2]
            if self._name == ".zmetadata" and name in _V2_NAMES:
                yield member
            elif self._name == name == "zarr.json" and "/" in member:
                yield parent_of(member)

    def _is_reachable(self, member: str, entries: Entries) -> bool:
        """Whether readers come to a member: in format 3 by way of a group that is one."""
        above = parent_of(member)
        return self._name == ".zmetadata" or not above or above in entries

    def _entry(self, document: dict[str, Any], known: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the entry of a member, with an empty place for its own members if it is usual."""
        entry = {name: item for name, item in document.items() if name != _NESTED}
        places = [each[_NESTED] for each in known if isinstance(each.get(_NESTED), dict)]
        if not known and self._name == "zarr.json" and document.get("node_type") == "group":
            places = [self._frame()]
        if places:
            entry[_NESTED] = dagcbor.decode(
                min(dagcbor.encode(place | {"metadata": {}}) for place in places)
            )
        return entry


_NESTED = "consolidated_metadata"


def _merge_plainly(
    bases: list[Entries], ours: Entries, theirs: Entries
) -> tuple[Entries, list[str]]:
    """Merge entries three ways, and return them with the names of those in conflict."""
    entries: Entries = {}
    unclear = []
    for member in ours | theirs:
        sides = ours.get(member), theirs.get(member)
        before = [_encoded(base.get(member)) for base in bases]
        side = settle(before, *map(_encoded, sides))
        if side is None:
            unclear.append(member)
        elif (entry := sides[side == "theirs"]) is not None:
            entries[member] = entry
    return entries, unclear


def _encoded(entry: dict[str, Any] | None) -> bytes | None:
    return None if entry is None else dagcbor.encode(entry)
