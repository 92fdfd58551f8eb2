"""A block store that is watched while it is read."""

from __future__ import annotations

from ipldstore.backends.verified import VerifiedCAStore
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.blockstore.eventloops import get_block_on_loop
from ipldstore.cid import Link
from ipldstore.cli.tools.progress import Advance


class WatchedCAStore(VerifiedCAStore):
    """A store that tells the size of each block when it is first read."""

    def __init__(self, store: ContentAddressableStore, watch: Advance) -> None:
        super().__init__(default_hash=store.default_hash)
        self._store = store
        self._watch = watch
        self._read: set[Link] = set()

    def __repr__(self) -> str:
        return repr(self._store)

    def get_raw(self, cid: Link) -> bytes:
        return self._told(cid, self._store.get_block(cid))

    async def get_raw_async(self, cid: Link) -> bytes:
        return self._told(cid, await get_block_on_loop(self._store, cid))

    def put_block(self, cid: Link, data: bytes) -> None:
        self._store.put_block(cid, data)

    def has_raw(self, cid: Link) -> bool:
        return self._store.has(cid)

    def size_of(self, cid: Link) -> int | None:
        return self._store.size_of(cid)

    def _told(self, cid: Link, data: bytes) -> bytes:
        if cid not in self._read:
            self._read.add(cid)
            self._watch(len(data))
        return data
