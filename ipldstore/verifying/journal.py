"""The journal of a verification: what was found sound, for a run that goes on after a stop."""

from __future__ import annotations

import json
import os
from typing import Any, Self

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, parse_text, to_text
from ipldstore.errors import InvalidCIDError, JournalError

_VERSION = 1
_MAX_HEADER_BYTES = 64 << 10


class Journal:
    """A file of lines, each the CID and the size of a raw block that was found sound.

    The first line, in JSON, says of which root and which block store. A line is written after its
    block was read and verified. What a crash left half-written at the end, from the first line on
    that is none, is cut off: those blocks are read again. `root` and `store` are what is verified,
    `sound` the blocks that earlier runs found sound, and their sizes. The file is made if it is not
    there, or empty. Raises `JournalError` if it is no journal, or that of another root or store, or
    cannot be used.
    """

    def __init__(
        self, path: str | os.PathLike[str], root: Link, store: ContentAddressableStore
    ) -> None:
        self._path = os.fspath(path)
        self._lines: list[str] = []
        self.sound: dict[Link, int] = {}
        header = {"ipldstore verify": _VERSION, "root": to_text(root), "store": repr(store)}
        try:
            self._file = open(self._path, "a+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self._failure(error) from error
        try:
            self._begin(header)
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise self._failure(error) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def note(self, cid: Link, size: int) -> None:
        """Note a block that was found sound; `write` brings it into the file."""
        self._lines.append(f"{to_text(cid)} {size}\n")

    def write(self) -> None:
        """Write what was noted."""
        if self._lines:
            data, self._lines = "".join(self._lines).encode(), []
            self._write(data)

    def finish(self) -> None:
        """Remove the file: all was found sound, and the next run begins anew."""
        try:
            self._file.close()
            os.unlink(self._path)
        except OSError as error:
            raise self._failure(error) from error

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise self._failure(error) from error

    def _begin(self, header: dict[str, Any]) -> None:
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            first = lines.readline(_MAX_HEADER_BYTES)
            if first.endswith(b"\n"):
                self._check_header(first, header)
                end = len(first)
                for line in lines:
                    if not self._read_line(line):
                        break
                    end += len(line)
                self._file.truncate(end)
                return
        whole = json.dumps(header).encode() + b"\n"
        if not whole.startswith(first):
            raise JournalError(f"{self._path!r} is no journal of a verification")
        self._file.truncate(0)
        self._write(whole)

    def _check_header(self, line: bytes, expected: dict[str, Any]) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("ipldstore verify") != _VERSION:
            raise JournalError(f"{self._path!r} is no journal of a verification")
        for name in ("root", "store"):
            if found.get(name) != expected[name]:
                raise JournalError(
                    f"{self._path!r} is the journal of another {name}: {found.get(name)}, "
                    f"expected {expected[name]}; give another path, or remove it"
                )

    def _read_line(self, line: bytes) -> bool:
        """Take in a line, and return whether it is one."""
        cid, space, size = line.partition(b" ")
        if not (space and size.endswith(b"\n") and size[:-1].isdigit() and len(size) < 20):
            return False
        try:
            link = parse_text(cid.decode("ascii"))
        except (InvalidCIDError, UnicodeDecodeError):
            return False
        self.sound[link] = int(size)
        return True

    def _failure(self, error: OSError) -> JournalError:
        return JournalError(f"cannot use the journal {self._path!r}: {error.strerror}")
