"""Where a long directory, or a long list of its pages, is cut: by content alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from ipldstore.formats.dagcbor import encode_map_head

MAX_PAGE_BYTES = 256 << 10

_HASH_SCALE = 65536


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
    bound, sha256 = _HASH_SCALE * size, hashlib.sha256
    if bound >= 1 << 32:
        return list(segments)
    prefix = bound.to_bytes(4, "big")
    return [segment for segment in segments if sha256(segment).digest() < prefix]


def head_size(count: int) -> int:
    """Return the size of the head of a map or list of so many items, in bytes."""
    return len(encode_map_head(count))


def total_size(items: Sequence[bytes]) -> int:
    """Return the size of a map or list of encoded items, in bytes."""
    return head_size(len(items)) + sum(map(len, items))


def cut(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut items in natural order into pages."""
    cutter = Cutter()
    for item in items:
        if cutter.overflows(item):
            yield cutter.take()
        if cutter.add(item):
            yield cutter.take()
    if cutter.page:
        yield cutter.take()
