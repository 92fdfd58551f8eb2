"""What block stores share that verify bytes while they choose where to take them from."""

from __future__ import annotations

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, as_link, identity_data


class VerifiedCAStore(ContentAddressableStore):
    """A store whose `get_raw` verifies, raising no ``KeyError``, so that `get_block` need not."""

    def get_block(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        data = identity_data(link)
        return self.get_raw(link) if data is None else data

    async def get_block_async(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        data = identity_data(link)
        return await self.get_raw_async(link) if data is None else data
