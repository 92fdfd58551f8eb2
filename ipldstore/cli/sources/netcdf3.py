"""Whether a NetCDF-3 file is complete: its library reads zeros where one ends early."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ipldstore.cli.frame.reporting import CommandError
from ipldstore.errors import LimitExceededError

_MOST = 1_000_000
"""Dimensions, variables and attributes in all; old versions of the library took thousands."""

_CLASSIC, _LARGE_FILES, _LARGE_DATA = 1, 2, 5
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of an element, by the numbers of the types."""


class _UnfinishedError(Exception):
    """The number of records was not known when the file was begun, and nobody filled it in."""


class _Variable(NamedTuple):
    begin: int
    size: int
    is_record: bool


def check_whole(path: Path) -> None:
    """Refuse a NetCDF-3 file that is shorter than it says; its library refuses a malformed one."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            end = _Header(file).find_end()
    except EOFError:
        raise CommandError(f"{str(path)!r} is cut short: it ends in its header") from None
    except LimitExceededError as error:
        raise LimitExceededError(f"{str(path)!r}: {error}") from None
    except _UnfinishedError:
        raise CommandError(
            f"{str(path)!r} was never finished: it does not say how many records it has"
        ) from None
    except (ValueError, KeyError, IndexError):
        return
    if size < end:
        raise CommandError(f"{str(path)!r} is cut short: it has {size} bytes of {end}")


class _Header:
    """The header of a NetCDF-3 file, as its specification has it: big-endian, padded to four."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self._listed = 0
        version = self._take(4)[3]
        if version not in (_CLASSIC, _LARGE_FILES, _LARGE_DATA):
            raise ValueError(f"version {version}")
        self._count_bytes = 8 if version == _LARGE_DATA else 4
        self._offset_bytes = 4 if version == _CLASSIC else 8

    def find_end(self) -> int:
        """Return the number of bytes that a complete file has, without padding after the data."""
        records = self._count()
        lengths = [self._dimension() for _ in range(self._list_length(_DIMENSIONS))]
        self._skip_attributes()
        variables = [self._variable(lengths) for _ in range(self._list_length(_VARIABLES))]
        inner = [one.size for one in variables if one.is_record]
        if inner and records == (1 << 8 * self._count_bytes) - 1:
            raise _UnfinishedError
        step = inner[0] if len(inner) == 1 else sum(map(_padded, inner))
        return max((_end_of(one, records, step) for one in variables), default=0)

    def _dimension(self) -> int:
        self._skip(self._count())
        return self._count()

    def _variable(self, lengths: list[int]) -> _Variable:
        self._skip(self._count())
        dimensions = [self._count() for _ in range(self._checked(self._count()))]
        self._skip_attributes()
        item = _SIZES[self._number(4)]
        self._count()  # the size, which does not tell those of large variables
        begin = self._number(self._offset_bytes)
        shape = [lengths[dimension] for dimension in dimensions]
        is_record = bool(shape) and shape[0] == 0
        return _Variable(begin, item * prod(shape[is_record:]), is_record)

    def _skip_attributes(self) -> None:
        for _ in range(self._list_length(_ATTRIBUTES)):
            self._skip(self._count())
            item = _SIZES[self._number(4)]
            self._skip(item * self._count())

    def _list_length(self, tag: int) -> int:
        found, length = self._number(4), self._count()
        if found not in (0, tag):
            raise ValueError(f"tag {found}")
        return self._checked(length)

    def _count(self) -> int:
        return self._number(self._count_bytes)

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise EOFError
        return self._file.read(size)

    def _skip(self, size: int) -> None:
        """Pass bytes and what pads them."""
        self._left -= _padded(size)
        if self._left < 0:
            raise EOFError
        self._file.seek(_padded(size), os.SEEK_CUR)

    def _checked(self, length: int) -> int:
        self._listed += length
        if self._listed > _MOST:
            raise LimitExceededError(f"a header that lists more than {_MOST} things")
        return length


def _end_of(variable: _Variable, records: int, step: int) -> int:
    if not variable.size or (variable.is_record and not records):
        return 0
    if not variable.is_record:
        return variable.begin + variable.size
    return variable.begin + (records - 1) * step + variable.size


def _padded(size: int) -> int:
    return -(-size // 4) * 4
