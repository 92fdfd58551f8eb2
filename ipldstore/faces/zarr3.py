"""The store for zarr-python 3: a mapping that is also a ``zarr.abc.store.Store``."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from itertools import chain, islice
from typing import Any, Final, TypeVar, overload

import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype

from ipldstore.blockstore.eventloops import run_on_loop
from ipldstore.cid import Link
from ipldstore.errors import IPLDStoreError
from ipldstore.faces.awaitables import AwaitableBytes, Done
from ipldstore.faces.ranges import JOINED_BYTES, as_buffer, as_cut, plan_parts, read_parts
from ipldstore.faces.tasks import AsTheyEnd
from ipldstore.store.async_access import (
    find_on_loop,
    insert_on_loop,
    keep_on_loop,
    make_entry_on_loop,
    read_at_once,
    read_waiting,
    size_on_loop,
)
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_if_key, split_key

Default = TypeVar("Default")
Result = TypeVar("Result")

_KEYS_AT_ONCE = 1000
_UNREAD = "parts of a value could not be read"
_MISSING: Final[Any] = object()


class IPLDStore(Hierarchy, Store):
    """A Zarr store and a mapping on content-addressed blocks.

    The same object goes into ``ds.to_zarr(store)``, ``xarray.open_zarr(store)`` and
    ``zarr.open(store)``, and takes and gives ``store[key]``. Parameters and methods are those of
    `Hierarchy`.
    """

    _is_open = False

    def _repr_html_(self) -> str:
        from ipldstore.views.html import to_html

        return to_html(self)

    @overload  # type: ignore[override]
    def get(self, key: str) -> bytes | None: ...
    @overload
    def get(self, key: str, default: BufferPrototype) -> Awaitable[Buffer | None]: ...
    @overload
    def get(
        self, key: str, default: BufferPrototype | None, byte_range: ByteRequest | None
    ) -> Awaitable[Buffer | None]: ...
    @overload
    def get(self, key: str, *, byte_range: ByteRequest | None) -> Awaitable[Buffer | None]: ...
    @overload
    def get(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None,
        byte_range: ByteRequest | None = None,
    ) -> Awaitable[Buffer | None]: ...
    @overload
    def get(self, key: str, default: Default) -> bytes | Default: ...

    def get(
        self,
        key: str,
        default: Any = None,
        byte_range: ByteRequest | None = _MISSING,
        *,
        prototype: BufferPrototype | None = _MISSING,
    ) -> Any:
        """Return a value: of the mapping at once, or for zarr to be awaited.

        ``get(key, default=None)`` is the mapping's and returns ``bytes``; those of a metadata
        name may also be awaited, as code does that knows zarr's stores only. With ``prototype``
        or ``byte_range``, by name or as a third argument and whatever they are, or with a buffer
        prototype in second place, it is zarr's; without a prototype it takes zarr's default.
        """
        if prototype is _MISSING:
            if byte_range is _MISSING and not isinstance(default, BufferPrototype):
                return self._get_at_once(key, default)
            prototype = default
        return self._get(key, prototype, None if byte_range is _MISSING else byte_range)

    def _get_at_once(self, key: str, default: Any) -> Any:
        value = Hierarchy.get(self, key, default)
        if value is default or key.rpartition("/")[2] not in METADATA_NAMES:
            return value
        return AwaitableBytes(value)

    def clear(self) -> Awaitable[None]:  # type: ignore[override]
        """Remove every key, at once; the result may be awaited, as zarr does."""
        Hierarchy.clear(self)
        return Done()

    def close(self) -> None:
        Hierarchy.close(self)
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
        return self.blocks.is_local

    async def _get(
        self, key: str, prototype: BufferPrototype | None, byte_range: ByteRequest | None
    ) -> Buffer | None:
        if not self._is_open:
            await self._ensure_open()
        writer, segments = self._writer, split_if_key(key)
        if segments is None:
            return None
        # not by `find_on_loop`: zarr asks for every chunk, and each call of a coroutine counts
        entry = await find_on_loop(writer, segments) if writer.waits else writer.find(segments)
        if entry is None:
            return None
        cut = as_cut(byte_range)
        source = writer.source_of(entry, cut)
        try:
            data = read_at_once(source, entry, cut)
            if data is None:
                data = await read_waiting(source, entry, cut)
        except IPLDStoreError as error:
            writer.note_fault(key, error)
            raise
        return as_buffer(prototype, data)

    async def _find_async(self, key: str) -> Link | Document | None:
        segments = split_if_key(key)
        return None if segments is None else await find_on_loop(self._writer, segments)

    async def _run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await run_on_loop(self.blocks, work, *arguments)

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        """Read values and parts of values for zarr, several at a time, each as it comes."""

        async def get(
            key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
        ) -> tuple[str, Buffer | None]:
            return key, await self._get(key, prototype, byte_range)

        works = (get(*request) for request in requests)
        async with AsTheyEnd(works, _concurrency()) as found:
            async for each in found:
                yield each

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        wanted = list(key_ranges)
        places: dict[str, list[int]] = {}
        for place, (key, _) in enumerate(wanted):
            places.setdefault(key, []).append(place)
        found: list[Buffer | None] = [None] * len(wanted)

        async def read(key: str) -> None:
            entry = await self._find_async(key)
            if entry is not None:
                ranges = [wanted[place][1] for place in places[key]]
                works = await plan_parts(self._writer.source, key, entry, ranges, prototype)
                for index, part in chain.from_iterable(await asyncio.gather(*works)):
                    found[places[key][index]] = part

        await self._ensure_open()
        async with AsTheyEnd(map(read, places), _concurrency()) as done:
            async for _ in done:
                pass
        return found

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_concurrency: int = 10,
        max_gap_bytes: int = 1 << 20,
        max_coalesced_bytes: int = JOINED_BYTES,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Read several parts of a value for zarr.

        The key is looked up once, and a block in which several of the parts lie is read once:
        it has to be read as a whole, to be verified.

        Parameters
        ----------
        key, byte_ranges, prototype
            What to read; None among the ranges stands for the whole value.
        max_concurrency
            How many runs of joined parts are read at once.
        max_gap_bytes
            Not needed: parts are joined if there is no block between them that none needs.
        max_coalesced_bytes
            How long a run of joined parts may be; its last block is read as a whole.

        Yields
        ------
        list of tuple of int and Buffer
            The parts that were read at once, each with its place in `byte_ranges`, as they come.

        Raises
        ------
        BaseExceptionGroup
            With the error, such as `FileNotFoundError` if there is no such key.
        """
        if not byte_ranges:
            return
        await self._ensure_open()
        try:
            entry = await self._find_async(key)
            if entry is None:
                raise FileNotFoundError(key)
            source = self._writer.source
            works = await plan_parts(
                source, key, entry, byte_ranges, prototype, max_coalesced_bytes
            )
            async with AsTheyEnd(works, max_concurrency) as found:
                async for parts in found:
                    yield parts
        except Exception as error:
            raise BaseExceptionGroup(_UNREAD, [error]) from None

    async def set(self, key: str, value: Buffer) -> None:
        await self._ensure_open()
        segments, data = self._prepare(key, value)
        entry = await keep_on_loop(self._writer, segments, data)
        await insert_on_loop(self._writer, self._insert, segments, entry)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self._ensure_open()
        segments, data = self._prepare(key, value)
        if await self._find_async(key) is None:
            entry = await make_entry_on_loop(self.blocks, segments[-1], data)
            await insert_on_loop(self._writer, self._writer.insert_if_absent, segments, entry)

    def _prepare(self, key: str, value: Buffer) -> tuple[list[str], bytes]:
        self._check_writable()
        if not isinstance(value, Buffer):
            raise TypeError(
                f"expected a zarr Buffer for key {key!r}, not {type(value).__name__}; store[key] = "
                "data takes bytes, and zarr and xarray write arrays"
            )
        return split_key(key), value.as_buffer_like()  # type: ignore[return-value]

    async def delete(self, key: str) -> None:
        await self._run(self.delete_sync, key)

    async def delete_dir(self, prefix: str) -> None:
        await self._run(self._remove_directory, prefix)

    async def exists(self, key: str) -> bool:
        return await self._find_async(key) is not None

    async def is_empty(self, prefix: str) -> bool:
        return await self._run(self._is_empty, prefix)

    async def list(self) -> AsyncIterator[str]:
        async for key in self._iter_keys_async([]):
            yield key

    async def _iter_keys_async(self, segments: Sequence[str]) -> AsyncIterator[str]:
        keys = self._writer.iter_keys(segments)
        while batch := await self._run(_take, keys):
            for key in batch:
                yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        folder, slash, start = prefix.rpartition("/")
        if slash and split_if_key(folder) is None:
            return
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
        return await size_on_loop(self.blocks, entry)

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
        return as_buffer(prototype, self._writer.read(key, entry, as_cut(byte_range)))

    def get_ranges_sync(
        self,
        key: str,
        byte_ranges: Sequence[ByteRequest | None],
        *,
        prototype: BufferPrototype,
        max_gap_bytes: int = 1 << 20,
        max_coalesced_bytes: int = JOINED_BYTES,
    ) -> Sequence[tuple[int, Buffer | None]]:
        """Read several parts of a value for zarr without an event loop; see `get_ranges`."""
        if not byte_ranges:
            return []
        entry = self._find(key)
        if entry is None:
            raise BaseExceptionGroup(_UNREAD, [FileNotFoundError(key)])
        source = self._writer.source
        return read_parts(source, key, entry, byte_ranges, prototype, max_coalesced_bytes)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Set a value for zarr without an event loop."""
        segments, data = self._prepare(key, value)
        self._insert(segments, self._writer.keep(segments, data))

    def delete_sync(self, key: str) -> None:
        """Delete a value, if it is there, for zarr without an event loop."""
        self._remove(key)


def _take(keys: Iterator[str]) -> list[str]:
    """Take the next keys, so many that it is worth a thread and few enough to wait for."""
    return list(islice(keys, _KEYS_AT_ONCE))


def _concurrency() -> int | None:
    limit: int | None = zarr.config.get("async.concurrency")
    return limit
