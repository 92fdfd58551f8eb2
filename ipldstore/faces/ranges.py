"""Byte ranges as zarr-python 3 asks for them, of which several may lie in one block."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.errors import IPLDStoreError
from ipldstore.store.async_access import read_file_on_loop, read_on_loop
from ipldstore.store.values import Cut, is_file, read_value
from ipldstore.tree.documents import Document
from ipldstore.unixfs.file import CHUNK_BYTES, decode_file, read_content

JOINED_BYTES = 16 << 20

Parts: TypeAlias = list[tuple[int, Buffer]]
"""Parts of a value, each with its place among those that were asked for."""


def as_cut(byte_range: ByteRequest | None) -> Cut | None:
    """Return the part of a value that zarr asks for, None for all of it."""
    if byte_range is None:
        return None
    if isinstance(byte_range, RangeByteRequest):
        return lambda size: (byte_range.start, min(byte_range.end, size))
    if isinstance(byte_range, OffsetByteRequest):
        return lambda size: (byte_range.offset, size)
    if isinstance(byte_range, SuffixByteRequest):
        return lambda size: (max(0, size - byte_range.suffix), size)
    raise TypeError(f"Unexpected byte_range, got {byte_range!r}")


def as_buffer(prototype: BufferPrototype | None, data: bytes | memoryview) -> Buffer:
    """Return bytes as what zarr asks for, with its default prototype if it names none."""
    if prototype is None:
        prototype = default_buffer_prototype()
    elif not isinstance(prototype, BufferPrototype):
        raise TypeError(f"expected a BufferPrototype, not {type(prototype).__name__}")
    return prototype.buffer.from_bytes(data)


async def plan_parts(
    blocks: ContentAddressableStore,
    key: str,
    entry: Link | Document,
    byte_ranges: Sequence[ByteRequest | None],
    prototype: BufferPrototype | None,
    most: int = JOINED_BYTES,
) -> Iterator[Coroutine[Any, Any, Parts]]:
    """Say how several parts of a value are read on an event loop: each by one of some works.

    Ranges of a file are joined to at most `most` bytes; a longer one stands alone.
    """
    if not is_file(entry):

        async def read_all() -> Parts:
            with _naming(key):
                data = await read_on_loop(blocks, entry)
            return _cut_out(data, 0, _resolve(byte_ranges, len(data)), prototype)

        return iter((read_all(),))
    with _naming(key):
        file = decode_file(entry, await blocks.get_block_async(entry))

    async def read_run(run: Sequence[_Range]) -> Parts:
        start, stop = _bounds(run)
        with _naming(key):
            data = await read_file_on_loop(blocks, file, start, stop)
        return _cut_out(data, start, run, prototype)

    return map(read_run, _join(_resolve(byte_ranges, file.size), most))


def read_parts(
    blocks: ContentAddressableStore,
    key: str,
    entry: Link | Document,
    byte_ranges: Sequence[ByteRequest | None],
    prototype: BufferPrototype | None,
    most: int = JOINED_BYTES,
) -> Parts:
    """Read several parts of a value; parameters and errors as in `plan_parts`."""
    with _naming(key):
        if not is_file(entry):
            data = read_value(blocks, entry)
            return _cut_out(data, 0, _resolve(byte_ranges, len(data)), prototype)
        file = decode_file(entry, blocks.get_block(entry))
        found: Parts = []
        for run in _join(_resolve(byte_ranges, file.size), most):
            start, stop = _bounds(run)
            data = read_content(file, blocks.get_block, start, stop, blocks.fill_block)
            found += _cut_out(data, start, run, prototype)
    return found


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Have errors name the key."""
    try:
        yield
    except IPLDStoreError as error:
        error.add_note(f"while reading key {key!r}")
        raise


class _Range(NamedTuple):
    """A range of a value, in bytes from its start, and its place among those asked for."""

    start: int
    stop: int
    place: int


def _resolve(byte_ranges: Sequence[ByteRequest | None], size: int) -> list[_Range]:
    """Return where in a value of a size the ranges are, in the order of where they begin."""
    found = []
    for place, byte_range in enumerate(byte_ranges):
        cut = as_cut(byte_range)
        start, stop = (0, size) if cut is None else cut(size)
        start = min(start, size)
        found.append(_Range(start, max(start, stop), place))
    return sorted(found)


def _join(ranges: Sequence[_Range], most: int) -> Iterator[list[_Range]]:
    """Join ranges of a file between which there is no block that none of them needs.

    A run is no longer than `most`, but for what lies in its last block.
    """
    run: list[_Range] = []
    start = end = 0
    for each in ranges:
        first, last = (byte // CHUNK_BYTES for byte in (each.start, each.stop - 1))
        reached = (end - 1) // CHUNK_BYTES
        is_too_long = last > reached and each.stop - start > most
        if run and (first > reached + 1 or is_too_long):
            yield run
            run = []
        if not run:
            start = end = each.start
        run.append(each)
        end = max(end, each.stop)
    if run:
        yield run


def _bounds(run: Sequence[_Range]) -> tuple[int, int]:
    return run[0].start, max(each.stop for each in run)


def _cut_out(
    data: bytes | memoryview,
    first: int,
    ranges: Sequence[_Range],
    prototype: BufferPrototype | None,
) -> Parts:
    """Cut ranges out of what was read from a first byte on."""
    view = memoryview(data)
    return [
        (place, as_buffer(prototype, view[start - first : stop - first]))
        for start, stop, place in ranges
    ]
