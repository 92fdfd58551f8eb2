"""What is known of the objects in a bucket, so that what is there is neither sent nor asked for."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from ipldstore.basics.locks import Guard
from ipldstore.cid import Link

Pages: TypeAlias = Callable[[], Iterator[Sequence[Any]]]
"""Begins to list the bucket, and gives a thousand of obstore's ``ObjectMeta`` at a time."""

_LARGE_BYTES = 64 << 10
"""From this size on, to send a block that is there costs more than to ask for it."""

PAGE = 1000
_MOST_SENT, _MOST_LISTED = 1 << 17, 1 << 16
_LISTING_SECONDS = 300.0
_PUTS_A_PAGE = 64
_ASKED_A_PAGE = 32
_PAGES_AT_FIRST = 10
_TRIES = 16
"""After so many blocks that were looked for, one in eight has to be there to look for more."""


class Seen(NamedTuple):
    """An object, as a listing or an answer to ``HEAD`` describes it."""

    size: int
    tag: str

    @classmethod
    def of(cls, meta: Any) -> Seen:
        """Return what obstore's ``ObjectMeta`` says."""
        return cls(meta["size"], (meta.get("e_tag") or "").strip('"'))

    def is_whole(self, data: bytes) -> bool:
        """Whether it holds these bytes, told by its MD5 where the provider has it as its tag."""
        return (self.size, self.tag) == (len(data), tag_of(data))


def tag_of(data: bytes) -> str:
    """Return the MD5 of an object's bytes, which is its tag with most providers."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Known:
    """What a store has sent, and what it has listed in the last minutes.

    Listing goes on as far as it pays: a page of a thousand names costs as much as sending a block,
    or asking for a dozen. A bucket that cannot be listed is one of which nothing is known.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._guard = Guard()
        self._sent: OrderedDict[Link, None] = OrderedDict()
        self._listing = _Listing(pages)
        self._has_met_one = False
        self._puts = self._hits = 0

    def has_sent(self, cid: Link) -> bool:
        """Whether this store knows that a block is there, and whole."""
        return cid in self._sent

    def note_sent(self, cid: Link) -> None:
        """Note that a block is there, and whole."""
        self._sent[cid] = None
        if len(self._sent) > _MOST_SENT:
            self._sent.popitem(last=False)

    def note_lost(self, cid: Link, path: str) -> None:
        """Note that a block is not there, or damaged; if it was, nothing else is sure any more."""
        if cid in self._sent or path in self._listing.objects:
            self._sent.clear()
            self._listing = _Listing(self._pages)

    def note_met(self) -> None:
        """Note that a block was there that was sent."""
        self._has_met_one = True
        self._hits += 1

    def find(self, path: str, size: int) -> Seen | None:
        """Return what is listed at the path of a block that is about to be put."""
        if size < _LARGE_BYTES and not self._has_met_one:
            return None
        listing = self._list(1 + self._puts // _PUTS_A_PAGE) if self._pays else self._renewed()
        found = listing.objects.get(path)
        # counted when it is known, so that all of the first ones wait for the first page
        self._hits += found is not None
        self._puts += 1
        return found

    def is_worth_asking(self, size: int) -> bool:
        """Whether to ask for a block that is not listed, before it is sent."""
        return size >= _LARGE_BYTES and not self._listing.is_complete and self._pays

    @property
    def _pays(self) -> bool:
        return self._puts < _TRIES or self._hits * 8 >= self._puts

    def list_for(self, asked: int) -> _Listing:
        """Return a listing, extended by what pays for so many blocks that are asked for."""
        fresh = self._renewed()
        fresh.asked += asked
        return self._list(_PAGES_AT_FIRST + fresh.asked // _ASKED_A_PAGE)

    def _list(self, pages: int) -> _Listing:
        listing = self._renewed()
        if not listing.is_over and listing.pages < pages:
            with self._guard():
                while not listing.is_over and listing.pages < pages:
                    listing.extend()
        return listing

    def _renewed(self) -> _Listing:
        if time.monotonic() - self._listing.begun > _LISTING_SECONDS:
            self._listing = _Listing(self._pages)
        return self._listing


class _Listing:
    """A bucket as it was listed, so far.

    `is_complete` says whether these objects are all that there were, `is_over` that there is no
    more to be listed, or too much, or it cannot be.
    """

    def __init__(self, pages: Pages) -> None:
        self.begun = time.monotonic()
        self.objects: dict[str, Seen] = {}
        self.is_complete = self.is_over = False
        self.pages = self.asked = 0
        self._begin = pages
        self._rest: Iterator[Sequence[Any]] | None = None

    def mistrust(self) -> None:
        """Take it for incomplete, and list no more."""
        self.is_complete, self.is_over = False, True

    def extend(self) -> None:
        """List the next page; it counts once its objects are known, so that others wait for it."""
        try:
            if self._rest is None:
                self._rest = self._begin()
            page = next(self._rest, None)
        except Exception:  # whatever it is, the request that needs the bucket will say so
            self.is_over = True
            return
        for meta in page or ():
            self.objects[meta["path"]] = Seen.of(meta)
        self.is_complete = page is None or len(page) < PAGE
        self.is_over = self.is_complete or len(self.objects) >= _MOST_LISTED
        self.pages += 1
        if self.is_over:
            self._rest = None
