"""What block stores share that verify bytes while they choose where to take them from."""

from __future__ import annotations

import asyncio

from ipldstore.cid import CIDLike, Link, as_link, identity_data
from ipldstore.contentstore import ContentAddressableStore


class VerifiedCAStore(ContentAddressableStore):
    """A store whose `get_raw` returns verified bytes and raises no bare ``KeyError``.

    So `get_block` does not hash them a second time.
    """

    def get_block(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        data = identity_data(link)
        return self.get_raw(link) if data is None else data

    async def get_block_async(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        data = identity_data(link)
        return await self.get_raw_async(link) if data is None else data


async def get_block_on_loop(store: ContentAddressableStore, cid: Link) -> bytes:
    """Return the verified bytes of a block without holding up the event loop.

    A store that waits on a network has asynchronous methods for that. One that does not reads
    small blocks at once and larger ones, with the work of hashing them, in a thread.
    """
    if not store.inline_limit:
        return await store.get_block_async(cid)
    size = store.size_of(cid)
    if size is not None and size <= store.inline_limit:
        return store.get_block(cid)
    return await asyncio.to_thread(store.get_block, cid)
