"""Files that appear whole or not at all, whatever process dies or forks, and reading them."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ipldstore.backends.paths import SHARDING_NAME
from ipldstore.basics.locks import Process
from ipldstore.errors import BackendError
from ipldstore.limits import MAX_BLOCK_BYTES

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

_RETRYABLE = (errno.EAGAIN, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT)


def write_file(name: str, data: bytes, *, sync: bool = False, is_new: bool = False) -> None:
    """Write a file under a temporary name beside its own, then give it its own.

    With `is_new` it replaces none: raises `FileExistsError` if there is one of its name.
    """
    process = Process.current
    folder = os.path.dirname(name)
    temporary = f"{folder}{os.sep}.put-{os.getpid()}-{secrets.token_hex(8)}"
    opened: list[int] = []
    try:
        with suppress(FileExistsError):
            _create(temporary, opened)
        if Process.current is not process:
            raise _forked()
        if not opened:
            # a signal handler forked, and its child, which keeps nothing, was faster
            remove(temporary)
            write_file(name, data, sync=sync, is_new=is_new)
            return
        _write_all(opened[0], data, process)
        if sync:
            os.fsync(opened[0])
        os.close(opened.pop())
        if Process.current is not process:
            raise _forked()
        if not is_new:
            os.replace(temporary, name)
            return
        _link(temporary, name)
        if Process.current is process:
            remove(temporary)
    except BaseException:
        # whenever an interrupt comes: the name is known before there is a file
        for descriptor in opened:
            os.close(descriptor)
        if Process.current is process:
            remove(temporary)
        raise


def make_file(name: str, data: bytes, root: Path) -> bool:
    """Write a file, forced to the disk, if there is none; return whether there was none.

    The folders above it are made, up to the folder of blocks `root`, which must be there.
    """
    try:
        return _is_made(name, data)
    except FileNotFoundError:
        check_marked(root)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    return _is_made(name, data)


def _is_made(name: str, data: bytes) -> bool:
    try:
        write_file(name, data, sync=True, is_new=True)
    except FileExistsError:
        return False
    return True


def _create(name: str, opened: list[int]) -> None:
    """Make a file and append its descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # one call in C, so that no interrupt comes between opening and appending
    opened.extend(map(os.open, [name], [flags], [0o644]))


def _write_all(descriptor: int, data: bytes, process: object) -> None:
    view = memoryview(data)
    while view:
        if Process.current is not process:
            raise _forked()
        view = view[os.write(descriptor, view) :]


def _link(existing: str, name: str) -> None:
    if not hasattr(os, "link"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
    os.link(existing, name)


def _forked() -> BackendError:
    """Return the error for a signal handler's child that goes on to write its parent's file."""
    return BackendError("the process forked in the middle of a put: put the block again")


def holds(name: str, data: bytes) -> bool:
    """Whether a file holds exactly the data; a damaged one does not, and is written again."""
    try:
        status = os.stat(name)
        if status.st_size != len(data) or not stat.S_ISREG(status.st_mode):
            return False
        return read_file(name) == data
    except FileNotFoundError:
        return False


def remove(name: str) -> None:
    """Remove a file as far as that can be done."""
    with suppress(OSError):
        os.unlink(name)


def read_file(name: str, most: int = MAX_BLOCK_BYTES) -> bytes:
    """Return the bytes of a file, which has so many at most."""
    with open(name, "rb", buffering=0, opener=_open_file) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes, at most {most}", name)
        return _read_all(file, size)


def read_at_most(name: str, most: int, start: int = 0) -> bytes | None:
    """Return the bytes of a file from one on, None if it has more than so many."""
    with open(name, "rb", buffering=0, opener=_open_file) as file:
        size = os.fstat(file.fileno()).st_size
        return _read_all(file, size, start) if size <= most else None


def fill_from(name: str, buffer: memoryview) -> bool:
    """Read a file into a buffer, False if it has another size."""
    with open(name, "rb", buffering=0, opener=_open_file) as file:
        if os.fstat(file.fileno()).st_size != len(buffer):
            return False
        descriptor, done = file.fileno(), 0
        while done < len(buffer) and (count := os.preadv(descriptor, [buffer[done:]], done)):
            done += count
        return True


def _read_all(file: FileIO, size: int, start: int = 0) -> bytes:
    if not hasattr(os, "pread"):
        file.seek(start)
        return file.readall()
    # not from where the file was read last: a process that forks shares that with its child
    descriptor, left = file.fileno(), max(0, size - start)
    data = os.pread(descriptor, left + 1, start)
    while len(data) < left and (more := os.pread(descriptor, left - len(data), start + len(data))):
        data += more
    return data


def _open_file(name: str, flags: int) -> int:
    """Open a file, and nothing else: a pipe would keep the reader waiting, a device never end."""
    descriptor = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, and force their names to the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(str(folder.parent))


def sync(name: str) -> None:
    """Force a file or folder to the disk."""
    is_windows = os.name == "nt"
    if is_windows and os.path.isdir(name):
        return
    opened: list[int] = []
    try:
        # one call in C, so that no interrupt comes between opening and appending
        opened.extend(map(os.open, [name], [os.O_RDWR if is_windows else os.O_RDONLY]))
        os.fsync(opened[0])
    finally:
        for descriptor in opened:
            os.close(descriptor)


def sync_names(name: str, root: Path) -> None:
    """Force to the disk the names of a file and of the folders that it is in, below `root`."""
    for folder in Path(name).parents:
        sync(str(folder))
        if folder == root:
            return


def check_marked(path: Path) -> None:
    """Raise `BackendError` if a folder of blocks is none any more, as where a disk was mounted."""
    if not os.path.exists(f"{path}{os.sep}{SHARDING_NAME}"):
        raise BackendError(
            f"{str(path)!r} was emptied or removed while the store was open, with the blocks in "
            "it: to begin anew there, make a new DirectoryCAStore, and write all again"
        ) from None


def backend_error(what: str, name: str | Path, error: OSError) -> BackendError:
    """Return the error for what the system could not do with a file or folder."""
    return BackendError(
        f"{what}: {error.strerror}: {str(name)!r}", retryable=error.errno in _RETRYABLE
    )


def not_made(what: str, name: str, error: OSError) -> BackendError:
    """Return the error for what could not be done as a file could not be made by `make_file`."""
    if error.errno in _NO_LINKS:
        what += ", as the file system seems to make no hard links: keep it in a SQLiteCAStore"
    return backend_error(what, name, error)
