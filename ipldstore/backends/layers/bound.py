"""Keeping a folder of blocks within a size, by the times at which its files were used."""

from __future__ import annotations

import heapq

from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.basics.locks import Guard
from ipldstore.cid import Link

_SLACK = 8


class SizeBound:
    """Removes the least recently used blocks of a folder when it grows too large.

    The time of use is the file's own modification time, so all processes that share the folder see
    the same order and no index has to be kept. How much is there is learned by looking through the
    folder: before the first put, and then each time this process has put an eighth of the bound. A
    process alone never leaves more than the bound behind a put; each further one that writes at the
    same time may add an eighth. Raises `ValueError` if the bound, in bytes of blocks, is not
    positive.
    """

    def __init__(self, folder: DirectoryCAStore, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes is {max_bytes}, expected a positive number of bytes")
        self._folder = folder
        self.max_bytes = max_bytes
        self._step = max_bytes // _SLACK
        self._room = 0
        self._guard = Guard()
        self._cleaning = Guard()

    def note_use(self, cid: Link) -> None:
        """Note that a block was used just now."""
        self._folder.touch_block(cid)

    def put(self, cid: Link, data: bytes) -> None:
        """Keep a block unless it is larger than the bound, and remove old ones if that is due.

        Raises `BackendError` if the block cannot be kept, or an old one cannot be removed.
        """
        if len(data) > self.max_bytes:
            return
        self._take_off(len(data))
        self._folder.put_block(cid, data)
        self._folder.touch_block(cid)
        if self._room < 0:
            self._enforce()

    def _take_off(self, size: int) -> None:
        with self._guard():
            self._room -= size

    def _enforce(self) -> None:
        """Look through the folder and remove what is too much, unless a thread has just done so.

        Meanwhile the others may put as much as the slack allows, and wait then.
        """
        with self._cleaning():
            if self._room >= 0:
                return
            self._room = self._step
            try:
                room = self._clean()
            except BaseException:
                self._room = -1
                raise
            # what other threads put meanwhile is taken off already
            self._take_off(max(0, self._step - room))

    def _clean(self) -> int:
        """Remove what is too much, and return how much room there is then."""
        total = newest = 0
        for block in self._folder.iter_blocks():
            total += block.size
            newest = max(newest, block.time_ns)
        if total > self.max_bytes:
            total -= self._remove_oldest(total - (self.max_bytes - self._step), newest)
        return self.max_bytes - total

    def _remove_oldest(self, excess: int, newest: int) -> int:
        removed = 0
        for cid, size in self._find_oldest(excess, newest):
            self._folder.remove_block(cid)
            removed += size
        return removed

    def _find_oldest(self, excess: int, newest: int) -> list[tuple[Link, int]]:
        """Return the oldest blocks that make up at least the excess, all older than the newest.

        Only these are held in memory, in a heap with the newest of them on top.
        """
        oldest: list[tuple[int, Link, int]] = []
        found = 0
        for block in self._folder.iter_blocks():
            if block.time_ns >= newest:
                continue
            heapq.heappush(oldest, (-block.time_ns, block.cid, block.size))
            found += block.size
            while found - oldest[0][2] >= excess:
                found -= heapq.heappop(oldest)[2]
        return [(cid, size) for _, cid, size in oldest]
