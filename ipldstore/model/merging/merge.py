"""Keys merged one by one, documents by their parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.model.merging.conflicts import (
    SIDES,
    Conflict,
    Resolver,
    Side,
    explain,
    settle,
)
from ipldstore.model.merging.documents import Parts, join_parts
from ipldstore.model.merging.nodes import parent_of
from ipldstore.model.merging.sides import OTHER, Row, Sides
from ipldstore.tree.documents import Document, make_document
from ipldstore.tree.keys import METADATA_NAMES

Outcome: TypeAlias = Side | Document | None
"""What becomes of a key: what a side has, or a merged document, or nothing."""


@dataclass
class Outcomes:
    """What becomes of each key; those in `settled` went with their nodes."""

    sides: Sides
    settled: dict[str, Side]
    found: dict[str, Outcome] = field(default_factory=dict)

    def value(self, key: str) -> dict[str, Any] | None:
        """Return the content of a document after the merge; None if there is none."""
        outcome = self.found.get(key, "ours")
        if isinstance(outcome, Document):
            value: dict[str, Any] = dagcbor.decode(outcome.encoded)
            return value
        return None if outcome is None else self.sides.version(outcome).value(key)


def merge_keys(sides: Sides, settled: dict[str, Side], resolver: Resolver) -> Outcomes:
    """Merge all keys that did not go with their nodes."""
    outcomes = Outcomes(sides, settled, dict(settled))
    merger = _Merger(sides, resolver)
    for key in sides.keys:
        if key not in settled:
            outcomes.found[key] = merger.merge(key)
    return outcomes


class _Merger:
    def __init__(self, sides: Sides, resolver: Resolver) -> None:
        self._sides = sides
        self._resolver = resolver

    def merge(self, key: str) -> Outcome:
        row = self._sides.rows[key]
        side = settle(row.bases, row.ours, row.theirs)
        if side is not None:
            return side
        if key.rpartition("/")[2] in METADATA_NAMES:
            return self._merge_document(key, row)
        why = explain(row.bases, row.ours, row.theirs)
        if row.chunk is None:
            return self._ask_document(key, why)
        assert row.array is not None
        return self._resolver.ask(Conflict("chunk", row.array, key, row.chunk, why))

    def _ask_document(self, key: str, why: str) -> Side:
        return self._resolver.ask(Conflict("document", parent_of(key), key, None, why))

    def _merge_document(self, key: str, row: Row) -> Outcome:
        ours, theirs = self._sides.ours.parts(key), self._sides.theirs.parts(key)
        if ours is None or theirs is None:
            if key.rpartition("/")[2] == ".zmetadata":
                # what cannot be followed is dropped: readers look at the members themselves then
                return None
            return self._merge_whole(key, row)
        name = key.rpartition("/")[2]
        if name == ".zmetadata":
            return "ours"
        bases = [base.parts(key) for base in self._sides.bases]
        value = join_parts(name, self._merge_parts(key, bases, ours, theirs))
        try:
            return None if value is None else make_document(value)
        except InvalidNodeError:
            return self._ask_document(key, "too large where both changes are in it")

    def _merge_whole(self, key: str, row: Row) -> Side:
        """Merge a document that has no parts, or that only one side has."""
        for side in SIDES:
            if row.of(side) is None and not self._sides.is_changed_by(OTHER[side], key):
                return side
        return self._ask_document(key, explain(row.bases, row.ours, row.theirs))

    def _merge_parts(
        self, key: str, bases: list[Parts | None], ours: Parts, theirs: Parts
    ) -> Parts:
        bodies = [None if base is None else base.body for base in bases]
        side = settle(bodies, ours.body, theirs.body)
        if side is None:
            side = self._ask_document(key, explain(bodies, ours.body, theirs.body))
        attributes = self._merge_attributes(key, bases, ours, theirs)
        had = [base is not None and base.has_attributes for base in bases]
        keeper = settle(had, ours.has_attributes, theirs.has_attributes)
        has = (
            bool(attributes)
            or keeper is None
            or (theirs if keeper == "theirs" else ours).has_attributes
        )
        return Parts((ours if side == "ours" else theirs).body, attributes, has)

    def _merge_attributes(
        self, key: str, bases: list[Parts | None], ours: Parts, theirs: Parts
    ) -> dict[str, bytes]:
        merged = {}
        for name in ours.attributes | theirs.attributes:
            before = [None if base is None else base.attributes.get(name) for base in bases]
            values = ours.attributes.get(name), theirs.attributes.get(name)
            side = settle(before, *values)
            if side is None:
                why = explain(before, *values)
                side = self._resolver.ask(Conflict("attribute", parent_of(key), name, None, why))
            value = values[side == "theirs"]
            if value is not None:
                merged[name] = value
        return merged
