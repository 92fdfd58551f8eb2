"""Values for event loops, on block stores that may wait on a network."""

from __future__ import annotations

import asyncio

from ipldstore.cid import DAG_CBOR, RAW, Link, as_link, codec_of, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidNodeError
from ipldstore.limits import MAX_FILE_DEPTH
from ipldstore.store.values import Cut, content_of, make_entry, read_value
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs import (
    CHUNK_BYTES,
    Allowance,
    FileNode,
    check_range,
    decode_file,
    links_within,
    read_content,
)


async def make_entry_async(
    backend: ContentAddressableStore, name: str, data: bytes | memoryview
) -> Link | Document:
    """`make_entry` for event loops; a value of several blocks is cut up in a thread."""
    if name in METADATA_NAMES or len(data) > CHUNK_BYTES:
        return await asyncio.to_thread(make_entry, backend, name, data)
    return as_link(await backend.put_raw_async(data, "raw"))  # type: ignore[arg-type]


async def read_value_async(
    backend: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` for event loops, which loads all blocks of a value at once."""
    if isinstance(entry, Document):
        return read_value(backend, entry, cut)
    blocks = {entry: await backend.get_block_async(entry)}
    if codec_of(entry) not in (RAW, DAG_CBOR):
        node = decode_file(entry, blocks[entry])
        start, stop = (0, node.size) if cut is None else cut(node.size)
        await _load_content(backend, node, start, stop, blocks)
        return read_content(node, blocks.__getitem__, start, stop)
    return content_of(entry, blocks[entry], cut)


async def _load_content(
    backend: ContentAddressableStore,
    file: FileNode,
    start: int,
    stop: int,
    blocks: dict[Link, bytes],
) -> None:
    """Load the blocks for a range of a file, level by level."""

    async def load(link: Link) -> None:
        blocks[link] = data = await backend.get_block_async(link)
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
        await asyncio.gather(*map(load, sizes.keys() - blocks.keys()))
        level = []
        for link, offset, _ in found:
            if codec_of(link) != RAW:
                allowance.take(0, len(blocks[link]))
                level.append((decode_file(link, blocks[link]), offset))
    if level:
        raise InvalidNodeError(f"file nested more than {MAX_FILE_DEPTH} levels deep")
