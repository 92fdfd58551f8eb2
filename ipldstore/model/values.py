"""The values below an array: found in the directories' nodes, without reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, TypeAlias, TypeVar

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, RAW, Link, codec_of, identity_data
from ipldstore.errors import TAKE_A_PART, InvalidNodeError, LimitExceededError
from ipldstore.limits import MAX_HELD_KEYS, MAX_SEGMENTS
from ipldstore.model.cells import Shape
from ipldstore.model.chunkkeys import ChunkKeys
from ipldstore.model.metadata import Metadata
from ipldstore.tree.decode import open_directory
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.nodes import Directory, Entry, is_value
from ipldstore.tree.pages import Load, scan_entries
from ipldstore.unixfs.file import decode_file

Place: TypeAlias = tuple[int, ...]
S = TypeVar("S", int, "int | None")
SizeOf: TypeAlias = Callable[[Link | Document], int | None]


class Value(NamedTuple):
    """A value below an array's directory.

    `segments` is its key below that directory. `place` is which chunk, or shard, of the grid it is;
    None if it is none.
    """

    segments: tuple[str, ...]
    entry: Link | Document
    place: Place | None


@dataclass(slots=True)
class Count:
    """How much is stored of an array.

    Chunks, or shards, are all values but metadata, and only those within the grid where the
    metadata says what that is. Bytes are those of all values but metadata as they are stored, such
    as compressed; equal ones count each. They are None if not all are known.
    """

    chunks: int = 0
    stored_bytes: int | None = 0


def iter_values(
    directory: Directory, metadata: Metadata, load: Load, numbers: Iterator[int] | None = None
) -> Iterator[Value]:
    """Iterate the values below an array's directory that are no metadata, in natural order.

    `numbers` numbers the entries that are visited, from one, where several arrays share a limit.
    """
    keys, grid = metadata.keys, metadata.grid
    stack: list[tuple[tuple[str, ...], Iterator[tuple[str, Entry]]]]
    stack = [((), scan_entries(directory, load))]
    numbers = count(1) if numbers is None else numbers
    while stack:
        above, entries = stack[-1]
        found = next(entries, None)
        if found is None:
            stack.pop()
            continue
        check_number(next(numbers))
        segment, entry = found
        segments = (*above, segment)
        if is_value(entry, segment):
            if segment not in METADATA_NAMES:
                yield Value(segments, entry, _place(segments, keys, grid))
            continue
        if len(segments) >= MAX_SEGMENTS:
            raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels at {segment!r}")
        stack.append((segments, scan_entries(open_directory(entry, load), load)))


def check_number(number: int) -> None:
    """Raise `LimitExceededError` if too many entries were visited."""
    if number > MAX_HELD_KEYS:
        raise LimitExceededError(
            f"more than {MAX_HELD_KEYS:,} entries in directories; {TAKE_A_PART}"
        )


def count_values(
    directory: Directory,
    metadata: Metadata,
    load: Load,
    size_of: SizeOf,
    numbers: Iterator[int] | None = None,
) -> Count:
    """Count what is stored of an array; parameters and errors as in `iter_values`."""
    found = Count()
    everything = metadata.keys is None or metadata.grid is None
    for value in iter_values(directory, metadata, load, numbers):
        found.chunks += everything or value.place is not None
        if found.stored_bytes is not None:
            size = size_of(value.entry)
            found.stored_bytes = None if size is None else found.stored_bytes + size
    return found


def _place(segments: tuple[str, ...], keys: ChunkKeys | None, grid: Shape | None) -> Place | None:
    if keys is None or grid is None:
        return None
    place = keys.coordinate(segments)
    return place if place is not None and all(map(int.__lt__, place, grid)) else None


def make_size_of(blocks: ContentAddressableStore, load: Load) -> SizeOf:
    """Return what tells the size of a value where the block store knows it, without reading it."""

    def size_of(entry: Link | Document) -> int | None:
        if isinstance(entry, Document):
            return len(entry.to_json())
        codec = codec_of(entry)
        if codec == RAW:
            data = identity_data(entry)
            return blocks.size_of(entry) if data is None else len(data)
        return None if codec == DAG_CBOR else decode_file(entry, load(entry)).size

    return remembering(size_of)


def remembering(size_of: Callable[[Link | Document], S]) -> Callable[[Link | Document], S]:
    """Return what tells sizes, and loads each document and file of several blocks only once."""
    known: dict[Link, S] = {}

    def tell(entry: Link | Document) -> S:
        if isinstance(entry, Document) or codec_of(entry) == RAW:
            return size_of(entry)
        if entry not in known:
            known[entry] = size_of(entry)
        return known[entry]

    return tell
