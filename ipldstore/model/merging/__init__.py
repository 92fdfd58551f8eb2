"""A three-way merge of hierarchies by content: chunks, attributes, documents, whole nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from ipldstore.cid import Link
from ipldstore.formats import dagcbor
from ipldstore.model.differences import Source
from ipldstore.model.merging.conflicts import (
    SIDES,
    Conflict,
    Resolve,
    Resolver,
    Side,
    check_resolve,
    describe,
    settle,
)
from ipldstore.model.merging.consolidated import follow_members
from ipldstore.model.merging.merge import Outcome, Outcomes, merge_keys
from ipldstore.model.merging.nodes import settle_nodes
from ipldstore.model.merging.sides import Sides
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Put
from ipldstore.tree.keys import METADATA_NAMES, split_key
from ipldstore.tree.pages import Load
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

__all__ = [
    "Conflict",
    "Merged",
    "Resolve",
    "Side",
    "apply_merged",
    "check_resolve",
    "describe",
    "merge_trees",
]

Value: TypeAlias = Link | Document

_EMPTY = dagcbor.encode({})


class Merged(NamedTuple):
    """What came of a merge.

    `changes` are what the keys of the side `onto` have to become, which is the side with fewer of
    them; None removes a key. They count only where there are no `conflicts`.
    """

    onto: Side
    changes: dict[str, Value | None]
    conflicts: list[Conflict]


def merge_trees(
    bases: Sequence[Link | None],
    ours: Link | None,
    theirs: Link | None,
    load: Load,
    name: Callable[[bytes], Link],
    *,
    resolve: Resolve | None = None,
) -> Merged:
    """Merge two hierarchies, given one or more that both came from; None is an empty one.

    Only what differs is loaded. `load` returns blocks, verified, `name` the CID of one of dag-cbor.
    Swapping the sides, and what `resolve` answers, leads to the same hierarchy.
    """
    resolver = Resolver(resolve)
    bases = bases or (None,)
    side = _settle_at_once([*bases, ours, theirs], name)
    if side is not None:
        return Merged(side, {}, [])
    sides = Sides(bases, ours, theirs, Source(load, name))
    outcomes = merge_keys(sides, settle_nodes(sides, resolver), resolver)
    if resolver.conflicts:
        return Merged("ours", {}, resolver.conflicts)
    follow_members(outcomes)
    changed = {side: _changed_keys(outcomes, side, name) for side in SIDES}
    onto = min(SIDES, key=lambda side: len(changed[side]))
    return Merged(onto, {key: _value(outcomes, key) for key in changed[onto]}, [])


def _settle_at_once(roots: Sequence[Link | None], name: Callable[[bytes], Link]) -> Side | None:
    """Return the side that has all, None if both differ from what they came from."""
    *bases, ours, theirs = (name(_EMPTY) if root is None else root for root in roots)
    return settle(bases, ours, theirs)


def _changed_keys(outcomes: Outcomes, side: Side, name: Callable[[bytes], Link]) -> list[str]:
    rows = outcomes.sides.rows
    return [
        key
        for key, outcome in outcomes.found.items()
        if outcome != side and rows[key].of(side) != _link(outcomes, key, outcome, name)
    ]


def _link(
    outcomes: Outcomes, key: str, outcome: Outcome, name: Callable[[bytes], Link]
) -> Link | None:
    if isinstance(outcome, Document):
        return name(outcome.encoded)
    return None if outcome is None else outcomes.sides.rows[key].of(outcome)


def _value(outcomes: Outcomes, key: str) -> Value | None:
    outcome = outcomes.found[key]
    if outcome is None or isinstance(outcome, Document):
        return outcome
    if key.rpartition("/")[2] in METADATA_NAMES:
        return outcomes.sides.version(outcome).entry(key)
    return outcomes.sides.rows[key].of(outcome)


def apply_merged(
    merged: Merged,
    ours: Link | None,
    theirs: Link | None,
    load: Load,
    put: Put,
    *,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
) -> Link:
    """Make the hierarchy that a merge without conflicts leads to, and return its root.

    `put` keeps the blocks, the root last. The root is that which the merged content has.
    """
    assert not merged.conflicts
    tree = Tree(load, ours if merged.onto == "ours" else theirs, cache_bytes=cache_bytes)
    for key, value in merged.changes.items():
        if value is None:
            tree.remove(split_key(key))
    for key, value in merged.changes.items():
        if value is not None:
            tree.insert(split_key(key), value)
    return tree.freeze(put)
