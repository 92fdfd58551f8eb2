"""Block stores that count, wait, fail or lie when they are told to."""

import asyncio
import threading

from ipldstore import BackendError, MappingCAStore

DEADLINE = 30


class CountingSource(MappingCAStore):
    """Waits on nothing, uses no inline reads, and notes what it is asked by each face."""

    def __init__(self, mapping=None):
        super().__init__(mapping)
        self.inline_limit = 0
        self.gets, self.async_gets, self.puts, self.async_puts = [], [], [], []
        self.flushes = self.closes = 0

    def get_raw(self, cid):
        self.gets.append(str(cid))
        return super().get_raw(cid)

    async def get_raw_async(self, cid):
        self.async_gets.append(str(cid))
        return MappingCAStore.get_raw(self, cid)

    def put_block(self, cid, data):
        self.puts.append(str(cid))
        super().put_block(cid, data)

    async def put_block_async(self, cid, data):
        self.async_puts.append(str(cid))
        MappingCAStore.put_block(self, cid, data)

    def flush(self):
        self.flushes += 1

    def close(self):
        self.closes += 1


class GatedSource(CountingSource):
    """Answers once its gate is opened, and says when it was asked."""

    def __init__(self, mapping=None):
        super().__init__(mapping)
        self.asked, self.gate = threading.Event(), threading.Event()
        self.async_asked, self.async_gate = asyncio.Event(), asyncio.Event()
        self.cancelled = 0

    def get_raw(self, cid):
        self.gets.append(str(cid))
        self.asked.set()
        assert self.gate.wait(DEADLINE)
        return MappingCAStore.get_raw(self, cid)

    async def get_raw_async(self, cid):
        self.async_gets.append(str(cid))
        self.async_asked.set()
        try:
            await asyncio.wait_for(self.async_gate.wait(), DEADLINE)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return MappingCAStore.get_raw(self, cid)


class FailingSource(CountingSource):
    """Is out of reach: every call fails."""

    def __init__(self, *, retryable=True):
        super().__init__()
        self.retryable = retryable

    def get_raw(self, cid):
        self.gets.append(str(cid))
        raise BackendError("out of reach", retryable=self.retryable)

    async def get_raw_async(self, cid):
        self.get_raw(cid)

    def has_raw(self, cid):
        self.get_raw(cid)

    size_of = has_raw

    def put_block(self, cid, data):
        raise BackendError("out of reach", retryable=self.retryable)

    def resolve(self, name):
        raise BackendError("out of reach", retryable=self.retryable)


class LyingSource(CountingSource):
    """Serves wrong bytes for every block."""

    def get_raw(self, cid):
        self.gets.append(str(cid))
        return b"lies"

    async def get_raw_async(self, cid):
        return self.get_raw(cid)
