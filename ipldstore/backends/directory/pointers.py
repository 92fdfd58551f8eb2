"""The files of pointers in a folder of blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ipldstore.backends.directory.files import (
    backend_error,
    check_marked,
    make_file,
    not_made,
    read_file,
    remove,
    sync_names,
)
from ipldstore.backends.numbered import file_name, parse_number
from ipldstore.blockstore.pointers import FOLDER, parse_pointer_path, pointer_path
from ipldstore.limits import MAX_POINTER_BYTES


class PointerFiles:
    """The numbered files of the pointers in a folder of blocks.

    A file is whole before it has its name, by a hard link. Its bytes are forced to the disk before
    that, so that a power cut leaves the file or none; with `fsync`, the name is, too.
    """

    kept = 1000

    def __init__(self, path: Path, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync

    def iter_names(self) -> Iterator[str]:
        """Iterate the names of all pointers."""
        for found in self._list(self._path / FOLDER):
            name = parse_pointer_path(found)
            if name is not None and self._folder(name).is_dir() and self.list_numbers(name):
                yield name

    def list_numbers(self, name: str) -> list[int]:
        """Return the numbers of a pointer's files, none if there is no such pointer."""
        numbers = map(parse_number, self._list(self._folder(name)))
        return [number for number in numbers if number]

    def read_number(self, name: str, number: int) -> bytes | None:
        """Return the bytes of a file, None if there is no such file."""
        file = self._file(name, number)
        try:
            return read_file(file, MAX_POINTER_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise backend_error(f"cannot read pointer {name!r}", file, error) from error

    def make(self, name: str, number: int, data: bytes) -> bool:
        """Make a file if none has its number; return whether it is this one that has it now."""
        file = self._file(name, number)
        try:
            if not make_file(file, data, self._path) and self.read_number(name, number) != data:
                return False
            if self._fsync:
                sync_names(file, self._path)
        except OSError as error:
            raise not_made(f"cannot move pointer {name!r}", file, error) from error
        return True

    def remove(self, name: str, number: int) -> None:
        """Remove a file as far as that can be done."""
        remove(self._file(name, number))

    def where(self, name: str, number: int) -> str:
        """Say for people where a file is."""
        return repr(self._file(name, number))

    def _folder(self, name: str) -> Path:
        return self._path / pointer_path(name)

    def _file(self, name: str, number: int) -> str:
        return str(self._folder(name) / file_name(number))

    def _list(self, folder: Path) -> list[str]:
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            check_marked(self._path)
            return []
        except OSError as error:
            what = "cannot look through the folder of pointers"
            raise backend_error(what, folder, error) from error
