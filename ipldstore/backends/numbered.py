"""Pointers as numbered files: each swap makes the next one, and the highest is what counts.

To make a file that must not be there yet is one step on every file system, needs no lock, and
leaves nothing locked. The last files stay, as what the pointer was at before.
"""

from __future__ import annotations

from typing import Protocol

from ipldstore.blockstore.pointers import decode_pointer, encode_pointer
from ipldstore.cid import CIDLike, Link, as_link
from ipldstore.errors import BackendError

FEWEST = 100
"""How many files of a pointer stay at least, whatever removes them. Who takes longer than so many
swaps of others is told so."""

DIGITS = 16
"""In the name of a file."""


class NumberedFiles(Protocol):
    """Where the files of pointers are. All of these raise `BackendError` if they fail.

    `kept` is how many files of a pointer stay, not less than `FEWEST`.
    """

    kept: int

    def list_numbers(self, name: str) -> list[int]:
        """Return the numbers of a pointer's files, none if there is no such pointer."""

    def read_number(self, name: str, number: int) -> bytes | None:
        """Return the bytes of a file, None if there is no such file."""

    def make(self, name: str, number: int, data: bytes) -> bool:
        """Make a file, whole or not at all, if none has its number.

        Returns whether it is this one that has it now. Network file systems may ask twice, and say
        that it is there already when they did it the first time.
        """

    def remove(self, name: str, number: int) -> None:
        """Remove a file as far as that can be done."""

    def where(self, name: str, number: int) -> str:
        """Say for people where a file is."""


def file_name(number: int) -> str:
    """Return the name of a file in the folder of a pointer."""
    return f"{number:0{DIGITS}}"


def parse_number(name: str) -> int | None:
    """Return the number of a file by its name, None if it has none."""
    is_number = len(name) == DIGITS and name.isascii() and name.isdecimal()
    return int(name) if is_number else None


def read_numbered(files: NumberedFiles, name: str) -> Link | None:
    """Return the CID that a pointer is at, None if there is no such pointer.

    Raises `BackendError` if its highest file is damaged.
    """
    return _find(files, name)[1]


def swap_numbered(files: NumberedFiles, name: str, old: CIDLike | None, new: CIDLike) -> bool:
    """Move a pointer if it is at the old CID, and return whether it moved.

    Raises `BackendError` if its highest file is damaged, or others moved it so often meanwhile that
    nothing is left to tell by.
    """
    data = encode_pointer(new)
    expected = None if old is None else as_link(old)
    taken = 0
    while True:
        number, found = _find(files, name, taken)
        if found != expected:
            return False
        if number < taken:
            where = files.where(name, taken)
            raise BackendError(f"pointer {name!r}: {where} is taken, and not there", retryable=True)
        number += 1
        if len(file_name(number)) > DIGITS:
            raise BackendError(f"no number is left after {files.where(name, number - 1)}")
        if files.make(name, number, data):
            _settle(files, name, number)
            return True
        taken = number


def _find(files: NumberedFiles, name: str, at_least: int = 0) -> tuple[int, Link | None]:
    """Return the highest number of a pointer's files, and what is in that file.

    A file with the number `at_least` is known to have been there, though a listing may not show it.
    """
    gone = 0
    while True:
        number = max(at_least, *files.list_numbers(name), 0)
        if not number:
            return 0, None
        where = f"pointer {name!r}: {files.where(name, number)}"
        data = files.read_number(name, number)
        if data is not None:
            return number, decode_pointer(data, where, "; without it the one before counts")
        if number == gone:
            raise BackendError(f"{where} is listed, and not there", retryable=True)
        # others moved the pointer far beyond it, and removed it
        at_least, gone = 0, number


def _settle(files: NumberedFiles, name: str, number: int) -> None:
    """Remove old files, and see that the one that was just made is not one that others removed.

    A number is free again once it is so old; only then can a file with it count for nothing.
    """
    numbers = files.list_numbers(name)
    highest = max(numbers, default=0)
    for old in sorted(numbers):
        if old <= highest - files.kept:
            files.remove(name, old)
    if number <= highest - FEWEST:
        raise BackendError(
            f"pointer {name!r} was moved {FEWEST} times while it was to be moved once, so that it "
            "cannot be told whether it was: read it again",
            retryable=True,
        )
