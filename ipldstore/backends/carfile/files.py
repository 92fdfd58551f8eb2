"""Open files: locked, written to, forced to the disk and closed."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ipldstore.errors import BackendError


def number_of(file: FileIO) -> int:
    """Return the number of an open file; raise `OSError` if it was closed."""
    try:
        return file.fileno()
    except ValueError:
        raise OSError(errno.EBADF, "the archive was closed, or left to the parent") from None


def close_files(files: list[FileIO]) -> None:
    """Close files, and let go of their locks, which forked processes may hold as well."""
    for file in reversed(files):
        with suppress(OSError, ValueError):
            fcntl.flock(file, fcntl.LOCK_UN)
        file.close()


def sync_folder(path: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_file(descriptor: int, path: Path) -> None:
    """Take the lock of a file that is open, or raise a `BackendError` that may be tried again."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise BackendError(
            f"another store is writing to {str(path)!r}, in this process or in another one: "
            "close() one that you had opened before, or try again later",
            retryable=True,
        ) from error


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of some bytes at an offset."""
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count
