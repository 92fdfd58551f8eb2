"""A hierarchy read and written on an event loop, on block stores that may be on a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.blockstore.eventloops import is_at_once
from ipldstore.cid import DAG_PB, RAW, Link, as_link, codec_of, to_text
from ipldstore.errors import InvalidNodeError
from ipldstore.limits import MAX_FILE_DEPTH
from ipldstore.store.reader import Reader
from ipldstore.store.values import Cut, content_of, is_file, make_entry, read_value, value_size
from ipldstore.store.writer import Writer
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs.file import (
    CHUNK_BYTES,
    Allowance,
    FileNode,
    check_range,
    decode_file,
    links_within,
    read_content,
)


async def make_entry_on_loop(
    blocks: ContentAddressableStore, name: str, data: bytes | memoryview
) -> Link | Document:
    """`make_entry` for event loops: at once if that is quick, in a thread, or by waiting."""
    if is_at_once(blocks, len(data)):
        return make_entry(blocks, name, data)
    if blocks.is_local or name in METADATA_NAMES or len(data) > CHUNK_BYTES:
        return await asyncio.to_thread(make_entry, blocks, name, data)
    return as_link(await blocks.put_raw_async(data, "raw"))  # type: ignore[arg-type]


async def keep_on_loop(writer: Writer, segments: list[str], data: bytes) -> Link | Document:
    """`Writer.keep` for event loops."""
    if writer.waits and await find_here_on_loop(writer, segments) is not None:
        kept = await asyncio.to_thread(writer.find_kept, segments, data)
        if kept is not None:
            return kept
    return await make_entry_on_loop(writer.blocks, segments[-1], data)


async def find_on_loop(reader: Reader, segments: Sequence[str]) -> Link | Document | None:
    """`Reader.find` for event loops."""
    if not reader.waits:
        return reader.find(segments)
    return await _find_waiting(reader, reader.peek, reader.find, segments)


async def find_here_on_loop(reader: Reader, segments: Sequence[str]) -> Link | Document | None:
    """`Reader.find_here` for event loops, on a block store on a network."""
    return await _find_waiting(reader, reader.tree.peek, reader.find_here, segments)


async def _find_waiting(
    reader: Reader,
    peek: Callable[[Sequence[str]], tuple[bool, Link | Document | None]],
    find: Callable[[Sequence[str]], Link | Document | None],
    segments: Sequence[str],
) -> Link | Document | None:
    is_loaded, entry = peek(segments)
    if not is_loaded:
        await reader.fetch_async(segments)
        is_loaded, entry = peek(segments)
    return entry if is_loaded else await asyncio.to_thread(find, segments)


async def insert_on_loop(
    writer: Writer,
    insert: Callable[[list[str], Link | Document], object],
    segments: list[str],
    entry: Link | Document,
) -> None:
    """Set an entry, by a method of the writer, for event loops.

    It takes no waiting, neither for blocks nor for another thread, where all is loaded and nobody
    holds the lock.
    """
    if writer.waits:
        await writer.fetch_async(segments)
    if not writer.waits or (not writer.lock.is_taken and writer.peek(segments)[0]):
        insert(segments, entry)
    else:
        await asyncio.to_thread(insert, segments, entry)


async def size_on_loop(blocks: ContentAddressableStore, entry: Link | Document) -> int:
    """`value_size` for event loops."""
    if isinstance(entry, Document):
        return value_size(blocks, entry)
    if blocks.is_local and codec_of(entry) == RAW:
        size = blocks.size_of(entry)
        if size is not None:
            return size
    return await asyncio.to_thread(value_size, blocks, entry)


def read_at_once(
    blocks: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview | None:
    """`read_value` if it is so quick that an event loop may do it itself, else None."""
    if isinstance(entry, Document):
        return read_value(blocks, entry, cut)
    if not blocks.is_local or codec_of(entry) == DAG_PB:
        return None
    block = blocks.get_small(entry)
    return None if block is None else content_of(entry, block, cut)


async def read_on_loop(
    blocks: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` for event loops: at once if that is quick, in a thread, or by waiting."""
    data = read_at_once(blocks, entry, cut)
    return await read_waiting(blocks, entry, cut) if data is None else data


async def read_waiting(
    blocks: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` in a thread, or by waiting for a network."""
    if blocks.is_local:
        return await asyncio.to_thread(read_value, blocks, entry, cut)
    return await read_value_async(blocks, entry, cut)


async def read_value_async(
    blocks: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` on a network, which loads all blocks of a value at once."""
    if isinstance(entry, Document):
        return read_value(blocks, entry, cut)
    block = await blocks.get_block_async(entry)
    if is_file(entry):
        file = decode_file(entry, block)
        start, stop = (0, file.size) if cut is None else cut(file.size)
        return await _read_content_async(blocks, file, start, stop)
    return content_of(entry, block, cut)


async def read_file_on_loop(
    blocks: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> memoryview:
    """`read_content` for event loops: in a thread, or by waiting."""
    if blocks.is_local:
        load, fill = blocks.get_block, blocks.fill_block
        return await asyncio.to_thread(read_content, file, load, start, stop, fill)
    return await _read_content_async(blocks, file, start, stop)


async def _read_content_async(
    blocks: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> memoryview:
    loaded = await _load_content(blocks, file, start, stop)
    return read_content(file, loaded.__getitem__, start, stop)


async def _load_content(
    blocks: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> dict[Link, bytes]:
    """Load the blocks for a range of a file, level by level."""
    loaded: dict[Link, bytes] = {}

    async def load(link: Link) -> None:
        loaded[link] = data = await blocks.get_block_async(link)
        if codec_of(link) == RAW and len(data) != sizes[link]:
            raise InvalidNodeError(
                f"block {to_text(link)}: {len(data)} bytes of content, {sizes[link]} announced"
            )

    check_range(start, min(stop, file.size))
    level, allowance = [(file, 0)], Allowance()
    for _ in range(MAX_FILE_DEPTH):
        found: list[tuple[Link, int, int]] = []
        for node, offset in level:
            here = links_within(node, offset, start, stop)
            allowance.take(len(here))
            found += here
        sizes = {link: size for link, _, size in found}
        await asyncio.gather(*map(load, sizes.keys() - loaded.keys()))
        level = []
        for link, offset, _ in found:
            if codec_of(link) != RAW:
                allowance.take(0, len(loaded[link]))
                level.append((decode_file(link, loaded[link]), offset))
    if level:
        raise InvalidNodeError(f"file nested more than {MAX_FILE_DEPTH} levels deep")
    return loaded
