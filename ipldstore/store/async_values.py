"""Values for event loops, on block stores that may wait on a network."""

from __future__ import annotations

import asyncio

from ipldstore.cid import DAG_CBOR, RAW, Link, as_link, codec_of
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.store.values import Cut, content_of, make_entry, read_value
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs import (
    CHUNK_BYTES,
    MAX_DEPTH,
    FileNode,
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
    level = [(file, 0)]
    for _ in range(MAX_DEPTH):
        found = [pair for node, offset in level for pair in links_within(node, offset, start, stop)]
        wanted = {link for link, _ in found}.difference(blocks)
        loaded = await asyncio.gather(*map(backend.get_block_async, wanted))
        blocks.update(zip(wanted, loaded, strict=True))
        level = [
            (decode_file(link, blocks[link]), offset)
            for link, offset in found
            if codec_of(link) != RAW
        ]
