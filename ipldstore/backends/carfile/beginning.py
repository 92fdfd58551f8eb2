"""The file of an archive: opened, or begun where there is none."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from ipldstore.backends.carfile.archive import Archive
from ipldstore.backends.carfile.files import lock_file, sync_folder, write_all


def open_archive(path: Path, beginning: bytes, *, allow_padding: bool = False) -> Archive | None:
    """Open an archive; None if there is no file, or only a part of the beginning of a new one."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(path, "rb") as file:
            start = file.read(len(beginning) + 1)
    except FileNotFoundError:
        return None
    return None if _is_part(start, beginning) else Archive(path, allow_padding=allow_padding)


def make_archive(path: Path, beginning: bytes) -> Archive:
    """Write the beginning of an archive, unless another process was faster, and open it.

    It is forced to the disk, with its name, so that the file is an archive whatever happens.
    """
    with FileIO(path, "r+b", opener=_open_or_make) as file:
        descriptor = file.fileno()
        lock_file(descriptor, path)
        if _is_part(os.pread(descriptor, len(beginning) + 1, 0), beginning):
            write_all(descriptor, beginning, 0)
            os.fsync(descriptor)
            sync_folder(path.parent)
    return Archive(path)


def _open_or_make(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CREAT, 0o644)


def _is_part(start: bytes, beginning: bytes) -> bool:
    """Whether a file's start is less than a beginning, perhaps with zeros for what is not there."""
    if len(start) == len(beginning):
        start = start.rstrip(b"\0")
    return len(start) < len(beginning) and beginning.startswith(start)
