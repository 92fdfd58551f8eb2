"""Pointers beside the blocks in an object store."""

from __future__ import annotations

from collections.abc import Iterator

from ipldstore.backends.numbered import (
    FEWEST,
    file_name,
    parse_number,
    read_numbered,
    swap_numbered,
)
from ipldstore.backends.objects.requests import Requests
from ipldstore.blockstore.pointers import FOLDER, parse_pointer_path, pointer_path
from ipldstore.cid import CIDLike, Link
from ipldstore.limits import MAX_POINTER_BYTES


class Pointers:
    """The numbered objects of the pointers beside the blocks in an object store.

    They are named like the files in a folder of blocks. A server has to do no more than to make an
    object if there is none, in one step. To replace an object if it has the tag that it had is what
    not all do in one step: versitygw 1.8, for one, lost 23 of 80 swaps of eight threads.
    """

    kept = FEWEST

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def read(self, name: str) -> Link | None:
        """Return the CID that a pointer is at, None if there is no such pointer."""
        return read_numbered(self, name)

    def swap(self, name: str, old: CIDLike | None, new: CIDLike) -> bool:
        """Move a pointer if it is at the old CID, and return whether it moved."""
        return swap_numbered(self, name, old, new)

    def iter_names(self) -> Iterator[str]:
        """Iterate the names of all pointers."""
        for name in map(parse_pointer_path, self._requests.list(FOLDER)):
            if name is not None and self.list_numbers(name):
                yield name

    def list_numbers(self, name: str) -> list[int]:
        """Return the numbers of a pointer's objects, none if there is no such pointer."""
        numbers = map(parse_number, self._requests.list(pointer_path(name)))
        return [number for number in numbers if number]

    def read_number(self, name: str, number: int) -> bytes | None:
        """Return the bytes of an object, None if there is no such object."""
        return self._requests.get(_path(name, number), MAX_POINTER_BYTES)

    def make(self, name: str, number: int, data: bytes) -> bool:
        """Make an object if none has its number; return whether it is this one that has it now."""
        if number == 1:
            self._requests.check_creates()
        is_made = self._requests.create(_path(name, number), data)
        return is_made or self.read_number(name, number) == data

    def remove(self, name: str, number: int) -> None:
        """Remove an object as far as that can be done."""
        self._requests.delete(_path(name, number))

    def where(self, name: str, number: int) -> str:
        """Say for people where an object is."""
        return repr(self._requests.place(_path(name, number)))


def _path(name: str, number: int) -> str:
    return f"{pointer_path(name)}/{file_name(number)}"
