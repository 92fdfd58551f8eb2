"""Where a long directory, or a long list of its pages, is cut: by content alone."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from ipldstore.formats.dagcbor import encode_map_head

MAX_PAGE_BYTES = 256 << 10

_HASH_SCALE = 65536
_ABOVE_ALL = b"\xff" * 33


class Item(NamedTuple):
    """An encoded entry to be placed in a page, and the segment by which it is cut."""

    segment: str
    data: bytes


data_of = attrgetter("data")


class Cutter:
    """Collects items in natural order into pages; `page` is the one that is not complete yet."""

    def __init__(self) -> None:
        self.page: list[Item] = []
        self._size = 0

    def overflows(self, item: Item) -> bool:
        """Whether an item has to begin another page."""
        size = self._size + len(item.data)
        # heads of maps and of lists have the same size
        return bool(self.page) and size + head_size(len(self.page) + 1) > MAX_PAGE_BYTES

    def add(self, item: Item) -> bool:
        """Place an item in the page and say whether it is the page's last."""
        self.page.append(item)
        self._size += len(item.data)
        if len(self.page) == 1:
            return False
        return is_cut_after(item.segment.encode(), len(item.data))

    def take(self) -> list[Item]:
        """Return the page and begin another one."""
        page, self.page, self._size = self.page, [], 0
        return page


def is_cut_after(segment: bytes, size: int) -> bool:
    """Whether a page ends after an entry of so many bytes, unless that is its first."""
    return bool(cut_after((segment,), size))


def cut_after(segments: Iterable[bytes], size: int) -> list[bytes]:
    """Return those of several segments of which `is_cut_after` is true, of entries of one size."""
    bound, sha256 = _bound(size), hashlib.sha256
    return [segment for segment in segments if sha256(segment).digest() < bound]


def head_size(count: int) -> int:
    """Return the size of the head of a map or list of so many items, in bytes."""
    return len(encode_map_head(count))


def total_size(items: Sequence[bytes]) -> int:
    """Return the size of a map or list of encoded items, in bytes."""
    return head_size(len(items)) + sum(map(len, items))


def cut(segments: Sequence[str], sizes: Sequence[int]) -> Iterator[slice]:
    """Iterate the pages of entries in natural order, given the bytes that each takes."""
    bounds = {size: _bound(size) for size in set(sizes)}
    sha256 = hashlib.sha256
    ends = [
        index
        for index, (segment, size) in enumerate(zip(segments, sizes, strict=True))
        if sha256(segment.encode()).digest() < bounds[size]
    ]
    totals = list(accumulate(sizes, initial=0))
    start, at = 0, 0
    while start < len(sizes):
        while at < len(ends) and ends[at] <= start:
            at += 1
        stop = ends[at] + 1 if at < len(ends) else len(sizes)
        stop = min(stop, _most_within(totals, start))
        yield slice(start, stop)
        start = stop


def _most_within(totals: Sequence[int], start: int) -> int:
    """Return how far a page goes that is as long as it may be; one entry has room in any."""
    room = totals[start] + MAX_PAGE_BYTES
    stop = bisect_right(totals, room) - 1
    while stop > start and totals[stop] + head_size(stop - start) > room:
        stop -= 1
    return max(stop, start + 1)


def _bound(size: int) -> bytes:
    """Return before what the digest of a segment is, after whose entry a page ends."""
    bound = _HASH_SCALE * size
    return bound.to_bytes(4, "big") if bound < 1 << 32 else _ABOVE_ALL
