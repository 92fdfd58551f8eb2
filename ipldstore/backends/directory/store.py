"""Blocks in a folder, one file a block, in the layout of Kubo's flatfs datastore."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ipldstore.backends.directory.layout import SHARDING, parse_file_name, path_of
from ipldstore.backends.paths import SHARDING_NAME, describe, local_path
from ipldstore.basics.locks import Process
from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock
from ipldstore.cid import Link, identity_data, to_text, verify_block
from ipldstore.errors import BackendError, BlockNotFoundError
from ipldstore.limits import MAX_BLOCK_BYTES

if TYPE_CHECKING:
    from concurrent.futures import Future

Result = TypeVar("Result")

_WRITERS = 2
_RETRYABLE = (errno.EAGAIN, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT)


class DirectoryCAStore(ContentAddressableStore):
    """Keeps blocks in a folder, as files named by their multihash.

    The layout is that of Kubo's flatfs datastore with two-character shards, so a node can serve
    the folder as it is. A block appears under its name whole or not at all, also when several
    processes write at once or one of them dies. Files that are not blocks are left alone.

    Parameters
    ----------
    path
        The folder. It is made when it does not exist.
    default_hash
        The hash function that names new blocks.
    fsync
        Whether each block is forced to the disk, with its name, before it counts as kept; a block
        that is there already, too. Without, when the machine (not the process) goes down, blocks
        of the last seconds may be lost or damaged: reading them says so, putting them mends them.

    Raises
    ------
    BackendError
        If the folder cannot be used, or holds something else than blocks in this layout.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = DirectoryCAStore(folder)
    ...     cid = store.put(b"hello")
    ...     store.get(cid)
    b'hello'
    """

    inline_limit = 64 << 10

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        default_hash: str = "sha2-256",
        fsync: bool = False,
    ) -> None:
        super().__init__(default_hash=default_hash)
        self.path = local_path(path)
        self.fsync = fsync
        self._prefix = f"{self.path}{os.sep}"
        self._synced_shards: set[str] = set()
        if os.path.isfile(self.path):
            raise BackendError(
                f"{str(self.path)!r} is {describe(self.path)}; expected a folder of blocks, or none"
            )
        try:
            self._claim()
        except OSError as error:
            raise _backend_error("cannot use the folder", self.path, error) from error

    def __repr__(self) -> str:
        return f"DirectoryCAStore({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectoryCAStore) and self.path == other.path

    def __hash__(self) -> int:
        return hash((DirectoryCAStore, self.path))

    def get_raw(self, cid: Link) -> bytes:
        return self._read_by(_read, cid)

    def get_small(self, cid: Link) -> bytes | None:
        if identity_data(cid) is not None:
            return super().get_small(cid)
        data = self._read_by(_read_at_most, cid, self.inline_limit)
        return None if data is None else self._verified(cid, data)

    def fill_block(self, cid: Link, buffer: memoryview) -> bool:
        if identity_data(cid) is not None or not hasattr(os, "preadv"):
            return super().fill_block(cid, buffer)
        is_filled = self._read_by(_fill, cid, buffer)
        if is_filled:
            verify_block(cid, buffer)
        return is_filled

    def _read_by(self, read: Callable[..., Result], cid: Link, *arguments: object) -> Result:
        name = self._file_name(cid)
        try:
            return read(name, *arguments)
        except FileNotFoundError:
            raise BlockNotFoundError(f"no block {to_text(cid)} in {self!r}") from None
        except OSError as error:
            raise _backend_error(f"cannot read block {to_text(cid)}", name, error) from error

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        name = self._file_name(cid)
        try:
            if not _holds(name, data):
                self._write_block(name, data)
            elif self.fsync:
                _sync(name)
            if self.fsync:
                self._sync_names(name)
        except OSError as error:
            raise _backend_error(f"cannot keep block {to_text(cid)}", name, error) from error

    def put_many(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_WRITERS, "ipldstore-put") as pool:
            pending: deque[Future[None]] = deque()
            try:
                for cid, data in blocks:
                    if len(data) <= self.inline_limit:
                        self.put_block(cid, data)
                        continue
                    pending.append(pool.submit(self.put_block, cid, data))
                    if len(pending) > _WRITERS:
                        pending.popleft().result()
                while pending:
                    pending.popleft().result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def has_raw(self, cid: Link) -> bool:
        return self.size_of(cid) is not None

    def size_of(self, cid: Link) -> int | None:
        if (data := identity_data(cid)) is not None:
            return len(data)
        name = self._file_name(cid)
        try:
            status = os.stat(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _backend_error(f"cannot look for block {to_text(cid)}", name, error) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def iter_blocks(self) -> Iterator[StoredBlock]:
        """Iterate the blocks in the folder, in no order; those that go meanwhile are left out.

        Raises
        ------
        BackendError
            If the folder cannot be read.
        """
        try:
            for shard in os.listdir(self.path):
                if len(shard) == 2:
                    yield from _iter_shard(f"{self._prefix}{shard}")
        except OSError as error:
            raise _backend_error("cannot look through the folder", self.path, error) from error

    def touch_block(self, cid: Link) -> None:
        """Set the time of a block's file to now; nothing happens if there is no such block.

        Raises
        ------
        BackendError
            If it cannot be set.
        """
        name, now = self._file_name(cid), time.time_ns()
        try:
            os.utime(name, ns=(now, now))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _backend_error(f"cannot touch block {to_text(cid)}", name, error) from error

    def remove_block(self, cid: Link) -> None:
        """Remove a block, under all its codecs; nothing happens if there is no such block.

        Raises
        ------
        BackendError
            If it cannot be removed.
        """
        name = self._file_name(cid)
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _backend_error(f"cannot remove block {to_text(cid)}", name, error) from error

    def _file_name(self, cid: Link) -> str:
        return self._prefix + path_of(cid, os.sep)

    def _claim(self) -> None:
        _make_folder(self.path)
        marker = self.path / SHARDING_NAME
        names = os.listdir(self.path)
        try:
            sharding = _read(str(marker))
        except FileNotFoundError:
            if any(not name.startswith(".") for name in names):
                raise BackendError(
                    f"{str(self.path)!r} is not empty and holds no {SHARDING_NAME} file: expected "
                    f"a folder of blocks, or none; it is {describe(self.path)}"
                ) from None
            self._write(str(marker), SHARDING, sync=True)
            _sync(str(self.path))
            return
        if sharding.strip() != SHARDING.strip():
            raise BackendError(
                f"{str(marker)!r} says {sharding[:80]!r}, expected {SHARDING.decode().strip()!r}"
            )

    def _write_block(self, name: str, data: bytes) -> None:
        try:
            self._write(name, data, sync=self.fsync)
        except FileNotFoundError:
            # its shard is new, or the folder went: an empty one may be where a disk was mounted
            if not (self.path / SHARDING_NAME).exists():
                raise BackendError(
                    f"{str(self.path)!r} was emptied or removed while the store was open, with "
                    "the blocks in it: to begin anew there, make a new DirectoryCAStore, and write "
                    "all again"
                ) from None
            with suppress(FileExistsError):
                os.mkdir(os.path.dirname(name))
            self._write(name, data, sync=self.fsync)

    def _write(self, name: str, data: bytes, *, sync: bool = False) -> None:
        """Write a file under a temporary name beside its own, then rename it."""
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
                _remove(temporary)
                self._write(name, data, sync=sync)
                return
            _write_all(opened[0], data, process)
            if sync:
                os.fsync(opened[0])
            os.close(opened.pop())
            if Process.current is not process:
                raise _forked()
            os.replace(temporary, name)
        except BaseException:
            # whenever an interrupt comes: the name is known before there is a file
            for descriptor in opened:
                os.close(descriptor)
            if Process.current is process:
                _remove(temporary)
            raise

    def _sync_names(self, name: str) -> None:
        """Force the name of a block's file to the disk, and once that of its shard's folder."""
        folder = os.path.dirname(name)
        _sync(folder)
        if folder not in self._synced_shards:
            _sync(str(self.path))
            self._synced_shards.add(folder)


def _iter_shard(folder: str) -> Iterator[StoredBlock]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as files:
        for file in files:
            cid = parse_file_name(file.name)
            if cid is None:
                continue
            with suppress(FileNotFoundError):
                status = file.stat()
                if stat.S_ISREG(status.st_mode):
                    yield StoredBlock(cid, status.st_size, status.st_mtime_ns)


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


def _forked() -> BackendError:
    """Return the error for a signal handler's child that goes on to write its parent's file."""
    return BackendError("the process forked in the middle of a put: put the block again")


def _holds(name: str, data: bytes) -> bool:
    """Whether a file holds exactly the data; a damaged one does not, and is written again."""
    try:
        status = os.stat(name)
        if status.st_size != len(data) or not stat.S_ISREG(status.st_mode):
            return False
        return _read(name) == data
    except FileNotFoundError:
        return False


def _remove(name: str) -> None:
    with suppress(OSError):
        os.unlink(name)


def _read(name: str) -> bytes:
    data = _read_at_most(name, MAX_BLOCK_BYTES)
    if data is None:
        raise OSError(errno.EFBIG, f"more than {MAX_BLOCK_BYTES} bytes", name)
    return data


def _read_at_most(name: str, most: int) -> bytes | None:
    """Read a file, None if it has more bytes."""
    with open(name, "rb", buffering=0, opener=_open_at_once) as file:
        size = _size_of_file(file)
        return _read_all(file, size) if size <= most else None


def _fill(name: str, buffer: memoryview) -> bool:
    """Read a file into a buffer, False if it has another size."""
    with open(name, "rb", buffering=0, opener=_open_at_once) as file:
        if _size_of_file(file) != len(buffer):
            return False
        descriptor, done = file.fileno(), 0
        while done < len(buffer) and (count := os.preadv(descriptor, [buffer[done:]], done)):
            done += count
        return True


def _size_of_file(file: FileIO) -> int:
    """Return the size of a file; a pipe would keep its reader waiting, and a device never end."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", file.name)
    return status.st_size


def _read_all(file: FileIO, size: int) -> bytes:
    if not hasattr(os, "pread"):
        return file.readall()
    # not from where the file was read last: a process that forks shares that with its child
    descriptor = file.fileno()
    data = os.pread(descriptor, size + 1, 0)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), len(data))):
        data += more
    return data


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _make_folder(path: Path) -> None:
    """Make a folder, with those above it, and force their names to the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync(str(folder.parent))


def _sync(name: str) -> None:
    """Force a file or folder to the disk."""
    is_windows = os.name == "nt"
    if is_windows and os.path.isdir(name):
        return
    descriptor = os.open(name, os.O_RDWR if is_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _backend_error(what: str, name: str | Path, error: OSError) -> BackendError:
    return BackendError(
        f"{what}: {error.strerror}: {str(name)!r}", retryable=error.errno in _RETRYABLE
    )
