"""Nodes of the tree to blocks: what changed is encoded, cut into pages and put."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import add
from typing import TypeAlias, cast

from ipldstore.cid import Link
from ipldstore.errors import InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.formats.linkmaps import encode_link_map
from ipldstore.tree.cut import MAX_PAGE_BYTES, Cutter, Item, cut, data_of, head_size, total_size
from ipldstore.tree.documents import Document
from ipldstore.tree.nodes import Directory, Entries, Entry, Page, PageList, is_inlined, unpacked
from ipldstore.tree.order import in_natural_order, natural_key
from ipldstore.tree.packed import Packed
from ipldstore.tree.pages import Load, entries_of, flatten, load_page

Put: TypeAlias = Callable[[bytes], Link]

_LINK_BYTES = 36
_PAIR_HEAD = dagcbor.encode_list_head(2)


class Encoder:
    """Encodes directories, children before their parents, and has `put` keep their blocks."""

    def __init__(self, load: Load, put: Put) -> None:
        self._load = load
        self._put = put

    def encode(self, directory: Directory, *, root: bool = False) -> tuple[bytes, int]:
        """Encode a directory as a map or a list of pages, after what changed below it.

        Afterwards every directory below it has its stub, and its pages are in their blocks. Where
        that fails, or is interrupted, the content is as it was. Returns that, and its levels of
        nesting.
        """
        content = directory.content
        if isinstance(content, PageList):
            content = self._recut(flatten(content, self._load))
        if isinstance(content, Packed):
            renewed, depth = self._renew(content)
            if len(renewed.encoded) <= MAX_PAGE_BYTES:
                directory.content = renewed
                return renewed.encoded, depth + 1
        if not isinstance(content, PageList):
            encoded = _encode_links(content)
            if encoded is not None:
                directory.content = content
                return encoded, 1
            data, depth = self._entries(content)
            if not data and not root:
                raise InvalidNodeError("an empty directory, which the format does not allow")
            if total_size(data) <= MAX_PAGE_BYTES:
                directory.content = content
                return _encode_map(data), depth + 1
            content = self._cut(list(content), data)
        directory.content = content
        return self.encode_list(content), 2

    def _entries(self, entries: Entries) -> tuple[list[bytes], int]:
        """Encode entries, each with its segment, in their order; return their levels, too."""
        entries = unpacked(entries)
        stubs = [
            dagcbor.LINK_HEAD + entry if type(entry) is Link and len(entry) == _LINK_BYTES else None
            for entry in entries.values()
        ]
        deepest = 0
        if None in stubs:
            for at, entry in enumerate(entries.values()):
                if stubs[at] is None:
                    stubs[at], depth = self._stub(entry)
                    deepest = max(deepest, depth)
        return list(map(add, dagcbor.encode_texts(entries), stubs)), deepest

    def _renew(self, packed: Packed[Entry]) -> tuple[Packed[Entry], int]:
        stubs = {segment: self._stub(entry) for segment, entry in packed.others.items()}
        deepest = max((depth for _, depth in stubs.values()), default=0)
        return packed.renewed({segment: stub for segment, (stub, _) in stubs.items()}), deepest

    def _stub(self, entry: Entry) -> tuple[bytes, int]:
        if isinstance(entry, Link):
            return dagcbor.encode_link(entry), 0
        if isinstance(entry, Document):
            return self._inline_or_link(entry.encoded, entry.depth)
        if entry.stub is None:
            stub, entry.depth = self._inline_or_link(*self.encode(entry))
            entry.stub = stub
        return entry.stub, entry.depth

    def _inline_or_link(self, encoded: bytes, depth: int) -> tuple[bytes, int]:
        if is_inlined(encoded, depth):
            return encoded, depth
        return dagcbor.encode_link(self._put(encoded)), 0

    def _cut(self, segments: list[str], data: list[bytes]) -> PageList:
        """Put the entries of a directory as pages."""
        segments, data = in_natural_order(segments, data)
        pages = list(cut(segments, list(map(len, data))))
        links = [self._put(_encode_map(data[page])) for page in pages]
        return PageList([segments[page.start] for page in pages], links)

    def _recut(self, pages: PageList) -> PageList | dict[str, Entry]:
        """Put the pages that changed, or return one map if that is what is left."""
        recut = _Recut(pages, self._load, self._entries, self._renew, self._put)
        recut.run()
        left = PageList(recut.firsts, recut.children)
        if len(recut.children) < 2 or not (recut.has_grown or self._is_long(left)):
            return entries_of(left, self._load)
        return left

    def _is_long(self, pages: PageList) -> bool:
        """Whether a directory is still too long for one map, loading pages until that is known.

        The list itself keeps its links: a page of other software may not be in the canonical form.
        """
        pages = PageList(pages.firsts, pages.children)
        size = count = 0
        for index in range(len(pages.children)):
            page = load_page(pages, index, self._load)
            size += page.size
            count += page.count
            if head_size(count) + size > MAX_PAGE_BYTES:
                return True
        return False

    def encode_list(self, pages: PageList) -> bytes:
        """Encode a list of pages that are in their blocks, putting it in parts where it is long."""
        items = [
            _pair(first, child.link if isinstance(child, Page) else child)
            for first, child in zip(pages.firsts, pages.children, strict=True)
        ]
        while total_size(data := list(map(data_of, items))) > MAX_PAGE_BYTES:
            parts = cut([item.segment for item in items], list(map(len, data)))
            items = [
                _pair(items[part.start].segment, self._put(_encode_list(data[part])))
                for part in parts
            ]
        return _encode_list(data)


class _Recut:
    """Cuts a paged directory anew where it changed, from the page before each change on.

    A cut depends on nothing before the page it ends. So the pages before a change stay, but for the
    last of them, which may have ended because of the size of what came next; and once a cut falls
    where an unchanged page begins, that page and those after it stay too. `firsts` and `children`
    are the first segments of the pages and the pages, after `run`; `has_grown` says whether the
    directory has surely not become shorter.
    """

    def __init__(
        self,
        pages: PageList,
        load: Load,
        encode: Callable[[Entries], tuple[list[bytes], int]],
        renew: Callable[[Packed[Entry]], tuple[Packed[Entry], int]],
        put: Put,
    ) -> None:
        self._pages = pages
        self._load = load
        self._encode = encode
        self._renew = renew
        self._put = put
        self._size = self._count = 0
        self._moved = {at for at, page in enumerate(pages.children) if _may_end_elsewhere(page)}
        self.firsts: list[str] = []
        self.children: list[Link | Page | PageList] = []

    @property
    def has_grown(self) -> bool:
        return self._size >= 0 and self._count >= 0

    def run(self) -> None:
        index, count = 0, len(self._pages.children)
        while index < count:
            if not self._moved.isdisjoint((index, index + 1)):
                index = self._recut_from(index)
            else:
                self.firsts.append(self._pages.firsts[index])
                self.children.append(self._renewed(self._pages.children[index]))
                index += 1

    def _renewed(self, child: Link | Page | PageList) -> Link | Page | PageList:
        """Return a page that ends where it did, put if other links are in it."""
        if not isinstance(child, Page) or child.link is not None:
            return child
        assert isinstance(child.entries, Packed)
        renewed, _ = self._renew(child.entries)
        return Page(renewed, self._put(renewed.encoded), child.size)

    def _recut_from(self, start: int) -> int:
        """Cut anew from a page on, and return the first page from which all stays."""
        cutter = Cutter()
        for index in range(start, len(self._pages.children)):
            may_stop = index > start and index not in self._moved
            if may_stop and not cutter.page:
                return index
            page = load_page(self._pages, index, self._load)
            data, _ = self._encode(page.entries)
            items = list(map(Item, page.entries, data))
            items.sort(key=lambda item: natural_key(item.segment))
            if items and cutter.overflows(items[0]):
                self._place(cutter.take())
                if may_stop:
                    return index
            self._size -= page.size
            self._count -= page.count
            for item in items:
                if cutter.overflows(item):
                    self._place(cutter.take())
                if cutter.add(item):
                    self._place(cutter.take())
        if cutter.page:
            self._place(cutter.take())
        return len(self._pages.children)

    def _place(self, items: list[Item]) -> None:
        self._size += sum(map(len, map(data_of, items)))
        self._count += len(items)
        self.firsts.append(items[0].segment)
        self.children.append(self._put(_encode_map(map(data_of, items))))


def _encode_links(entries: Entries) -> bytes | None:
    """Return a map of entries if all are links, and if it is no longer than a page."""
    if not isinstance(entries, dict) or set(map(type, entries.values())) != {Link}:
        return None
    if len(entries) > MAX_PAGE_BYTES // _LINK_BYTES:
        return None
    encoded = encode_link_map(cast("dict[str, Link]", entries))
    return encoded if len(encoded) <= MAX_PAGE_BYTES else None


def _may_end_elsewhere(page: Link | Page | PageList) -> bool:
    if not isinstance(page, Page) or page.link is not None:
        return False
    return not (isinstance(page.entries, Packed) and page.entries.is_one_page())


def _pair(segment: str, link: Link | PageList | None) -> Item:
    assert isinstance(link, Link)
    return Item(segment, _PAIR_HEAD + dagcbor.encode_text(segment) + dagcbor.encode_link(link))


def _encode_map(entries: Iterable[bytes]) -> bytes:
    data = sorted(entries)
    return dagcbor.encode_map_head(len(data)) + b"".join(data)


def _encode_list(items: Sequence[bytes]) -> bytes:
    return dagcbor.encode_list_head(len(items)) + b"".join(items)
