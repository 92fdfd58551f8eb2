"""A block store that counts."""

from __future__ import annotations

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import Link


class CountingCAStore(MappingCAStore):
    """Counts blocks loaded and put, and the bytes put."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.loads = self.puts = self.put_bytes = 0

    def get_raw(self, cid: Link) -> bytes:
        self.loads += 1
        return super().get_raw(cid)

    def put_block(self, cid: Link, data: bytes) -> None:
        self.puts += 1
        self.put_bytes += len(data)
        super().put_block(cid, data)
