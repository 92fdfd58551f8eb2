"""The groups and arrays of a hierarchy as data: `make_outline`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from ipldstore.basics.words import size_text
from ipldstore.cid import to_text
from ipldstore.errors import (
    TAKE_A_PART,
    InvalidKeyError,
    InvalidNodeError,
    LimitExceededError,
)
from ipldstore.limits import MAX_OUTLINE_BYTES, MAX_SEGMENTS
from ipldstore.model.cells import CellShape, Shape
from ipldstore.model.metadata import Kind, Metadata, read_metadata
from ipldstore.model.values import SizeOf, check_number, count_values
from ipldstore.tree.decode import link_of, open_directory
from ipldstore.tree.nodes import Directory, Entry, is_value
from ipldstore.tree.pages import Load, room_of, scan_entries

MAX_DESCRIBED = 500
MAX_ATTRIBUTES = 30
MAX_TEXT_LENGTH = 200

_OBJECT_BYTES = 400
_LENGTH_BYTES = 128


@dataclass(slots=True)
class Outline:
    """A group or array, and what is below it.

    The root's name and path are empty. `kind` is ``"directory"`` where no metadata says what it is.
    What follows is None where it does not apply, or where the metadata is malformed. Chunks and
    shards are shaped as `CellShape`; of a sharded array, the shards are counted as its chunks.
    `stored_bytes` is the size of what is stored of an array, or of all arrays below, without
    metadata; None where the block store does not tell sizes. `cid` is that of the directory's
    block; None if it is not written yet, or the directory stands within the block of the one above.
    `is_loaded` is False where `max_nodes` ended the search. Attributes are short texts: of the
    first `MAX_DESCRIBED` groups and arrays that are found, the first `MAX_ATTRIBUTES` each.
    Children are in natural order.
    """

    name: str
    path: str
    kind: Kind = "directory"
    zarr_format: int | None = None
    shape: Shape | None = None
    dimensions: tuple[str | None, ...] | None = None
    dtype: str | None = None
    chunk_shape: CellShape | None = None
    shard_shape: CellShape | None = None
    chunks_present: int | None = None
    chunks_possible: int | None = None
    stored_bytes: int | None = None
    cid: str | None = None
    is_loaded: bool = True
    attributes: dict[str, str] = field(default_factory=dict, repr=False)
    children: list[Outline] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the attributes as JSON data."""
        data = {name: getattr(self, name) for name in _PLAIN}
        for name in ("shape", "dimensions", "chunk_shape", "shard_shape"):
            data[name] = _as_list(data[name])
        data["children"] = [child.as_dict() for child in self.children]
        return data

    def walk(self) -> Iterator[Outline]:
        """Iterate this and all below it, in the order of a listing."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


def _as_list(value: Any) -> Any:
    return list(map(_as_list, value)) if isinstance(value, tuple) else value


_DESCRIBED = [
    name for name in Metadata.__slots__ if name in Outline.__slots__ and name != "attributes"
]
_DESCRIBED.append("chunks_possible")
_PLAIN = [name for name in Outline.__slots__ if name not in ("attributes", "children")]


def find_directory(top: Directory, segments: list[str], load: Load) -> Directory:
    """Return the directory at a path; raise `InvalidKeyError` if there is none."""
    directory = top
    for segment in segments:
        entry = room_of(directory, segment, load).get(segment)
        if entry is None or is_value(entry, segment):
            raise InvalidKeyError(f"no group or array at {'/'.join(segments)!r}")
        directory = open_directory(entry, load)
    return directory


def make_outline(
    directory: Directory, load: Load, size_of: SizeOf, *, is_bounded: bool = False
) -> Outline:
    """Make the outline of a root directory that is loaded.

    Where `load` raises `Spent`, what would need more is left out. If that `is_bounded` to come,
    all arrays are found before the chunks of the first one are counted.
    """
    top = Outline("", "")
    numbers = count(1)
    arrays = iter_arrays(top, directory, load, numbers)
    for found, chunks, metadata in list(arrays) if is_bounded else arrays:
        try:
            counted = count_values(chunks, metadata, load, size_of, numbers)
        except Spent:
            continue
        found.chunks_present, found.stored_bytes = counted.chunks, counted.stored_bytes
    _sum_up(top)
    return top


class Spent(Exception):  # noqa: N818
    """As much was loaded as may be."""


Array: TypeAlias = tuple[Outline, Directory, Metadata]


def iter_arrays(
    top: Outline, directory: Directory, load: Load, numbers: Iterator[int]
) -> Iterator[Array]:
    """Outline what is below a directory into `top`, breadth first, and iterate the arrays in it."""
    queue: deque[tuple[Outline, Entry]] = deque([(top, directory)])
    used = 0
    for number in count():
        if not queue:
            return
        found, entry = queue.popleft()
        try:
            opened = open_directory(entry, load)
            metadata = read_metadata(opened, load)
            _describe(found, entry, metadata)
            if number < MAX_DESCRIBED:
                found.attributes = _preview(metadata.attributes or {})
            if metadata.kind == "array":
                used += _LENGTH_BYTES * sum(
                    len(side) for side in metadata.stored_shape or () if isinstance(side, tuple)
                )
                _check_used(used)
                yield found, opened, metadata
                continue
            for name, child in scan_entries(opened, load):
                check_number(next(numbers))
                if not is_value(child, name):
                    queue.append((_add_child(found, name), child))
                    used += _OBJECT_BYTES + len(queue[-1][0].path)
                    _check_used(used)
        except Spent:
            found.is_loaded = False


def _describe(found: Outline, entry: Entry, metadata: Metadata) -> None:
    link = link_of(entry)
    found.cid = None if link is None else to_text(link)
    for name in _DESCRIBED:
        setattr(found, name, getattr(metadata, name))


def _preview(attributes: dict[str, Any]) -> dict[str, str]:
    """Return some attributes as short texts, but for the one that xarray names dimensions by."""
    names = [name for name in attributes if name != "_ARRAY_DIMENSIONS"][:MAX_ATTRIBUTES]
    return {_cut(name): _cut(_text_of(attributes[name])) for name in names}


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"


def _add_child(found: Outline, name: str) -> Outline:
    child = Outline(name, f"{found.path}/{name}" if found.path else name)
    if child.path.count("/") + 1 >= MAX_SEGMENTS:
        raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels at {name!r}")
    found.children.append(child)
    return child


def _check_used(used: int) -> None:
    if used > MAX_OUTLINE_BYTES:
        raise LimitExceededError(
            f"the groups and arrays take more than {size_text(MAX_OUTLINE_BYTES)} in an outline; "
            f"{TAKE_A_PART}"
        )


def _sum_up(top: Outline) -> None:
    """Give groups the sizes of what is in them."""
    for node in reversed(list(top.walk())):
        if node.kind != "array" and node.is_loaded:
            sizes = [child.stored_bytes for child in node.children]
            known = [size for size in sizes if size is not None]
            node.stored_bytes = sum(known) if len(known) == len(sizes) else None
