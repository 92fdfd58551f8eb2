"""Whether a NetCDF-3 file is complete: its library reads zeros where one ends early."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ipldstore.cli.reporting import CommandError

MAGIC = b"CDF"

_CLASSIC, _LARGE_FILES, _LARGE_DATA = 1, 2, 5
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of an element, by the numbers of the types."""


class _Variable(NamedTuple):
    begin: int
    size: int
    is_record: bool


def check_whole(path: Path) -> None:
    """Check that a NetCDF-3 file is as long as what it says that is in it.

    Raises
    ------
    CommandError
        If it is shorter. Of one whose header is malformed its library says what is wrong.
    """
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            end = _Header(file).find_end()
    except EOFError:
        raise CommandError(f"{str(path)!r} is cut short: it ends in its header") from None
    except (ValueError, KeyError, IndexError):
        return
    if size < end:
        raise CommandError(f"{str(path)!r} is cut short: it has {size} bytes of {end}")


class _Header:
    """The header of a NetCDF-3 file, as its specification has it: big-endian, padded to four."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        version = self._take(4)[3]
        if version not in (_CLASSIC, _LARGE_FILES, _LARGE_DATA):
            raise ValueError(f"version {version}")
        self._count_bytes = 8 if version == _LARGE_DATA else 4
        self._offset_bytes = 4 if version == _CLASSIC else 8

    def find_end(self) -> int:
        """Return the number of bytes that a complete file has, without padding after the data."""
        records = self._count()
        if records == (1 << 8 * self._count_bytes) - 1:  # not known when the file was begun
            records = 0
        lengths = [self._dimension() for _ in range(self._list_length(_DIMENSIONS))]
        self._skip_attributes()
        variables = [self._variable(lengths) for _ in range(self._list_length(_VARIABLES))]
        return max((_end_of(one, variables, records) for one in variables), default=0)

    def _dimension(self) -> int:
        self._take(self._count())
        return self._count()

    def _variable(self, lengths: list[int]) -> _Variable:
        self._take(self._count())
        dimensions = [self._count() for _ in range(self._count())]
        self._skip_attributes()
        item = _SIZES[self._number(4)]
        self._count()  # the size, which does not tell those of large variables
        begin = self._number(self._offset_bytes)
        shape = [lengths[dimension] for dimension in dimensions]
        is_record = bool(shape) and shape[0] == 0
        return _Variable(begin, item * prod(shape[is_record:]), is_record)

    def _skip_attributes(self) -> None:
        for _ in range(self._list_length(_ATTRIBUTES)):
            self._take(self._count())
            item = _SIZES[self._number(4)]
            self._take(item * self._count())

    def _list_length(self, tag: int) -> int:
        found, length = self._number(4), self._count()
        if found not in (0, tag):
            raise ValueError(f"tag {found}")
        return length

    def _count(self) -> int:
        return self._number(self._count_bytes)

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take(self, size: int) -> bytes:
        """Read bytes and what pads them."""
        padded = _padded(size)
        self._left -= padded
        if self._left < 0:
            raise EOFError
        return self._file.read(padded)[:size]


def _end_of(variable: _Variable, variables: list[_Variable], records: int) -> int:
    if not variable.size or (variable.is_record and not records):
        return 0
    if not variable.is_record:
        return variable.begin + variable.size
    inner = [one.size for one in variables if one.is_record]
    step = inner[0] if len(inner) == 1 else sum(map(_padded, inner))
    return variable.begin + (records - 1) * step + variable.size


def _padded(size: int) -> int:
    return -(-size // 4) * 4
