"""Blocks that were just read over a network, or are under way, kept for whoever asks next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from ipldstore.backends.layers.flights import Flights
from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, Link, as_link
from ipldstore.errors import BlockNotFoundError, CorruptBlockError, IPLDStoreError
from ipldstore.tree.cut import MAX_PAGE_BYTES

_KEPT_BYTES = 32 << 20
_FIRST_AHEAD, _MOST_AHEAD = 8, 32
_LEFT_BYTES = 28 << 20
"""What is left when there is too much, so that not every block drops one."""


class RecentBlocks(ContentAddressableStore):
    """A block store as values are read from it; equal requests that are under way are one.

    Inner chunks of a shard lie in few blocks, and the nodes that lead to them in fewer. What is
    kept is verified, and 32 MiB at most. `has_missed` says whether a block was not there, or
    damaged.
    """

    has_missed = False

    def __init__(self, blocks: ContentAddressableStore) -> None:
        self._blocks = blocks
        self._flights = Flights()
        self._guard = Guard()
        self._kept: OrderedDict[Link, bytes] = OrderedDict()
        self._bytes = 0
        self._ahead = _FIRST_AHEAD
        self._begun: dict[Link, asyncio.Future[None]] = {}

    def get_raw(self, cid: Link) -> bytes:
        return self.get_block(cid)

    def put_block(self, cid: Link, data: bytes) -> None:
        self._blocks.put_block(cid, data)

    def size_of(self, cid: Link) -> int | None:
        return self._blocks.size_of(cid)

    def get_block(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        return self._look(link) or self._flights.run(link, self._fetch)

    async def get_block_async(self, cid: CIDLike) -> bytes:
        link = as_link(cid)
        return self._look(link) or await self._flights.run_async(link, self._fetch_async)

    def begin(self, links: Iterable[Link]) -> None:
        """Begin to load blocks that are likely to be asked for, on the event loop that runs.

        Few at first, and none any more after one that is larger than a page: it is a stranger's.
        """
        for link in links:
            if len(self._begun) >= self._ahead:
                return
            if link not in self._kept and link not in self._begun:
                self._begun[link] = task = asyncio.ensure_future(self._load_quietly(link))
                task.add_done_callback(partial(self._end, link))

    def _end(self, link: Link, task: object) -> None:
        self._begun.pop(link, None)

    async def _load_quietly(self, link: Link) -> None:
        with suppress(IPLDStoreError):  # whoever asks for it will be told
            size = len(await self.get_block_async(link))
            self._ahead = min(2 * self._ahead, _MOST_AHEAD) if size <= MAX_PAGE_BYTES else 0

    def _fetch(self, link: Link) -> bytes:
        try:
            return self._look(link) or self._keep(link, self._blocks.get_block(link))
        except (BlockNotFoundError, CorruptBlockError):
            self.has_missed = True
            raise

    async def _fetch_async(self, link: Link) -> bytes:
        try:
            return self._look(link) or self._keep(link, await self._blocks.get_block_async(link))
        except (BlockNotFoundError, CorruptBlockError):
            self.has_missed = True
            raise

    def _look(self, link: Link) -> bytes | None:
        data = self._kept.get(link)
        if data is not None:
            with suppress(KeyError):  # another thread may drop it meanwhile
                self._kept.move_to_end(link)
        return data

    def _keep(self, link: Link, data: bytes) -> bytes:
        with self._guard():
            self._kept[link] = data
            self._bytes += len(data)
            if self._bytes > _KEPT_BYTES:
                self._trim()
        return data

    def _trim(self) -> None:
        # counted anew, as an interrupt may have come between a block and its count
        self._bytes = sum(map(len, self._kept.values()))
        while self._bytes > _LEFT_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])
