"""How two trees differ, walked side by side without loading what both share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from ipldstore.cid import DAG_CBOR, RAW, Link, codec_of
from ipldstore.errors import TAKE_A_PART, InvalidNodeError, LimitExceededError
from ipldstore.formats import dagcbor
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import (
    MAX_COMPARED_BYTES,
    MAX_EXPANSION,
    MAX_KEYS,
    MAX_LIST_DEPTH,
    MAX_REPEATED_BYTES,
    MAX_SEGMENTS,
)
from ipldstore.model.chunkkeys import ChunkKeys, read_chunk_keys
from ipldstore.tree.decode import decode_directory, decode_pages
from ipldstore.tree.documents import Document
from ipldstore.tree.nodes import Directory, Entries, Entry, Page, PageList, is_value
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed
from ipldstore.tree.pages import Load, end_of, scan_for


class Source(NamedTuple):
    """Where the blocks of one tree are: what loads them, verified, and names those of dag-cbor."""

    load: Load
    name: Callable[[bytes], Link]


class Difference(NamedTuple):
    """A key whose values differ.

    The CIDs of its values are None where it has none. Where the key is that of a chunk, `array` is
    the path of the array and `chunk` the place in the grid.
    """

    key: str
    old: Link | None
    new: Link | None
    array: str | None
    chunk: tuple[int, ...] | None


def iter_differences(
    old: Link | Directory,
    new: Link | Directory,
    sources: tuple[Source, Source],
    *,
    max_keys: int = MAX_KEYS,
) -> Iterator[Difference]:
    """Iterate the keys in which two trees differ, in natural order.

    Nothing is changed in nodes that are loaded, and what has to be loaded is not kept. Of sources,
    the first has the blocks of `old`. `max_keys` is how many entries may be compared; nor may a few
    blocks repeat each other without end.
    """
    if _is_same(old, new):
        return
    reading = _Reading(sources)
    pair = (
        _open(old, reading.sources[0], root=True),
        _open(new, reading.sources[1], root=True),
    )
    walk = _walk(_Level((), pair, reading.sources, None), count(1))
    for number, found in walk:
        if number > max_keys:
            raise LimitExceededError(
                f"more than {max_keys:,} entries that may differ; {TAKE_A_PART}"
            )
        if reading.repeats_much:
            reading.check(pair)
        if found is not None:
            yield found


def _is_same(old: Entry | None, new: Entry | None) -> bool:
    stub = _stub(old)
    return stub is not None and stub == _stub(new)


def _stub(entry: Entry | None) -> bytes | None:
    """Return how a parent encodes a directory; None if that is not known."""
    if isinstance(entry, Link):
        return dagcbor.encode_link(entry)
    return entry.stub if isinstance(entry, Directory) else None


def _open(entry: Entry | None, source: Source, *, root: bool = False) -> Directory | None:
    if isinstance(entry, Link):
        return decode_directory(entry, source.load(entry), root=root)
    return entry if isinstance(entry, Directory) else None


Pair: TypeAlias = "tuple[Directory | None, Directory | None]"
Below: TypeAlias = "tuple[Entry | None, Entry | None]"
"""Directories of one name in both trees, loaded or not; None where there is none."""


class _Reading:
    """Counts what is read of directories, to refuse what reads a few blocks without end.

    Nothing more is read for that before `MAX_REPEATED_BYTES` of blocks were read again. Only then
    is counted what all would come to, from each pair of blocks once. Blocks are to be read from its
    `sources`, so that it is counted.
    """

    def __init__(self, sources: tuple[Source, Source]) -> None:
        self._seen: dict[Link, int] = {}
        self._bytes = 0
        self._distinct = 0
        self._is_checked = False
        self._known: dict[tuple[bytes | None, bytes | None], int] = {}
        self.sources = (self._counted(sources[0]), self._counted(sources[1]))

    def _counted(self, source: Source) -> Source:
        def load(link: Link) -> bytes:
            data = source.load(link)
            self._bytes += len(data)
            if link not in self._seen:
                self._seen[link] = len(data)
                self._distinct += len(data)
            return data

        return Source(load, source.name)

    @property
    def repeats_much(self) -> bool:
        """Whether it is time to `check`."""
        return not self._is_checked and self._bytes - self._distinct > MAX_REPEATED_BYTES

    def check(self, pair: Pair) -> None:
        """Raise `LimitExceededError` if comparing two roots reads far more than there is."""
        self._is_checked = True
        self._bytes = 0
        self._refuse_beyond(self._count(pair, 0))

    def _refuse_beyond(self, size: int) -> None:
        if size > max(MAX_COMPARED_BYTES, MAX_EXPANSION * self._distinct):
            raise LimitExceededError(
                f"directories of {self._distinct:,} bytes repeat each other so often that to "
                f"compare them is to read {min(size, 10**15):,} bytes or more; "
                f"{TAKE_A_PART}"
            )

    def _count(self, pair: Pair, level: int) -> int:
        """Return the bytes of all blocks that are read below a pair of directories."""
        before = self._bytes
        found = [below for *_, below in _iter_unequal(pair, self.sources) if below is not None]
        size = self._bytes - before
        self._refuse_beyond(self._bytes)
        return size + sum(self._count_below(below, level + 1) for below in found)

    def _count_below(self, below: Below, level: int) -> int:
        if level >= MAX_SEGMENTS:
            return 0  # the walk refuses it
        stubs = _stub(below[0]), _stub(below[1])
        is_known = all(stub or part is None for stub, part in zip(stubs, below, strict=True))
        if not is_known:
            return self._count_opened(below, level)
        if stubs not in self._known:
            self._known[stubs] = self._count_opened(below, level)
        return self._known[stubs]

    def _count_opened(self, below: Below, level: int) -> int:
        before = self._bytes
        pair = _open(below[0], self.sources[0]), _open(below[1], self.sources[1])
        return self._bytes - before + self._count(pair, level)


class _Level:
    """A directory that is there in one tree or in both: its path, and what it is in each."""

    def __init__(
        self,
        segments: tuple[str, ...],
        pair: Pair,
        sources: tuple[Source, Source],
        above: _Level | None,
    ) -> None:
        self.segments = segments
        self.pair = pair
        self.sources = sources
        self._above = above

    @cached_property
    def array(self) -> tuple[int, ChunkKeys] | None:
        """The array that this is or is in: the length of its path, and its chunks' names.

        The search begins at the root: below an array, nothing more is loaded.
        """
        found = None if self._above is None else self._above.array
        if found is not None:
            return found
        for directory, source in zip(reversed(self.pair), reversed(self.sources), strict=True):
            for name in (".zarray", "zarr.json"):
                metadata = None if directory is None else _metadata(directory, name, source.load)
                chunk_keys = read_chunk_keys(name, metadata)
                if chunk_keys is not None:
                    return len(self.segments), chunk_keys
        return None

    def make_difference(self, segment: str, old: Link | None, new: Link | None) -> Difference:
        segments = (*self.segments, segment)
        array = chunk = None
        if self.array is not None:
            length, chunk_keys = self.array
            chunk = chunk_keys.coordinate(segments[length:])
            array = None if chunk is None else "/".join(segments[:length])
        return Difference("/".join(segments), old, new, array, chunk)


def _walk(level: _Level, numbers: Iterator[int]) -> Iterator[tuple[int, Difference | None]]:
    """Iterate the entries that may differ, numbered, with the difference where they are values."""
    sources = level.sources
    for segment, values, below in _iter_unequal(level.pair, sources):
        differ = values[0] != values[1]
        yield next(numbers), level.make_difference(segment, *values) if differ else None
        if below is None:
            continue
        if len(level.segments) + 1 >= MAX_SEGMENTS:
            raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels at {segment!r}")
        pair = _open(below[0], sources[0]), _open(below[1], sources[1])
        yield from _walk(_Level((*level.segments, segment), pair, sources, level), numbers)


def _iter_unequal(
    pair: Pair, sources: tuple[Source, Source]
) -> Iterator[tuple[str, tuple[Link | None, Link | None], Below | None]]:
    """Iterate the segments that are not the same in two directories.

    Yields a segment, the CIDs of its values, and the directories that are to be compared as well:
    None if there are none or they are the same.
    """
    cursors = [_Cursor(source.load) for source in sources]
    _enter_both(cursors, pair, (None, None))
    for segment, old, new in _iter_pairs(*cursors):
        if old == new:
            continue
        values = _cid(old, segment, sources[0]), _cid(new, segment, sources[1])
        below = None if values[0] is not None else old, None if values[1] is not None else new
        is_done = below == (None, None) or _is_same(*below)
        yield segment, values, None if is_done else below


def _cid(entry: Entry | None, segment: str, source: Source) -> Link | None:
    """Return the CID of a value, None for a directory or nothing."""
    if not is_value(entry, segment):
        return None
    return source.name(entry.encoded) if isinstance(entry, Document) else entry


class _Item(NamedTuple):
    """What stands next in a directory: an entry, or a page or list of pages.

    `key` is the natural key of its first segment. `node` is the entry, or what is loaded of the
    page or list; its link if nothing is. `link` is the block of a page or list; None for an entry,
    and for one that has changed. `end` is the natural key before which a page or list ends.
    """

    key: str
    segment: str
    node: Entry | Page | PageList
    link: Link | None = None
    end: str | None = None


class _Cursor:
    """Goes through a directory in natural order, `head` being next, and loads what is opened."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._stack: list[Iterator[_Item]] = []
        self.head: _Item | None = None

    def enter(self, node: Directory | Page | PageList, end: str | None) -> None:
        """Go through a node, which ends before a natural key, before all else."""
        if len(self._stack) > MAX_LIST_DEPTH:
            raise InvalidNodeError(f"lists of pages nested more than {MAX_LIST_DEPTH} levels deep")
        if isinstance(node, Directory):
            node = node.pages or node
        if isinstance(node, PageList):
            self._stack.append(_iter_children(node, end))
            self.advance()
        else:
            self.enter_entries(node.items())

    def enter_entries(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Go through entries before all else."""
        self._stack.append(_iter_entries(entries))
        self.advance()

    def advance(self) -> None:
        """Go on to the next item."""
        self.head = None
        while self._stack and self.head is None:
            item = next(self._stack[-1], None)
            if item is None:
                self._stack.pop()
            elif item.link is None and isinstance(item.node, Page | PageList):
                self.enter(item.node, item.end)
            else:
                self.head = item

    def opened(self) -> Page | PageList:
        """Return the page or list of pages that stands next, loaded."""
        assert self.head is not None
        _, first, node, _, end = self.head
        if isinstance(node, Link):
            node = decode_pages(node, self._load(node), first, end)
        assert isinstance(node, Page | PageList)
        return node

    def open(self) -> None:
        """Go into the page or list of pages that stands next."""
        assert self.head is not None
        self.enter(self.opened(), self.head.end)


def _enter_both(
    cursors: Sequence[_Cursor],
    nodes: Sequence[Directory | Page | PageList | None],
    ends: tuple[str | None, str | None],
) -> None:
    """Go into two nodes for the same segments, past the entries that are the same in both."""
    apart = _entries_apart(*nodes)
    for index, (cursor, node) in enumerate(zip(cursors, nodes, strict=True)):
        if apart is not None:
            cursor.enter_entries(apart[index].items())
        elif node is not None:
            cursor.enter(node, ends[index])


def _entries_apart(
    old: Directory | Page | PageList | None, new: Directory | Page | PageList | None
) -> tuple[Entries, Entries] | None:
    """Return the entries of two nodes without most that are the same; None if either has pages."""
    for node in (old, new):
        if node is None or isinstance(node, PageList) or getattr(node, "pages", None):
            return None
    assert isinstance(old, Directory | Page)
    assert isinstance(new, Directory | Page)
    before, after = old.entries, new.entries
    if isinstance(before, Packed) and isinstance(after, Packed):
        return before.apart(after)
    return before, after


def _iter_entries(entries: Iterable[tuple[str, Entry]]) -> Iterator[_Item]:
    items = (_Item(natural_key(segment), segment, entry) for segment, entry in entries)
    return iter(sorted(items, key=attrgetter("key")))


def _iter_children(pages: PageList, end: str | None) -> Iterator[_Item]:
    for index, child in enumerate(pages.children):
        link = child if isinstance(child, Link) else getattr(child, "link", None)
        stop = end_of(pages, index, end)
        yield _Item(pages.keys[index], pages.firsts[index], child, link, stop)


def _iter_pairs(old: _Cursor, new: _Cursor) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Iterate the segments of two directories with their entries, without pages of both."""
    while (first := _first_of(old, new)) is not None:
        a, b = old.head, new.head
        if a is not None and b is not None and a.link is not None and a.link == b.link:
            old.advance()
            new.advance()
        elif a is not None and b is not None and _are_alike(a, b):
            _enter_both((old, new), (old.opened(), new.opened()), (a.end, b.end))
        elif first.link is not None:
            (old if first is a else new).open()
        else:
            here = [item if item and item.key == first.key else None for item in (a, b)]
            for cursor, item in zip((old, new), here, strict=True):
                if item is not None:
                    cursor.advance()
            yield first.segment, *(item and item.node for item in here)  # type: ignore[misc]


def _are_alike(old: _Item, new: _Item) -> bool:
    """Whether two items are pages, or lists of them, for the same segments."""
    are_pages = old.link is not None and new.link is not None
    return are_pages and (old.key, old.end) == (new.key, new.end)


def _first_of(old: _Cursor, new: _Cursor) -> _Item | None:
    """Return what comes first; of two with one key, that which is not open yet."""
    heads = [item for item in (old.head, new.head) if item is not None]
    return min(heads, key=lambda item: (item.key, item.link is None), default=None)


def _metadata(directory: Directory, name: str, load: Load) -> Any:
    """Return the JSON value under a metadata name, None if there is none or it is malformed."""
    entry = scan_for(directory, name, load)
    if isinstance(entry, Link) and codec_of(entry) in (DAG_CBOR, RAW):
        data, codec = load(entry), codec_of(entry)
    elif isinstance(entry, Document):
        data, codec = entry.encoded, DAG_CBOR
    else:
        return None
    try:
        return load_json(data) if codec == RAW else dagcbor.decode(data)
    except (ValueError, RecursionError):
        return None
