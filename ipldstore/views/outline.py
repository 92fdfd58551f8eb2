"""The groups and arrays of a hierarchy as data: `outline`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias, TypeVar

from ipldstore.cid import Link, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import (
    TAKE_A_PART,
    InvalidKeyError,
    InvalidNodeError,
    LimitExceededError,
)
from ipldstore.limits import MAX_OUTLINE_BYTES, MAX_SEGMENTS
from ipldstore.store.expansion import check_held
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.tree.decode import decode_directory, decode_stub
from ipldstore.tree.keys import split_path
from ipldstore.tree.nodes import Directory, Entry, is_value
from ipldstore.tree.pages import Load, room_of, scan_entries
from ipldstore.views.cells import CellShape, Shape
from ipldstore.views.chunks import SizeOf, check_number, count_values, make_size_of, open_directory
from ipldstore.views.metadata import Kind, Metadata, read_metadata
from ipldstore.views.words import size_text

Result = TypeVar("Result")

SIZES_PER_NODE = 64
"""How many sizes a block store on this machine tells in the time of loading one node."""

MAX_DESCRIBED = 500
MAX_ATTRIBUTES = 30
MAX_TEXT_LENGTH = 200

_OBJECT_BYTES = 400
_LENGTH_BYTES = 128


@dataclass(slots=True)
class Outline:
    """A group or array, and what is below it.

    Attributes
    ----------
    name, path : str
        Its name, and its path from the root of the hierarchy; both are empty for the root.
    kind : str
        ``"group"``, ``"array"``, or ``"directory"`` where no metadata says what it is.
    zarr_format : int or None
        2 or 3.
    shape : tuple of int or None
        The shape of an array. This and what follows is None where it does not apply, or where
        the metadata is malformed.
    dimensions : tuple of str or None, or None
        The names of its dimensions.
    dtype : str or None
        Its type.
    chunk_shape, shard_shape : tuple or None
        The shape of its chunks, and of the shards that hold them if it is sharded: for each
        dimension an int or, in a rectilinear grid, the lengths in order, as tuples of a length
        and how many chunks in a row have it.
    chunks_present, chunks_possible : int or None
        How many chunks are stored, and how many there can be; of a sharded array the shards.
    stored_bytes : int or None
        Size of what is stored of an array, or of all arrays below; metadata does not count. None
        where the block store does not tell sizes.
    cid : str or None
        The CID of its directory's block. None if the block is not written yet, or the directory
        stands within the block of the one above.
    is_loaded : bool
        False where `max_nodes` ended the search.
    attributes : dict of str to str
        What users noted about it, as short texts: of the first `MAX_DESCRIBED` groups and arrays
        that are found, the first `MAX_ATTRIBUTES` each.
    children : list of Outline
        What is in a group or directory, in natural order.
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


def outline(store: HierarchyMapping, path: str = "", *, max_nodes: int | None = None) -> Outline:
    """Say which groups and arrays there are, without reading values.

    Parameters
    ----------
    store
        The hierarchy, as it stands, frozen or not.
    path
        The group or array to begin from.
    max_nodes
        How many blocks may be loaded, besides those on the way to `path`. Groups come first,
        then the chunks of the arrays are counted. Of sizes, a block store on a network is asked
        for as many, and one on this machine for `SIZES_PER_NODE` times as many.

    Returns
    -------
    Outline
        With ``chunks_present`` None where they were not counted.

    Raises
    ------
    InvalidKeyError
        If there is no group, array or directory at the path.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError
        If a directory or document cannot be had or read.
    LimitExceededError
        If there are more groups and arrays, or chunks, than `ipldstore.limits` allow.

    Examples
    --------
    >>> from ipldstore.store.mapping import HierarchyMapping
    >>> store = HierarchyMapping()
    >>> store[".zgroup"] = b'{"zarr_format": 2}'
    >>> store["a/.zarray"] = b'{"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<f8"}'
    >>> store["a/1"] = b"chunk"
    >>> found = outline(store)
    >>> found.kind, [(array.name, array.shape, array.dtype) for array in found.children]
    ('group', [('a', (4,), 'float64')])
    >>> found.children[0].chunks_present, found.children[0].chunks_possible
    (1, 2)
    """
    segments = split_path(path)
    backend = store.backend

    def describe(top: Directory, root: Link | None) -> Outline:
        directory = find_directory(top, segments, backend.get_block)
        if max_nodes is None:
            check_held(directory, backend.get_block)
        load = _bounded(backend.get_block, max_nodes)
        size_of = _bounded_sizes(backend, max_nodes)
        found = make_outline(directory, segments, load, size_of, is_bounded=max_nodes is not None)
        if root is not None and not segments:
            found.cid = to_text(root)
        return found

    return look_into(store, describe)


def look_into(store: HierarchyMapping, look: Callable[[Directory, Link | None], Result]) -> Result:
    """Return what a function makes of a hierarchy as it stands, while nobody changes it.

    Parameters
    ----------
    store
        The hierarchy.
    look
        Called with its root directory and its root, None while it is not frozen. One that is
        frozen is read beside what the store has loaded, so that others need not wait; else the
        function must not call the store.
    """
    state = store._state
    with state.lock():
        root = state.tree.root
        if root is None:
            return look(state.tree.top, None)
    return look(decode_directory(root, state.backend.get_block(root), root=True), root)


def find_directory(top: Directory, segments: list[str], load: Load) -> Directory:
    """Return the directory at a path.

    Raises
    ------
    InvalidKeyError
        If there is none.
    """
    directory = top
    for segment in segments:
        entry = room_of(directory, segment, load).get(segment)
        if entry is None or is_value(entry, segment):
            raise InvalidKeyError(f"no group or array at {'/'.join(segments)!r}")
        directory = open_directory(entry, load)
    return directory


def make_outline(
    directory: Directory,
    segments: list[str],
    load: Load,
    size_of: SizeOf,
    *,
    is_bounded: bool = False,
) -> Outline:
    """Make the outline of a directory that is loaded, as `outline` does; errors as there.

    Where `load` raises `Spent`, what would need more is left out. If that `is_bounded` to come,
    all arrays are found before the chunks of the first one are counted.
    """
    top = Outline(segments[-1] if segments else "", "/".join(segments))
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
    """Outline what is below a directory, breadth first, and iterate the arrays in it.

    Parameters and errors as in `make_outline` and `iter_values`; `top` is filled in.
    """
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
    found.cid = _cid_of(entry)
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


def _cid_of(entry: Entry) -> str | None:
    link = entry if isinstance(entry, Link) else None
    if isinstance(entry, Directory) and entry.stub is not None:
        link = decode_stub(entry.stub)
    return None if link is None else to_text(link)


def _sum_up(top: Outline) -> None:
    """Give groups the sizes of what is in them."""
    for node in reversed(list(top.walk())):
        if node.kind != "array" and node.is_loaded:
            sizes = [child.stored_bytes for child in node.children]
            known = [size for size in sizes if size is not None]
            node.stored_bytes = sum(known) if len(known) == len(sizes) else None


def _bounded(load: Load, bound: int | None) -> Load:
    """Return a load that raises `Spent` after a number of blocks."""
    if bound is None:
        return load
    left = bound

    def load_some(link: Link) -> bytes:
        nonlocal left
        if left <= 0:
            raise Spent
        left -= 1
        return load(link)

    return load_some


def _bounded_sizes(backend: ContentAddressableStore, max_nodes: int | None) -> SizeOf:
    """Return what tells sizes, and None for all after a number of them."""
    size_of = make_size_of(backend, backend.get_block)
    if max_nodes is None:
        return size_of
    left = max_nodes * (SIZES_PER_NODE if backend.inline_limit else 1)

    def size_of_some(entry: Any) -> int | None:
        nonlocal left
        left -= 1
        return size_of(entry) if left >= 0 else None

    return size_of_some
