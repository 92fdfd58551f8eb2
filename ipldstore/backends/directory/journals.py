"""The files of journals in a folder of blocks."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipldstore.backends.directory.files import (
    backend_error,
    check_marked,
    make_file,
    not_made,
    read_at_most,
    sync_names,
)
from ipldstore.basics.locks import Process
from ipldstore.blockstore.journals import (
    check_addition,
    check_journal_name,
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

_MOST_OPEN = 8

_FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class _Opened:
    """A journal that is open to be appended to, closed when nothing refers to it any more.

    A call that appends holds it alone. What a forked process gets of it is never written to.
    """

    _descriptors: list[int] = []  # noqa: RUF012  # where an interrupt comes before there is one

    def __init__(self, process: object) -> None:
        self._descriptors = []
        self.process = process
        self.size = 0

    def __del__(self) -> None:
        self.close()

    def open(self, file: str, flags: int) -> None:
        """Open the file."""
        if Process.current is not self.process:
            raise _forked()
        # one call in C, so that no interrupt comes between opening and appending
        self._descriptors.extend(map(os.open, [file], [flags], [0o644]))
        self.size = os.fstat(self._descriptors[0]).st_size

    def write(self, data: bytes, is_forced: bool) -> None:
        """Append to the file."""
        descriptor = self._descriptors[0]
        rest = memoryview(data)
        while rest:
            if Process.current is not self.process:
                raise _forked()
            rest = rest[os.write(descriptor, rest) :]
        if is_forced:
            os.fsync(descriptor)
        self.size += len(data)

    def close(self) -> None:
        """Close the file; nothing is appended to it then."""
        self.size = -1
        # one call in C, so that no interrupt comes between taking out and closing
        list(map(os.close, map(self._descriptors.pop, [0] * len(self._descriptors))))


class JournalFiles:
    """The files of the journals in a folder of blocks, a folder for each group.

    Those that were appended to last stay open, so that a call writes and does nothing else. If
    others removed one meanwhile, what is appended goes with it.
    """

    def __init__(self, path: Path, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync
        self._idle: OrderedDict[tuple[str, str], _Opened] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return JournalFiles, (self._path, self._fsync)

    def append(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal that has `offset` bytes; with 0 it is made."""
        check_addition(group, name, offset, data)
        process, opened = Process.current, None
        try:
            # taken out, so that no other thread closes it
            opened = self._idle.pop((group, name), None)
            if (
                opened is None
                or opened.process is not process
                or opened.size != offset
                or not offset
            ):
                opened = _Opened(process)
                self._open(opened, group, name, offset)
            opened.write(data, self._fsync)
            if self._fsync and not offset:
                sync_names(self._file(group, name), self._path)
            self._keep((group, name), opened)
        except BaseException as error:
            if opened is not None:
                opened.close()
            if isinstance(error, OSError):
                what = f"cannot append to {describe(group, name)}"
                raise backend_error(what, self._file(group, name), error) from error
            raise

    def make(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal if there is none; return whether it is this one that is there now."""
        check_addition(group, name, 0, data)
        file = self._file(group, name)
        try:
            if not make_file(file, data, self._path) and self.read(group, name) != data:
                return False
            if self._fsync:
                sync_names(file, self._path)
        except OSError as error:
            raise not_made(f"cannot make {describe(group, name)}", file, error) from error
        return True

    def read(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal."""
        file = self._file(group, name)
        try:
            data = read_at_most(file, MAX_JOURNAL_BYTES, start)
            if data is None:
                check_size(group, name, os.stat(file).st_size)
        except FileNotFoundError:
            check_marked(self._path)
            return None
        except OSError as error:
            raise backend_error(f"cannot read {describe(group, name)}", file, error) from error
        return data

    def list_sizes(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has at least by now."""
        folder = self._folder(group)
        found = {}
        try:
            with os.scandir(folder) as files:
                for file in files:
                    if is_pointer_name(file.name):
                        with suppress(FileNotFoundError):
                            # not what the listing says, which may be of before
                            status = self._look(file.path)
                            if stat.S_ISREG(status.st_mode):
                                found[file.name] = status.st_size
        except FileNotFoundError:
            check_marked(self._path)
        except OSError as error:
            raise backend_error(
                f"cannot list group {group!r} of journals", folder, error
            ) from error
        return found

    def find(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, looked for in this order."""
        folder = self._folder(group)
        found = []
        for name in names:
            check_journal_name(name)
            file = f"{folder}{os.sep}{name}"
            try:
                self._look(file)
                found.append(True)
            except FileNotFoundError:
                found.append(False)
            except OSError as error:
                what = f"cannot look for {describe(group, name)}"
                raise backend_error(what, file, error) from error
        if not any(found):
            check_marked(self._path)
        return found

    def _look(self, file: str) -> os.stat_result:
        """Return what a file is now.

        A client of NFS remembers for seconds what it was asked of a name. To open a file asks
        the server, and where several machines write, `fsync` is needed anyway.
        """
        if not self._fsync:
            return os.stat(file)
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, and its group with the last one."""
        file = self._file(group, name)
        opened = self._idle.pop((group, name), None)
        if opened is not None:
            opened.close()
        try:
            os.unlink(file)
        except FileNotFoundError:
            check_marked(self._path)
        except OSError as error:
            raise backend_error(f"cannot remove {describe(group, name)}", file, error) from error
        with suppress(OSError):
            os.rmdir(os.path.dirname(file))

    def iter_groups(self) -> Iterator[str]:
        """Iterate the names of all groups that have a journal."""
        folder = str(self._path / FOLDER)
        paths: Sequence[str] = ()
        try:
            paths = os.listdir(folder)
        except FileNotFoundError:
            check_marked(self._path)
        except OSError as error:
            raise backend_error("cannot list the groups of journals", folder, error) from error
        for group in map(parse_group_path, paths):
            if group is not None and os.path.isdir(self._folder(group)) and self.list_sizes(group):
                yield group

    def close(self) -> None:
        """Close the journals that are open."""
        with suppress(KeyError):
            while self._idle:
                self._idle.popitem()[1].close()

    def _folder(self, group: str) -> str:
        return f"{self._path}{os.sep}{group_path(group)}"

    def _file(self, group: str, name: str) -> str:
        return f"{self._path}{os.sep}{journal_path(group, name)}"

    def _open(self, opened: _Opened, group: str, name: str, offset: int) -> None:
        file = self._file(group, name)
        if not offset:
            self._create(opened, file)
            return
        try:
            opened.open(file, _FLAGS)
        except FileNotFoundError:
            check_marked(self._path)
            raise not_at(group, name, offset, None) from None
        if opened.size != offset:
            raise not_at(group, name, offset, opened.size)

    def _create(self, opened: _Opened, file: str) -> None:
        flags = _FLAGS | os.O_CREAT | os.O_EXCL
        try:
            opened.open(file, flags)
            return
        except FileNotFoundError:
            # its group is new, or the folder went
            check_marked(self._path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        opened.open(file, flags)

    def _keep(self, key: tuple[str, str], opened: _Opened) -> None:
        self._idle[key] = opened
        while len(self._idle) > _MOST_OPEN:
            with suppress(KeyError):
                self._idle.popitem(last=False)[1].close()


def _forked() -> BackendError:
    """Return the error for a signal handler's child that goes on to write its parent's file."""
    return BackendError("the process forked in the middle of an append: begin another journal")
