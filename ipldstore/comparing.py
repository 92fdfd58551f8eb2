"""What changed between two hierarchies, group by group and array by array: `compare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from ipldstore.diffing import Change, diff
from ipldstore.errors import TAKE_A_PART, InvalidKeyError, LimitExceededError
from ipldstore.limits import MAX_REPORT_LENGTH
from ipldstore.model.boxes import Places, elements_of, span_of
from ipldstore.model.metadata import Metadata, read_metadata
from ipldstore.model.nodechange import (
    KINDS,
    MISSING,
    NodeChange,
    changed_attributes,
    changed_fields,
    find_kind,
    text_of,
)
from ipldstore.model.outline import find_directory
from ipldstore.names.finding import Blocks, HierarchyLike, found_store, share_blocks
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.order import natural_key
from ipldstore.views.report import draw_html, draw_text

__all__ = ["MISSING", "Comparison", "NodeChange", "compare"]

_NODE_LENGTH = 500
"""What a group or array counts in a report, in characters, besides what is said of it."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """What changed between two hierarchies.

    It shows in a terminal and in notebooks, shortened where there is much; it is false where
    nothing differs.

    Attributes
    ----------
    before, after : str or None
        The root CIDs; None of a store that is not frozen.
    nodes : tuple of NodeChange
        The groups and arrays that changed, in natural order of their paths.
    other : dict of str to int
        How many keys were added, removed and changed of which the groups and arrays do not tell:
        neither chunks nor metadata, or metadata that is malformed, consolidated or written in
        another way.
    """

    before: str | None
    after: str | None
    nodes: tuple[NodeChange, ...] = ()
    other: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def __bool__(self) -> bool:
        return bool(self.nodes) or any(self.other.values())

    def __str__(self) -> str:
        return draw_text(self.before, self.after, self.nodes, self.other)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return draw_html(self.before, self.after, self.nodes, self.other)

    def as_dict(self) -> dict[str, Any]:
        """Return this as JSON data."""
        return {
            "before": self.before,
            "after": self.after,
            "nodes": [node.as_dict() for node in self.nodes],
            "other": dict(self.other),
        }


def compare(a: HierarchyLike, b: HierarchyLike, blocks: Blocks | None = None) -> Comparison:
    """Say what changed between two hierarchies: groups, arrays, attributes, and which elements.

    Elements are told by whole chunks, as values are not read.

    As much is loaded as `diff` loads, the metadata of what changed, and of coordinates of arrays
    whose chunks changed those chunks that hold the first and last value, if zarr is installed.
    A coordinate that cannot be read is left out.

    Parameters
    ----------
    a, b
        The old and the new hierarchy, as in `diff`.
    blocks
        Where the blocks of roots are, as in `diff`.

    Raises
    ------
    LimitExceededError
        If there is more to say than `ipldstore.limits.MAX_REPORT_LENGTH`.
    BlockStoreURLError, BackendError, InvalidCIDError
        As `ipldstore.open`.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If a node that is needed cannot be had or read.

    Examples
    --------
    >>> import ipldstore
    >>> store = ipldstore.IPLDStore()
    >>> store["a/.zarray"] = b'{"zarr_format": 2, "shape": [6], "chunks": [2]}'
    >>> store["a/0"] = store["a/1"] = b"old"
    >>> root = store.freeze()
    >>> store["a/1"] = store["a/2"] = b"new"
    >>> found = ipldstore.compare(root, store).nodes[0]
    >>> found.path, found.chunks, found.ranges
    ('a', {'added': 1, 'removed': 0, 'changed': 1}, (((2, 6),),))
    """
    with ExitStack() as stack:
        shared = share_blocks((a, b), blocks, stack)
        old, new = (
            stack.enter_context(found_store(*side)) for side in zip((a, b), shared, strict=True)
        )
        return _compare(old, new)


class _Gathered:
    """What `diff` tells of one group or array."""

    def __init__(self) -> None:
        self.documents: Counter[str] = Counter()
        self.chunks: Counter[str] = Counter()
        self.places = Places()


def _compare(old: Hierarchy, new: Hierarchy) -> Comparison:
    other: Counter[str] = Counter()
    budget = _Budget()
    gathered = _gather(diff(old, new), other, budget)
    nodes = []
    for path in sorted(gathered, key=lambda path: list(map(natural_key, path.split("/")))):
        found = gathered.pop(path)
        before, after = _metadata(old, path), _metadata(new, path)
        node = _make_node(path, found, before, after)
        if node is None or not node:
            other += found.documents
            continue
        budget.take(len(text_of(node.as_dict())))
        nodes.append(_with_coordinates(node, (old, before), (new, after)))
    return Comparison(_name(old), _name(new), tuple(nodes), {kind: other[kind] for kind in KINDS})


class _Budget:
    """Counts what is held, and refuses too much of it."""

    def __init__(self) -> None:
        self._left = MAX_REPORT_LENGTH

    def take(self, length: int) -> None:
        """Hold so many characters more."""
        self._left -= length
        if self._left < 0:
            raise LimitExceededError(
                f"what changed takes more than {MAX_REPORT_LENGTH:,} characters to say; "
                f"{TAKE_A_PART}"
            )


def _gather(
    changes: Iterable[Change], other: Counter[str], budget: _Budget
) -> dict[str, _Gathered]:
    """Count changes by the path that they are about, and all others in `other`."""
    gathered: dict[str, _Gathered] = {}
    for change in changes:
        above, _, name = change.key.rpartition("/")
        path = above if name in METADATA_NAMES else change.array
        if path is None:
            other[change.kind] += 1
            continue
        if path not in gathered:
            budget.take(_NODE_LENGTH + len(path))
            gathered[path] = _Gathered()
        if change.chunk is None:
            gathered[path].documents[change.kind] += 1
        else:
            gathered[path].chunks[change.kind] += 1
            gathered[path].places.add(change.chunk)
    return gathered


def _metadata(store: Hierarchy, path: str) -> Metadata:
    load = store.blocks.get_block
    segments = path.split("/") if path else []
    try:
        return store.reader.look(
            lambda top, _: read_metadata(find_directory(top, segments, load), load)
        )
    except InvalidKeyError:
        return Metadata()


def _make_node(path: str, found: _Gathered, old: Metadata, new: Metadata) -> NodeChange | None:
    kind = old.kind if new.kind == "directory" else new.kind
    if kind == "directory":
        return None
    ranges, is_exact = _find_ranges(found.places, old, new)
    return NodeChange(
        path,
        find_kind(old, new),
        kind,
        changed_fields(old, new),
        changed_attributes(old, new),
        {kind: found.chunks[kind] for kind in KINDS},
        ranges,
        is_exact,
    )


def _find_ranges(places: Places, old: Metadata, new: Metadata) -> tuple[tuple[Any, ...], bool]:
    """Return which elements are in chunks that changed."""
    known = [
        side for side in (old, new) if side.shape is not None and side.stored_shape is not None
    ]
    if len({side.stored_shape for side in known}) != 1:
        return (), True
    cells = known[0].stored_shape
    assert cells is not None
    shape = tuple(map(max, zip(*(side.shape or () for side in known), strict=True)))
    boxes, is_exact = places.boxes()
    found = (elements_of(box, cells, shape) for box in boxes if len(box) == len(cells))
    return tuple(box for box in found if box is not None), is_exact


def _with_coordinates(
    node: NodeChange, old: tuple[Hierarchy, Metadata], new: tuple[Hierarchy, Metadata]
) -> NodeChange:
    """Say which coordinates the elements have that changed, by the side that has all of them."""
    if not node.ranges:
        return node
    span = span_of(node.ranges)
    group = node.path.rpartition("/")[0]
    coordinates: dict[str, tuple[Any, Any]] = {}
    for axis, name in enumerate(new[1].dimensions or old[1].dimensions or ()):
        if not name or "/" in name or axis >= len(span):
            continue
        for store, _ in (new, old):
            path = f"{group}/{name}" if group else name
            pair = _read_coordinate(store, path, span[axis])
            if pair is not None:
                coordinates[name] = pair
                break
    return replace(node, coordinates=coordinates) if coordinates else node


def _read_coordinate(store: Hierarchy, path: str, side: tuple[int, int]) -> tuple[Any, Any] | None:
    try:
        from ipldstore.faces.coordinates import read_ends

        return read_ends(store, path, _metadata(store, path), side)
    except Exception:
        return None


def _name(store: Hierarchy) -> str | None:
    root = store.root_cid
    return None if root is None else str(root)
