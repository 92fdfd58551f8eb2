"""Nodes that cannot be merged key by key: what one side made another thing of, or let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ipldstore.model.merging.conflicts import SIDES, Conflict, Resolver, Side, settle
from ipldstore.model.merging.documents import is_grown, is_resized
from ipldstore.model.merging.meaning import DECODING_ATTRIBUTES, changes_meaning
from ipldstore.model.merging.sides import OTHER, Kind, Row, Sides
from ipldstore.tree.keys import METADATA_NAMES

_NODE_NAMES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_ARRAY_DOCUMENTS = {2: ".zarray", 3: "zarr.json"}
_ATTRIBUTE_DOCUMENTS = {2: ".zattrs", 3: "zarr.json"}


def settle_nodes(sides: Sides, resolver: Resolver) -> dict[str, Side]:
    """Find the nodes in conflict, those above first, and return whose keys count in them."""
    finder = _Finder(sides)
    settled: dict[str, Side] = {}
    for path in finder.candidates:
        if finder.is_done(path):
            continue
        why = finder.find_fault(path)
        if why is not None:
            finder.done.add(path)
            side = resolver.ask(Conflict("node", path, why=why))
            settled.update((key, side) for key in sides.keys_below(path))
    return settled


def parent_of(key: str) -> str:
    """Return the path that a key or path stands at."""
    return key.rpartition("/")[0]


def _iter_above(path: str) -> Iterator[str]:
    while path:
        path = parent_of(path)
        yield path


def _directories_of(keys: Iterable[str]) -> set[str]:
    """Return the directories that keys are in, but for the root."""
    found: set[str] = set()
    for key in keys:
        for path in _iter_above(key):
            if not path or path in found:
                break
            found.add(path)
    return found


class _Finder:
    """Looks for nodes in conflict.

    `candidates` are the paths to look at, sorted, so that what is above comes first. What is below
    those that are `done` needs no look.
    """

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._blocked = _find_blocked(sides)
        self._emptied = {side: _find_emptied(sides, side) for side in SIDES}
        self._documented = {
            parent_of(key) for key in sides.documents if key.rpartition("/")[2] in _NODE_NAMES
        }
        self.candidates = sorted(self._blocked.union(self._documented, *self._emptied.values()))
        self.done: set[str] = set()

    def is_done(self, path: str) -> bool:
        return path in self.done or any(above in self.done for above in _iter_above(path))

    def find_fault(self, path: str) -> str | None:
        """Say why a path is in conflict, None if it is not."""
        if path in self._blocked:
            return "a value on one side, a directory on the other"
        if path in self._documented and (fault := self._kind_fault(path)) is not None:
            return fault
        return None if self.is_done(path) else self._emptied_fault(path)

    def _kind_fault(self, path: str) -> str | None:
        bases = [base.kind(path) for base in self._sides.bases]
        ours, theirs = self._sides.ours.kind(path), self._sides.theirs.kind(path)
        if ours == theirs:
            if ours is None or ours[1] != "array":
                return None
            return self._array_fault(path, ours)
        changed: list[Side] = [
            side
            for side, kind in zip(SIDES, (ours, theirs), strict=True)
            if any(base != kind for base in bases)
        ]
        if len(changed) == 2:
            return _explain_kinds(ours, theirs)
        kind = ours if changed == ["ours"] else theirs
        return self._one_kind_fault(path, changed[0], kind, bases)

    def _one_kind_fault(
        self, path: str, side: Side, kind: Kind | None, bases: list[Kind | None]
    ) -> str | None:
        """Look at a node that one side made something else of."""
        if kind is not None and kind[1] == "group" and set(bases) == {None}:
            return None
        other = OTHER[side]
        if any(
            self._sides.is_changed_by(other, key) or self._sides.is_filled_by(other, key)
            for key in self._sides.keys_below(path)
        ):
            what = "deleted" if kind is None else "made something else"
            return f"{what} by {side}, changed by {other}"
        self.done.add(path)
        return None

    def _array_fault(self, path: str, kind: Kind) -> str | None:
        """Look at the documents of what is an array on both sides."""
        below = f"{path}/" if path else ""
        found = kind[0] or 3
        return self._body_fault(path, below + _ARRAY_DOCUMENTS[found]) or self._meaning_fault(
            path, below + _ATTRIBUTE_DOCUMENTS[found]
        )

    def _body_fault(self, path: str, key: str) -> str | None:
        if key not in self._sides.rows:
            return None
        bases = [base.body(key) for base in self._sides.bases]
        ours, theirs = self._sides.ours.body(key), self._sides.theirs.body(key)
        before = [body for body in bases if body is not None]
        if ours == theirs:
            is_kept = all(body == ours for body in bases) or not self._has_other_chunks(path)
            return None if is_kept else _explain_bodies(before, ours, theirs)
        side = settle(bases, ours, theirs)
        if side is None:
            is_known = self._has_parts(key)
            return _explain_bodies(before, ours, theirs) if is_known else "both changed it"
        body = ours if side == "ours" else theirs
        if body is not None and all(is_grown(old, body) for old in before):
            return None
        has_chunks = self._has_changed_chunks(path, OTHER[side])
        return f"changed by {side}, its chunks changed by {OTHER[side]}" if has_chunks else None

    def _meaning_fault(self, path: str, key: str) -> str | None:
        """Look for attributes that say what values mean, changed beside the values of others."""
        if key not in self._sides.rows:
            return None
        changed = {side: self._changed_meaning(key, side) for side in SIDES}
        if all(changed.values()) and changed["ours"] != changed["theirs"]:
            return "both changed how its values are decoded"
        for side, names in changed.items():
            other = OTHER[side]
            if names and (self._has_changed_chunks(path, other) or self._has_grown(path, other)):
                return f"attribute {names[0]!r} changed by {side}, its chunks changed by {other}"
        return None

    def _changed_meaning(self, key: str, side: Side) -> list[str]:
        """Return the attributes by which one side alone changed what values mean."""
        before = [base.attributes(key) for base in self._sides.bases]
        mine, other = (self._sides.version(one).attributes(key) for one in (side, OTHER[side]))
        if mine is None or other is None or None in before:
            is_changed = self._sides.rows[key].is_changed_by(side)
            return [key.rpartition("/")[2]] if is_changed else []
        return [
            name
            for name in DECODING_ATTRIBUTES
            if mine.get(name) != other.get(name)
            and changes_meaning(
                name, [base.get(name) for base in before if base is not None], mine.get(name)
            )
        ]

    def _has_grown(self, path: str, side: Side) -> bool:
        """Whether a side has another document of an array than a base."""
        bodies = {
            version.body(f"{path}/{name}" if path else name)
            for version in (*self._sides.bases, self._sides.version(side))
            for name in _ARRAY_DOCUMENTS.values()
        }
        return len(bodies - {None}) > 1

    def _has_changed_chunks(self, path: str, side: Side) -> bool:
        """Whether a side changed chunks of an array, also to the fill value."""
        return any(row.was_changed_by(side) for row in self._chunks_of(path))

    def _has_other_chunks(self, path: str) -> bool:
        """Whether an array's chunks differ between both sides."""
        return any(row.ours != row.theirs for row in self._chunks_of(path))

    def _chunks_of(self, path: str) -> Iterator[Row]:
        # where no name of a chunk is known, all that is no document may be one
        rows = [
            self._sides.rows[key]
            for key in self._sides.keys_below(path)
            if key.rpartition("/")[2] not in METADATA_NAMES
        ]
        known = [row for row in rows if row.array == path]
        return iter(known or rows)

    def _has_parts(self, key: str) -> bool:
        versions = (self._sides.ours, self._sides.theirs)
        return all(version.parts(key) is not None for version in versions)

    def _emptied_fault(self, path: str) -> str | None:
        for side in SIDES:
            other = OTHER[side]
            if (
                path in self._emptied[side]
                and not self._sides.version(side).has_directory(path)
                and not self._is_in_array(path)
                and any(self._is_kept_by(other, key) for key in self._sides.keys_below(path))
            ):
                return f"deleted by {side}, changed by {other}"
        return None

    def _is_kept_by(self, side: Side, key: str) -> bool:
        return self._sides.rows[key].of(side) is not None and self._sides.is_changed_by(side, key)

    def _is_in_array(self, path: str) -> bool:
        """Whether a directory is below an array that both sides have."""
        versions = (self._sides.ours, self._sides.theirs)
        return any(
            all((version.kind(above) or ("", ""))[1] == "array" for version in versions)
            for above in _iter_above(path)
        )


def _explain_bodies(bases: list[bytes], ours: bytes | None, theirs: bytes | None) -> str:
    if not bases:
        return "added by both"
    pairs = [(old, new) for old in bases for new in (ours, theirs) if new is not None]
    is_size = all(is_resized(old, new) for old, new in pairs)
    return "both resized it" if is_size else "both changed it"


def _explain_kinds(ours: Kind | None, theirs: Kind | None) -> str:
    if ours is None:
        return "deleted by ours, made something else by theirs"
    if theirs is None:
        return "deleted by theirs, made something else by ours"
    return "both made different things of it"


def _find_blocked(sides: Sides) -> set[str]:
    """Return the keys with values below which there would be values, too."""
    present = {key for key in sides.keys if _may_be_present(sides, key)}
    return {path for path in _directories_of(present) if path in present}


def _may_be_present(sides: Sides, key: str) -> bool:
    row = sides.rows[key]
    side = settle(row.bases, row.ours, row.theirs)
    return side is None or row.of(side) is not None


def _find_emptied(sides: Sides, side: Side) -> set[str]:
    """Return the directories in which a side removed keys, and the other changed or added some."""
    rows = sides.rows
    removed = [key for key in sides.keys if rows[key].of(side) is None and rows[key].was_there]
    if not removed:
        return set()
    other = OTHER[side]
    kept = (
        key
        for key in sides.keys
        if rows[key].of(other) is not None and rows[key].is_changed_by(other)
    )
    return _directories_of(removed) & _directories_of(kept)
