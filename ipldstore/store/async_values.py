"""Values for event loops, on block stores that may wait on a network."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, Self, TypeVar

from ipldstore.cid import DAG_PB, RAW, Link, as_link, codec_of, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidNodeError
from ipldstore.limits import MAX_FILE_DEPTH
from ipldstore.store.values import Cut, content_of, is_file, make_entry, read_value
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

Result = TypeVar("Result")


async def make_entry_on_loop(
    backend: ContentAddressableStore, name: str, data: bytes | memoryview
) -> Link | Document:
    """`make_entry` for event loops: at once if that is quick, in a thread, or by waiting."""
    if 0 < backend.inline_limit >= len(data):
        return make_entry(backend, name, data)
    if backend.inline_limit or name in METADATA_NAMES or len(data) > CHUNK_BYTES:
        return await asyncio.to_thread(make_entry, backend, name, data)
    return as_link(await backend.put_raw_async(data, "raw"))  # type: ignore[arg-type]


def is_quick(backend: ContentAddressableStore, entry: Link | Document) -> bool:
    """Whether reading a value is so quick that an event loop may do it itself."""
    if isinstance(entry, Document):
        return True
    limit = backend.inline_limit
    if not limit or codec_of(entry) == DAG_PB:
        return False
    size = backend.size_of(entry)
    return size is not None and size <= limit


async def read_on_loop(
    backend: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` for event loops: at once if that is quick, in a thread, or by waiting."""
    if is_quick(backend, entry):
        return read_value(backend, entry, cut)
    if backend.inline_limit:
        return await asyncio.to_thread(read_value, backend, entry, cut)
    return await read_value_async(backend, entry, cut)


async def read_value_async(
    backend: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """`read_value` on a network, which loads all blocks of a value at once."""
    if isinstance(entry, Document):
        return read_value(backend, entry, cut)
    block = await backend.get_block_async(entry)
    if is_file(entry):
        file = decode_file(entry, block)
        start, stop = (0, file.size) if cut is None else cut(file.size)
        return await _read_content_async(backend, file, start, stop)
    return content_of(entry, block, cut)


async def read_file_on_loop(
    backend: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> bytes:
    """`read_content` for event loops: in a thread, or by waiting."""
    if backend.inline_limit:
        return await asyncio.to_thread(read_content, file, backend.get_block, start, stop)
    return await _read_content_async(backend, file, start, stop)


async def _read_content_async(
    backend: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> bytes:
    blocks = await _load_content(backend, file, start, stop)
    return read_content(file, blocks.__getitem__, start, stop)


class AsTheyEnd(Generic[Result]):
    """Works that are done several at a time; iterated, it gives the result of each as it ends.

    When the ``async with`` around that is left, those that are under way are cancelled.

    Parameters
    ----------
    works
        What to await, taken from as far as it is begun.
    limit
        How many to do at once, no limit if None.
    """

    def __init__(self, works: Iterable[Coroutine[Any, Any, Result]], limit: int | None) -> None:
        self._waiting = iter(works)
        self._limit = None if limit is None else max(1, limit)
        self._going: set[asyncio.Task[Result]] = set()
        self._done: set[asyncio.Task[Result]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, *self._done, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        if not self._done:
            free = None if self._limit is None else self._limit - len(self._going)
            self._going |= set(map(asyncio.create_task, islice(self._waiting, free)))
            if not self._going:
                raise StopAsyncIteration
            self._done, self._going = await asyncio.wait(
                self._going, return_when=asyncio.FIRST_COMPLETED
            )
        return self._done.pop().result()


async def _load_content(
    backend: ContentAddressableStore, file: FileNode, start: int, stop: int
) -> dict[Link, bytes]:
    """Load the blocks for a range of a file, level by level."""
    blocks: dict[Link, bytes] = {}

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
    return blocks
