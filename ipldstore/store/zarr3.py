"""The store for zarr-python 3: a mapping that is also a ``zarr.abc.store.Store``."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from itertools import islice
from typing import Any, TypeVar, overload

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from ipldstore.cid import DAG_PB, Link, codec_of
from ipldstore.errors import InvalidKeyError, IPLDStoreError
from ipldstore.store.async_values import make_entry_async, read_value_async
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.store.values import Cut, make_entry, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_key

Default = TypeVar("Default")
Result = TypeVar("Result")

_KEYS_AT_ONCE = 1000


class _Done:
    """Awaitable result of work that is done already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class IPLDStore(HierarchyMapping, Store):
    """A Zarr store and a mapping on content-addressed blocks.

    The same object goes into ``ds.to_zarr(store)``, ``xarray.open_zarr(store)`` and
    ``zarr.open(store)``, and takes and gives ``store[key]``. Parameters and methods are those of
    `HierarchyMapping`.
    """

    _is_open = False

    @overload  # type: ignore[override]
    def get(self, key: str) -> bytes | None: ...
    @overload
    def get(
        self,
        key: str,
        default: BufferPrototype,
        byte_range: ByteRequest | None = None,
    ) -> Awaitable[Buffer | None]: ...
    @overload
    def get(
        self,
        key: str,
        *,
        prototype: BufferPrototype,
        byte_range: ByteRequest | None = None,
    ) -> Awaitable[Buffer | None]: ...
    @overload
    def get(self, key: str, default: Default) -> bytes | Default: ...

    def get(
        self,
        key: str,
        default: Any = None,
        byte_range: ByteRequest | None = None,
        *,
        prototype: BufferPrototype | None = None,
    ) -> Any:
        """Return a value: of the mapping at once, or for zarr to be awaited.

        ``get(key, default=None)`` is the mapping's and returns ``bytes``; ``get(key, prototype,
        byte_range=None)`` is zarr's.
        """
        if isinstance(default, BufferPrototype):
            prototype = default
        if prototype is not None:
            return self._get(key, prototype, byte_range)
        return HierarchyMapping.get(self, key, default)

    def clear(self) -> Awaitable[None]:  # type: ignore[override]
        """Remove every key, at once; the result may be awaited, as zarr does."""
        HierarchyMapping.clear(self)
        return _Done()

    def close(self) -> None:
        HierarchyMapping.close(self)
        Store.close(self)

    @property
    def supports_writes(self) -> bool:
        return True

    @property
    def supports_deletes(self) -> bool:
        return True

    @property
    def supports_listing(self) -> bool:
        return True

    @property
    def _supports_sync_io(self) -> bool:
        return self.backend.inline_limit > 0

    async def _get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer | None:
        await self._ensure_open()
        entry = await self._find_async(key)
        if entry is None:
            return None
        cut = _cut(byte_range)
        if self._is_quick(entry):
            data = self._read(key, entry, cut)
        elif self._works_inline:
            data = await asyncio.to_thread(self._read, key, entry, cut)
        else:
            data = await self._read_async(key, entry, cut)
        return prototype.buffer.from_bytes(data)

    async def _read_async(
        self, key: str, entry: Link | Document, cut: Cut | None
    ) -> bytes | memoryview:
        try:
            return await read_value_async(self.backend, entry, cut)
        except IPLDStoreError as error:
            error.add_note(f"while reading key {key!r}")
            raise

    @property
    def _works_inline(self) -> bool:
        """Whether the event loop may load directories itself."""
        return self.backend.inline_limit > 0

    async def _run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do what may load directories."""
        if self._works_inline:
            return work(*arguments)
        return await asyncio.to_thread(work, *arguments)

    async def _find_async(self, key: str) -> Link | Document | None:
        if self._works_inline:
            return self._find(key)
        is_loaded, entry = self._state.tree.peek(split_key(key))
        return entry if is_loaded else await asyncio.to_thread(self._find, key)

    def _is_quick(self, entry: Link | Document) -> bool:
        """Whether reading a value is so quick that the event loop may do it itself."""
        if isinstance(entry, Document):
            return True
        limit = self.backend.inline_limit
        if not limit or codec_of(entry) == DAG_PB:
            return False
        size = self.backend.size_of(entry)
        return size is not None and size <= limit

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        return await asyncio.gather(
            *(self._get(key, prototype, byte_range) for key, byte_range in key_ranges)
        )

    async def exists(self, key: str) -> bool:
        try:
            return await self._find_async(key) is not None
        except InvalidKeyError:
            return False

    async def set(self, key: str, value: Buffer) -> None:
        await self._ensure_open()
        segments, data = self._prepare(key, value)
        if not self._works_inline:
            entry = await make_entry_async(self.backend, segments[-1], data)
        elif len(data) <= self.backend.inline_limit:
            entry = make_entry(self.backend, segments[-1], data)
        else:
            entry = await asyncio.to_thread(make_entry, self.backend, segments[-1], data)
        if self._works_inline or self._inserts_at_once(segments):
            self._insert(segments, entry)
        else:
            await asyncio.to_thread(self._insert, segments, entry)

    def _inserts_at_once(self, segments: Sequence[str]) -> bool:
        """Whether to set an entry takes no waiting, neither for blocks nor for another thread."""
        state = self._state
        return not state.lock.is_taken and state.tree.peek(segments)[0]

    def _prepare(self, key: str, value: Buffer) -> tuple[list[str], bytes]:
        self._check_writable()
        if not isinstance(value, Buffer):
            raise TypeError(f"expected a zarr Buffer for key {key!r}, not {type(value).__name__}")
        return split_key(key), value.as_buffer_like()  # type: ignore[return-value]

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check_writable()
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        await self._run(self.delete_sync, key)

    async def delete_dir(self, prefix: str) -> None:
        self._check_writable()
        await self._run(self._remove_directory, prefix)

    async def is_empty(self, prefix: str) -> bool:
        return not await self._run(self._list_directory, prefix)

    async def list(self) -> AsyncIterator[str]:
        async for key in self._iter_keys_async([]):
            yield key

    async def _iter_keys_async(self, segments: Sequence[str]) -> AsyncIterator[str]:
        keys = self._iter_keys(segments)
        while batch := await self._run(_take, keys):
            for key in batch:
                yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        folder, slash, start = prefix.rpartition("/")
        for name in await self._run(self._list_directory, folder):
            if name.startswith(start):
                path = f"{folder}{slash}{name}"
                if await self.exists(path):
                    yield path
                else:
                    async for key in self._iter_keys_async(split_key(path)):
                        yield f"{path}/{key}"

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in await self._run(self._list_directory, prefix):
            yield name

    async def getsize(self, key: str) -> int:
        entry = await self._find_async(key)
        if entry is None:
            raise FileNotFoundError(key)
        return await asyncio.to_thread(value_size, self.backend, entry)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value to zarr without an event loop."""
        entry = self._find(key)
        if entry is None:
            return None
        prototype = prototype or default_buffer_prototype()
        return prototype.buffer.from_bytes(self._read(key, entry, _cut(byte_range)))

    def set_sync(self, key: str, value: Buffer) -> None:
        """Set a value for zarr without an event loop."""
        segments, data = self._prepare(key, value)
        self._insert(segments, make_entry(self.backend, segments[-1], data))

    def delete_sync(self, key: str) -> None:
        """Delete a value, if it is there, for zarr without an event loop."""
        self._check_writable()
        self._state.remove(split_key(key))


def _take(keys: Iterator[str]) -> list[str]:
    """Take the next keys, so many that it is worth a thread and few enough to wait for."""
    return list(islice(keys, _KEYS_AT_ONCE))


def _cut(byte_range: ByteRequest | None) -> Cut | None:
    if byte_range is None:
        return None
    if isinstance(byte_range, RangeByteRequest):
        return lambda size: (byte_range.start, min(byte_range.end, size))
    if isinstance(byte_range, OffsetByteRequest):
        return lambda size: (byte_range.offset, size)
    if isinstance(byte_range, SuffixByteRequest):
        return lambda size: (max(0, size - byte_range.suffix), size)
    raise TypeError(f"Unexpected byte_range, got {byte_range!r}")
