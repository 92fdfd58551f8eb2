"""Entries as their block holds them: checked at once, made into objects when asked for.

Canonical DAG-CBOR sorts keys by their length first. So the links under keys of one length, such as
those of chunks, form a run of equal strides, which is checked by a few calls however long it is,
and in which a key is found by halving.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from contextlib import suppress
from functools import cache
from itertools import islice
from operator import itemgetter, lt
from typing import Any, Generic, NamedTuple, TypeVar

from ipldstore.cid import Link
from ipldstore.errors import CodecError
from ipldstore.formats import dagcbor
from ipldstore.limits import MAX_CBOR_BYTES, MAX_CBOR_ITEMS
from ipldstore.tree.cut import MAX_PAGE_BYTES, cut_after
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.order import natural_key

T = TypeVar("T")

_LIST, _MAP = 4, 5
_MIN_BYTES = 1 << 10
_FEWEST = 4
"""Links of which it pays to make a run."""

_FEW_BYTES = 4 << 10
"""So many bytes are searched sooner than by halving."""

_MAX_NAME = 23
"""Bytes of a name whose head is one byte."""

_LINK_HEAD = re.escape(dagcbor.LINK_HEAD)
_CID = rb"\x01[\x55\x70\x71][\x12\x1e]\x20.{32}"
_LINK = _LINK_HEAD + _CID
_CID_BYTES = 36
_LINK_BYTES = len(dagcbor.LINK_HEAD) + _CID_BYTES
_SIGN = rb"[^\0/\x80-\xff]"
_NAMES = {1: rb"[^\0/.\x80-\xff]", 2: rb"(?!\.\.)" + _SIGN + b"{2}"}

_PAIR = re.compile(b"\x82([\x61-\x77])(%s{1,23})%s(%s)" % (_SIGN, _LINK_HEAD, _CID), re.DOTALL)
_PAIRS = re.compile(b"(?:%s)+" % _PAIR.pattern, re.DOTALL)
"""Names and links of pages; a name ends where a link begins, and its size is to be compared."""

_SHAPES = bytes.maketrans(b"123456789", b"0" * 9)


@cache
def _run_pattern(size: int) -> re.Pattern[bytes]:
    """Match links under allowed names of so many bytes."""
    name = _NAMES.get(size, _SIGN + b"{%d}" % size)
    return re.compile(b"(?:%s%s%s){%d,}" % (_head(size), name, _LINK, _FEWEST), re.DOTALL)


@cache
def _name_pattern(size: int) -> re.Pattern[bytes]:
    """Match one of them, of which the name is a group."""
    return re.compile(b"%s(.{%d}).{%d}" % (_head(size), size, _LINK_BYTES), re.DOTALL)


@cache
def _pair_pattern(size: int) -> re.Pattern[bytes]:
    """Match one of them, of which the name and the CID are groups."""
    return re.compile(b"%s(.{%d})%s(.{36})" % (_head(size), size, _LINK_HEAD), re.DOTALL)


def _stride(size: int) -> int:
    return 1 + size + _LINK_BYTES


def _head(size: int) -> bytes:
    return re.escape(bytes((0x60 + size,)))


class Run(NamedTuple):
    """Links under names of one length that stand together.

    It goes from `start` to `stop` in the block; `size` is the bytes of each name.
    """

    start: int
    stop: int
    size: int

    @property
    def stride(self) -> int:
        """The bytes of each entry."""
        return _stride(self.size)

    @property
    def links(self) -> int:
        """How many there are."""
        return (self.stop - self.start) // self.stride

    def names(self, data: bytes) -> list[bytes]:
        """Return the names in their order."""
        return _name_pattern(self.size).findall(data, self.start, self.stop)


class Packed(Mapping[str, Link | T], Generic[T]):
    """The entries of a directory or page, most of them links, always under the same names.

    `span` is where in the block the map begins and ends. `runs` are those of links in it, in their
    order; `others` all other entries.
    """

    __slots__ = ("_data", "_firsts", "_patches", "_runs", "_span", "others")

    def __init__(
        self, data: bytes, span: tuple[int, int], runs: list[Run], others: dict[str, T]
    ) -> None:
        self._data = data
        self._span = span
        self._runs = runs
        self._firsts = [data[run.start : run.start + 1 + run.size] for run in runs]
        self.others = others
        self._patches: dict[str, Link] = {}

    @property
    def encoded(self) -> bytes:
        """The map as it stands in its block, without what was patched."""
        start, stop = self._span
        return self._data[start:stop]

    @property
    def is_worthwhile(self) -> bool:
        """Whether anything in it is not read yet."""
        return bool(self._runs) or any(isinstance(one, Packed) for one in self.others.values())

    def __getitem__(self, segment: str) -> Link | T:
        entry = self.get(segment)
        if entry is None:
            raise KeyError(segment)
        return entry  # type: ignore[no-any-return]

    def get(self, segment: str, default: Any = None) -> Any:
        """Return an entry."""
        if self._patches and segment in self._patches:
            return self._patches[segment]
        stop = self._find(segment)
        return self.others.get(segment, default) if stop is None else self._link_before(stop)

    def _link_before(self, stop: int) -> Link:
        return Link(self._data[stop - _CID_BYTES : stop])

    def _find(self, segment: str) -> int | None:
        """Return where a link ends, None if none has this name."""
        size = len(segment)
        if size > _MAX_NAME or not segment.isascii():
            return None
        key = dagcbor.encode_text(segment)
        index = bisect_right(self._firsts, key) - 1
        if index < 0 or self._runs[index].size != size:
            return None
        run, data = self._runs[index], self._data
        if run.stop - run.start <= _FEW_BYTES:
            return _scan(data, run, key)
        width = size + 1
        start, stride = run.start, run.stride

        def key_at(number: int) -> bytes:
            position = start + number * stride
            return data[position : position + width]

        number = bisect_left(range(run.links), key, key=key_at)
        position = start + number * stride
        is_here = position < run.stop and data[position : position + width] == key
        return position + stride if is_here else None

    def patch(self, segment: str, entry: Link | T) -> bool:
        """Put an entry in the place of another one in one step, and return whether it fits there.

        A link fits in the place of one as long as itself, while few are patched.
        """
        old = self.others.get(segment)
        if old is not None:
            fits = not isinstance(entry, Link) or (isinstance(old, Link) and len(entry) == len(old))
            if fits:
                self.others[segment] = entry  # type: ignore[assignment]
            return fits
        is_alike = isinstance(entry, Link) and len(entry) == _CID_BYTES
        if not is_alike or self._find(segment) is None or len(self._patches) * 8 > len(self):
            return False
        self._patches[segment] = entry  # type: ignore[assignment]
        return True

    def renewed(self, stubs: Mapping[str, bytes]) -> Packed[T]:
        """Return the same entries over the map as it is to be encoded now.

        `stubs` are the encoded `others`.
        """
        start, _ = self._span
        data = bytearray(self.encoded)
        for segment, link in self._patches.items():
            stop = self._find(segment)
            assert stop is not None
            data[stop - start - _CID_BYTES : stop - start] = link
        parts: list[tuple[bytes, bytes | bytearray, int]] = [
            (first, data[run.start - start : run.stop - start], run.size)
            for first, run in zip(self._firsts, self._runs, strict=True)
        ]
        for segment, stub in stubs.items():
            key = dagcbor.encode_text(segment)
            parts.append((key, key + stub, 0))
        encoded = bytearray(dagcbor.encode_map_head(len(self)))
        runs = []
        for _, part, size in sorted(parts, key=itemgetter(0)):
            if size:
                runs.append(Run(len(encoded), len(encoded) + len(part), size))
            encoded += part
        return Packed(bytes(encoded), (0, len(encoded)), runs, self.others)

    def __len__(self) -> int:
        return sum(run.links for run in self._runs) + len(self.others)

    def __iter__(self) -> Iterator[str]:
        for run in self._runs:
            yield from map(bytes.decode, run.names(self._data))
        yield from self.others

    def unpacked(self) -> dict[str, Link | T]:
        """Return the entries in a map of its own; of links first those under shorter names."""
        entries: dict[str, Link | T] = {}
        for run in self._runs:
            pairs = _pair_pattern(run.size).findall(self._data, run.start, run.stop)
            entries.update((name.decode(), Link(cid)) for name, cid in pairs)
        entries.update(self._patches)
        entries.update(self.others)
        return entries

    def apart(self, other: Packed[T]) -> tuple[dict[str, Link | T], dict[str, Link | T]]:
        """Return entries of both: all that are not the same, and of those that are only few."""
        if self._patches or other._patches:
            return self.unpacked(), other.unpacked()
        ours, theirs = self._pairs(), other._pairs()
        return _made(ours - theirs) | self.others, _made(theirs - ours) | other.others

    def _pairs(self) -> set[tuple[bytes, bytes]]:
        """Return the names and CIDs in runs, without what was patched."""
        pairs: set[tuple[bytes, bytes]] = set()
        for run in self._runs:
            pairs.update(_pair_pattern(run.size).findall(self._data, run.start, run.stop))
        return pairs

    def items(self) -> ItemsView[str, Link | T]:
        """Return segments and entries, made anew."""
        return self.unpacked().items()

    def values(self) -> ValuesView[Link | T]:
        """Return the entries, made anew."""
        return self.unpacked().values()

    def is_one_page(self) -> bool:
        """Whether a page of these is cut behind its last entry, and nowhere else, by its names.

        False also where it is not told, as others than links are in it.
        """
        start, stop = self._span
        links = [(name, item) for name, item in self.others.items() if isinstance(item, Link)]
        if stop - start > MAX_PAGE_BYTES or len(links) < len(self.others):
            return False
        ends: list[bytes] = []
        for run in self._runs:
            ends += cut_after(run.names(self._data), run.stride)
        for segment, link in links:
            size = len(dagcbor.encode_text(segment)) + len(dagcbor.encode_link(link))
            ends += cut_after((segment.encode(),), size)
        cuts = {natural_key(name.decode()) for name in ends}
        least, greatest = self.natural_bounds()
        return cuts - {least} == {greatest}

    def natural_bounds(self) -> tuple[str, str]:
        """Return the least and the greatest natural key.

        Names that differ in digits only sort by their bytes, so two of each such kind will do.
        """
        ends = list(self.others)
        for run in self._runs:
            names = run.names(self._data)
            shapes = b"/".join(names).translate(_SHAPES).split(b"/")
            greatest = dict(zip(shapes, names, strict=True))
            least = dict(zip(reversed(shapes), reversed(names), strict=True))
            ends += map(bytes.decode, (*least.values(), *greatest.values()))
        keys = [natural_key(end) for end in ends]
        return min(keys), max(keys)


def _made(pairs: set[tuple[bytes, bytes]]) -> dict[str, Link]:
    return {name.decode(): Link(cid) for name, cid in pairs}


def _scan(data: bytes, run: Run, key: bytes) -> int | None:
    """Return where the link under a key ends; what looks like one may stand within a CID."""
    position = data.find(key, run.start, run.stop)
    while position >= 0 and (position - run.start) % run.stride:
        position = data.find(key, position + 1, run.stop)
    return None if position < 0 else position + run.stride


class _Unsure(Exception):  # noqa: N818
    """What is read may break a rule."""


def pack(data: bytes) -> Packed[Any] | dict[str, Any] | list[Any] | None:
    """Read a block that holds a map of links, or of such maps, or a list of pages.

    It is what `dagcbor.decode` returns, but maps with runs of links are packed. None if the block
    is something else, or small, or may break a rule of DAG-CBOR or of what names links: it is to be
    decoded then.
    """
    if not _MIN_BYTES <= len(data) <= MAX_CBOR_BYTES:
        return None
    read = _read_map if data[0] >> 5 == _MAP else _read_pairs
    try:
        found, position, items = read(data, 0, MAX_CBOR_ITEMS, 1)
    except (CodecError, _Unsure):
        return None
    return found if position == len(data) and items >= 0 else None


def _read_map(
    data: bytes, start: int, items: int, depth: int
) -> tuple[Packed[Any] | dict[str, Any], int, int]:
    """Read a map that names what is in a directory, as `dagcbor.decode_item` reads it.

    Raises `CodecError` or `_Unsure` if it may break a rule.
    """
    if depth > dagcbor.MAX_DEPTH:
        raise _Unsure
    _, count, position = dagcbor.decode_head(data, start, len(data))
    items -= count
    runs: list[Run] = []
    others: dict[str, Any] = {}
    last = b""
    while count:
        run = _run_at(data, position, count)
        if run is None:
            name, begin, items = dagcbor.decode_item(data, position, items)
            if not isinstance(name, str):
                raise _Unsure
            first = key = data[position:begin]
            others[name], position, items = _read_entry(name, data, begin, items, depth)
            count -= 1
        else:
            first, key = _ends_of(run, data)
            runs.append(run)
            position = run.stop
            count -= run.links
        if not last < first:
            raise _Unsure
        last = key
    found = Packed(data, (start, position), runs, others)
    return found if found.is_worthwhile else others, position, items


def _read_entry(
    name: str, data: bytes, position: int, items: int, depth: int
) -> tuple[Any, int, int]:
    if position < len(data) and name not in METADATA_NAMES:
        if data[position] >> 5 == _MAP:
            return _read_map(data, position, items, depth + 1)
        if data[position] >> 5 == _LIST:
            with suppress(_Unsure):
                return _read_pairs(data, position, items, depth + 1)
    return dagcbor.decode_item(data, position, items, depth)


def _read_pairs(data: bytes, start: int, items: int, depth: int) -> tuple[list[Any], int, int]:
    """Read a list of pages, as `dagcbor.decode_item` reads it; `_Unsure` if it may be none."""
    if data[start] >> 5 != _LIST or depth + 1 > dagcbor.MAX_DEPTH:
        raise _Unsure
    _, count, position = dagcbor.decode_head(data, start, len(data))
    run = _PAIRS.match(data, position)
    if run is None:
        raise _Unsure
    pairs = _PAIR.findall(data, position, run.end())
    if len(pairs) != count or any(head[0] != 0x60 + len(name) for head, name, _ in pairs):
        raise _Unsure
    found = [[name.decode(), Link(cid)] for _, name, cid in pairs]
    return found, run.end(), items - 3 * count


def _run_at(data: bytes, position: int, most: int) -> Run | None:
    """Return the run that begins here; what follows it may belong to the map around this one."""
    size = data[position] - 0x60 if position < len(data) else 0
    if not 0 < size <= _MAX_NAME:
        return None
    stop = min(position + most * _stride(size), len(data))
    found = _run_pattern(size).match(data, position, stop)
    return None if found is None else Run(position, found.end(), size)


def _ends_of(run: Run, data: bytes) -> tuple[bytes, bytes]:
    """Return the first and the last key of a run, which is in order."""
    names = run.names(data)
    if not all(map(lt, names, islice(names, 1, None))):
        raise _Unsure
    head = data[run.start : run.start + 1]
    return head + names[0], head + names[-1]
