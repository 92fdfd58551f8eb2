"""A local block store as a cache in front of a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.backends.layers.bound import SizeBound
from ipldstore.backends.layers.flights import Flights
from ipldstore.backends.verified import VerifiedCAStore
from ipldstore.basics.warning import warn
from ipldstore.blockstore.abilities import (
    KeepsJournals,
    KeepsPointers,
    ListsRoots,
    RemovesBlocks,
    SeesManyAtOnce,
)
from ipldstore.blockstore.contract import (
    ContentAddressableStore,
    StoredBlock,
    flat,
    require_block_store,
)
from ipldstore.blockstore.eventloops import get_block_on_loop
from ipldstore.cid import CIDLike, Link, as_link, identity_data
from ipldstore.errors import BlockNotFoundError, CorruptBlockError, ReentrantCallError

_BATCH = 64


class CachingCAStore(VerifiedCAStore):
    """Keeps the blocks that are read from a source, or written to it, in a local store too.

    What is read comes from the cache if it is there and sound; else it is fetched from the
    source, once for all who want it at the time, verified and kept. What is written goes to the
    source first. Whether a block is there, and how large it is, only the source is asked. Where the
    source can remove blocks, so can this; the cache lets go of its copy then, if it can. Pointers
    and journals are those of the source.

    The cache never fails a call that reads or writes: what cannot be read there is fetched, what
    is damaged is fetched and mended, and if it cannot be written, a full disk for instance, a
    ``RuntimeWarning`` says so once.

    Parameters
    ----------
    source
        The store that counts, such as an `IPFSStore` or a `GatewayCAStore`.
    cache
        A store on this machine, such as a `DirectoryCAStore`. Several processes may share its
        folder.
    max_bytes
        How many bytes of blocks the cache may hold: the least recently used ones are removed,
        and a larger block is not kept. Each further process that writes at the same time may
        add an eighth. It takes a `DirectoryCAStore`, all of whose blocks may be removed then;
        the times of its files say when they were used.

    Raises
    ------
    TypeError
        If one of the stores is none, or the cache is no `DirectoryCAStore` and has a bound.
    ValueError
        If the bound is not positive.

    Examples
    --------
    >>> from ipldstore import MappingCAStore
    >>> source, cache = MappingCAStore(), MappingCAStore()
    >>> cid = source.put(b"hello")
    >>> CachingCAStore(source, cache).get(cid)
    b'hello'
    >>> cache.get(cid)
    b'hello'
    """

    def __init__(
        self,
        source: ContentAddressableStore,
        cache: ContentAddressableStore,
        *,
        max_bytes: int | None = None,
    ) -> None:
        for store in (source, cache):
            require_block_store(store)
        super().__init__(default_hash=source.default_hash)
        self.connections = source.connections
        self.source = source
        self.cache = cache
        self.max_bytes = max_bytes
        self.is_shared = source.is_shared
        self.in_memory = source.in_memory
        self._bound = None if max_bytes is None else _make_bound(cache, max_bytes)
        if isinstance(source, RemovesBlocks):
            self.remove_block = partial(_remove, source, cache)
        if isinstance(source, ListsRoots):
            self.read_roots = source.read_roots
        if isinstance(source, KeepsPointers):
            self.read_pointer = source.read_pointer
            self.swap_pointer = source.swap_pointer
            self.iter_pointers = source.iter_pointers
        if isinstance(source, KeepsJournals):
            self.has_quick_journals = source.has_quick_journals
            self.append_journal = source.append_journal
            self.make_journal = source.make_journal
            self.read_journal = source.read_journal
            self.list_journals = source.list_journals
            self.find_journals = source.find_journals
            self.remove_journal = source.remove_journal
            self.iter_journal_groups = source.iter_journal_groups
        if isinstance(source, SeesManyAtOnce):
            self.find_missing_lately = source.find_missing_lately
        self._flights = Flights()
        self._has_warned = False

    def __repr__(self) -> str:
        bound = "" if self.max_bytes is None else f", max_bytes={self.max_bytes}"
        return f"CachingCAStore({self.source!r}, {self.cache!r}{bound})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CachingCAStore) and self.source == other.source

    def __hash__(self) -> int:
        return hash((CachingCAStore, self.source))

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "cache": self.cache, "max_bytes": self.max_bytes}

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        CachingCAStore.__init__(self, **arguments)

    def get_raw(self, cid: Link) -> bytes:
        return self._flights.run(cid, self._find)

    async def get_raw_async(self, cid: Link) -> bytes:
        return await self._flights.run_async(cid, self._find_async)

    def put_block(self, cid: Link, data: bytes) -> None:
        data = flat(data)
        self.source.put_block(cid, data)
        if identity_data(cid) is None:
            self._keep(cid, data)

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        data = flat(data)
        await self.source.put_block_async(cid, data)
        if identity_data(cid) is None:
            await self._keep_async(cid, data)

    def get_many(self, cids: Iterable[CIDLike]) -> Iterator[tuple[Link, bytes]]:
        links = map(as_link, cids)
        while batch := list(islice(links, _BATCH)):
            missing = []
            for link in batch:
                if (data := self._look(link)) is None:
                    missing.append(link)
                else:
                    yield link, data
            for link, data in self.source.get_many(missing) if missing else ():
                self._keep(link, data)
                yield link, data

    def put_many(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        def kept_once_taken() -> Iterator[tuple[Link, bytes]]:
            for cid, data in blocks:
                yield cid, data
                if identity_data(cid) is None:
                    self._keep(cid, data)

        self.source.put_many(kept_once_taken())

    def has_raw(self, cid: Link) -> bool:
        return self.source.has(cid)

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        return self.source.find_missing(cids)

    def size_of(self, cid: Link) -> int | None:
        return self.source.size_of(cid)

    def iter_blocks(self) -> Iterator[StoredBlock]:
        return self.source.iter_blocks()

    def make_cid(self, data: bytes, codec: str) -> Link:
        return self.source.make_cid(data, codec)

    def resolve(self, name: CIDLike) -> Link:
        return self.source.resolve(name)

    def flush(self) -> None:
        self.source.flush()

    @property
    def noted_root(self) -> Link | None:
        return self.source.noted_root

    def note_root(self, root: Link) -> None:
        self.source.note_root(root)

    def close(self) -> None:
        try:
            self.source.close()
        finally:
            self.cache.close()

    def _find(self, cid: Link) -> bytes:
        data = self._look(cid)
        if data is None:
            data = self.source.get_block(cid)
            self._keep(cid, data)
        return data

    async def _find_async(self, cid: Link) -> bytes:
        data = await self._look_async(cid)
        if data is None:
            data = await get_block_on_loop(self.source, cid)
            await self._keep_async(cid, data)
        return data

    def _look(self, cid: Link) -> bytes | None:
        """Return a block if it is in the cache, and sound."""
        try:
            data = self.cache.get_block(cid)
        except (BlockNotFoundError, CorruptBlockError):
            return None
        except Exception as error:
            self._warn("read", error)
            return None
        self._touch(cid)
        return data

    async def _look_async(self, cid: Link) -> bytes | None:
        try:
            data = await get_block_on_loop(self.cache, cid)
        except (BlockNotFoundError, CorruptBlockError):
            return None
        except Exception as error:
            self._warn("read", error)
            return None
        self._touch(cid)
        return data

    def _touch(self, cid: Link) -> None:
        if self._bound is not None:
            try:
                self._bound.note_use(cid)
            except Exception as error:
                self._warn("written", error)

    def _keep(self, cid: Link, data: bytes) -> None:
        try:
            if self._bound is None:
                self.cache.put_block(cid, data)
            else:
                self._bound.put(cid, data)
        except Exception as error:
            self._warn("written", error)

    async def _keep_async(self, cid: Link, data: bytes) -> None:
        if self._bound is None and len(data) <= self.cache.inline_limit:
            self._keep(cid, data)
        else:
            await asyncio.to_thread(self._keep, cid, data)

    def _warn(self, what: str, error: Exception) -> None:
        if isinstance(error, ReentrantCallError):
            raise error
        if self._has_warned:
            return
        self._has_warned = True
        warn(
            f"the cache cannot be {what}, reading and writing go on without: "
            f"{self.cache!r}: {error}",
            RuntimeWarning,
        )


def _remove(source: RemovesBlocks, cache: ContentAddressableStore, cid: Link) -> None:
    """Remove a block from a source, and from its cache if that can do it."""
    source.remove_block(cid)
    if isinstance(cache, RemovesBlocks):
        cache.remove_block(cid)


def _make_bound(cache: ContentAddressableStore, max_bytes: int) -> SizeBound:
    if not isinstance(cache, DirectoryCAStore):
        raise TypeError(
            f"max_bytes takes a DirectoryCAStore as cache, not {type(cache).__name__}: "
            "no blocks can be removed from it"
        )
    return SizeBound(cache, max_bytes)
