"""Journals beside the blocks in an object store."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import NamedTuple

from ipldstore.backends.objects.requests import Requests
from ipldstore.blockstore.journals import (
    check_addition,
    check_size,
    describe,
    group_path,
    journal_path,
    not_at,
    parse_group_path,
)
from ipldstore.blockstore.pointers import FOLDER, is_pointer_name
from ipldstore.errors import BackendError
from ipldstore.limits import MAX_JOURNAL_BYTES

_PIECE_BYTES = 64 << 10
"""How many bytes an object has from which on it stays as it is, and the next one begins."""

_MOST_REMEMBERED = 1000
_DIGITS = 10


class _Piece(NamedTuple):
    """The object that is written last: where it begins in its journal, and its bytes.

    It is settled if it is not written again.
    """

    start: int
    data: bytes
    is_settled: bool

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def followed_by(self, data: bytes) -> _Piece:
        """Return the object that has these bytes at its end: this one or the next."""
        if self.is_settled or len(self.data) >= _PIECE_BYTES:
            return _Piece(self.end, data, False)
        return _Piece(self.start, self.data + data, False)


class Journals:
    """The objects of the journals beside the blocks in an object store.

    An object is named by where in the journal it begins, so that a list that was made while others
    append tells no wrong place of any byte. The last one is put again with each call that appends,
    from what is remembered of it, until it has 64 KiB. One that had to be sent twice is not: the
    first put may be done late, and would bring back what was there before the next.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._last: OrderedDict[tuple[str, str], _Piece] = OrderedDict()

    def append(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal that has `offset` bytes; with 0 it is made."""
        check_addition(group, name, offset, data)
        # not there while it is put, or if that fails: nothing comes next then
        last = self._last.pop((group, name), None)
        if not offset:
            piece = _Piece(0, data, False)
            if not self._create(group, name, data):
                raise not_at(group, name, offset, self.list_sizes(group).get(name))
        elif last is None or last.end != offset:
            raise not_at(group, name, offset, None if last is None else last.end)
        else:
            piece = last.followed_by(data)
            is_first_try = self._requests.replace(_path(group, name, piece.start), piece.data)
            piece = piece._replace(is_settled=not is_first_try)
        self._last[group, name] = piece
        if len(self._last) > _MOST_REMEMBERED:
            with suppress(KeyError):
                self._last.popitem(last=False)

    def make(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal if there is none; return whether it is this one that is there now."""
        check_addition(group, name, 0, data)
        self._requests.check_creates()
        return self._create(group, name, data)

    def read(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal."""
        sizes = self._requests.list_sizes(journal_path(group, name))
        begun = sorted(begin for begin in map(_parse_begin, sizes) if begin is not None)
        if not begun:
            return None
        if begun[0]:
            raise _damaged(group, name, 0)
        end = begun[-1] + sizes[_name_of(begun[-1])]
        check_size(group, name, end)
        if start >= end:
            return b""
        wanted = begun[bisect_right(begun, start) - 1 :]
        pieces = [
            self._read_piece(group, name, begin, following)
            for begin, following in zip_longest(wanted, wanted[1:])
        ]
        return b"".join(pieces)[start - wanted[0] :]

    def list_sizes(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has at least by now."""
        sizes: dict[str, int] = {}
        for path, size in self._requests.list_sizes(group_path(group)).items():
            name, _, piece = path.partition("/")
            begin = _parse_begin(piece)
            if begin is not None and is_pointer_name(name):
                sizes[name] = max(begin + size, sizes.get(name, 0))
        return sizes

    def find(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, looked for in this order."""
        return [self._requests.has(_path(group, name, 0)) for name in names]

    def remove(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, from its end on, so that what is left can be read."""
        path = journal_path(group, name)
        self._last.pop((group, name), None)
        for piece in sorted(self._requests.list_sizes(path), reverse=True):
            if _parse_begin(piece) is not None:
                self._requests.remove(f"{path}/{piece}")

    def iter_groups(self) -> Iterator[str]:
        """Iterate the names of all groups that have a journal."""
        for group in map(parse_group_path, self._requests.list(FOLDER)):
            if group is not None and self.list_sizes(group):
                yield group

    def _create(self, group: str, name: str, data: bytes) -> bool:
        """Make the first object of a journal; return whether it is this one that is there now."""
        path = _path(group, name, 0)
        return (
            self._requests.create(path, data) or self._requests.get(path, MAX_JOURNAL_BYTES) == data
        )

    def _read_piece(self, group: str, name: str, begin: int, following: int | None) -> bytes:
        data = self._requests.get(_path(group, name, begin), MAX_JOURNAL_BYTES)
        if data is None:
            raise _damaged(group, name, begin)
        if following is not None and begin + len(data) != following:
            raise _damaged(group, name, min(following, begin + len(data)))
        return data


def _path(group: str, name: str, begin: int) -> str:
    return f"{journal_path(group, name)}/{_name_of(begin)}"


def _name_of(begin: int) -> str:
    return f"{begin:0{_DIGITS}}"


def _parse_begin(piece: str) -> int | None:
    is_number = len(piece) == _DIGITS and piece.isascii() and piece.isdecimal()
    return int(piece) if is_number else None


def _damaged(group: str, name: str, at: int) -> BackendError:
    return BackendError(
        f"{describe(group, name)} is damaged, or was removed meanwhile: no object has its byte {at}"
    )
