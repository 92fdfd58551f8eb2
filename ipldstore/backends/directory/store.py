"""Blocks in a folder, one file a block, in the layout of Kubo's flatfs datastore."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ipldstore.backends.directory.files import (
    backend_error,
    check_marked,
    fill_from,
    holds,
    make_folder,
    read_at_most,
    read_file,
    sync,
    write_file,
)
from ipldstore.backends.directory.journals import JournalFiles
from ipldstore.backends.directory.layout import SHARDING, parse_file_name, path_of
from ipldstore.backends.directory.pointers import PointerFiles
from ipldstore.backends.numbered import read_numbered, swap_numbered
from ipldstore.backends.paths import SHARDING_NAME, describe, local_path
from ipldstore.blockstore.contract import (
    ContentAddressableStore,
    StoredBlock,
    reading_methods,
    reads_by,
)
from ipldstore.cid import Link, identity_data, to_text, verify_block
from ipldstore.errors import BackendError, BlockNotFoundError

if TYPE_CHECKING:
    from concurrent.futures import Future

Result = TypeVar("Result")

_WRITERS = 2


class DirectoryCAStore(ContentAddressableStore):
    """Keeps blocks in a folder, as files named by their multihash.

    The layout is that of Kubo's flatfs datastore with two-character shards, so a node can serve
    the folder as it is. A block appears under its name whole or not at all, also when several
    processes write at once or one of them dies. Files that are not blocks are left alone.

    It keeps pointers in the folder ``ipldstore`` beside the blocks: each swap makes a file, and the
    last thousand stay. Such a file is on the disk before it has its name, also without `fsync`.
    Journals are files there, too; those that were appended to last, eight at most, are held open.

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
        self._pointers = PointerFiles(self.path, fsync)
        self._journals = JournalFiles(self.path, fsync)
        self.has_quick_journals = not fsync
        if os.path.isfile(self.path):
            raise BackendError(
                f"{str(self.path)!r} is {describe(self.path)}; expected a folder of blocks, or none"
            )
        try:
            self._claim()
        except OSError as error:
            raise backend_error("cannot use the folder", self.path, error) from error

    def __repr__(self) -> str:
        return f"DirectoryCAStore({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectoryCAStore) and self.path == other.path

    def __hash__(self) -> int:
        return hash((DirectoryCAStore, self.path))

    def get_raw(self, cid: Link) -> bytes:
        return self._read_by(read_file, cid)

    def get_small(self, cid: Link) -> bytes | None:
        if identity_data(cid) is not None or not reads_by(self, _READING):
            return super().get_small(cid)
        data = self._read_by(read_at_most, cid, self.inline_limit)
        return None if data is None else self._verified(cid, data)

    def fill_block(self, cid: Link, buffer: memoryview) -> bool:
        is_plain = hasattr(os, "preadv") and reads_by(self, _READING)
        if not is_plain or identity_data(cid) is not None:
            return super().fill_block(cid, buffer)
        is_filled = self._read_by(fill_from, cid, buffer)
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
            raise backend_error(f"cannot read block {to_text(cid)}", name, error) from error

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        name = self._file_name(cid)
        try:
            if not holds(name, data):
                self._write_block(name, data)
            elif self.fsync:
                sync(name)
            if self.fsync:
                self._sync_names(name)
        except OSError as error:
            raise backend_error(f"cannot keep block {to_text(cid)}", name, error) from error

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
            raise backend_error(f"cannot look for block {to_text(cid)}", name, error) from error
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
            raise backend_error("cannot look through the folder", self.path, error) from error

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
            raise backend_error(f"cannot touch block {to_text(cid)}", name, error) from error

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
            raise backend_error(f"cannot remove block {to_text(cid)}", name, error) from error

    def read_pointer(self, name: str) -> Link | None:
        """Return the CID that a pointer is at, None if there is no such pointer.

        Raises
        ------
        InvalidNameError
            If there can be none.
        BackendError
            If it cannot be read, or is damaged.
        """
        return read_numbered(self._pointers, name)

    def swap_pointer(self, name: str, old: Link | None, new: Link) -> bool:
        """Move a pointer if it is at the old CID (None: is not there); return whether it moved.

        Raises
        ------
        InvalidNameError
            If there can be no such pointer.
        BackendError
            If it cannot be moved, or it cannot be told whether it was. The file system has to
            make hard links.
        """
        return swap_numbered(self._pointers, name, old, new)

    def iter_pointers(self) -> Iterator[str]:
        """Iterate the names of all pointers, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._pointers.iter_names()

    def append_journal(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal that has `offset` bytes; with 0 it is made.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it would have more than 1 GiB.
        BackendError
            If it cannot be done.
        """
        self.flush()
        self._journals.append(group, name, offset, data)

    def make_journal(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal, whole or not at all; return whether it is there with these bytes.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        BackendError
            If it cannot be made, or it cannot be told whether it was. The file system has to make
            hard links.
        """
        self.flush()
        return self._journals.make(group, name, data)

    def read_journal(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it has more than 1 GiB.
        BackendError
            If it cannot be read.
        """
        return self._journals.read(group, name, start)

    def list_journals(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has at least by now.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._journals.list_sizes(group)

    def find_journals(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, looked for in this order.

        Raises
        ------
        BackendError
            If it cannot be told.
        """
        return self._journals.find(group, names)

    def remove_journal(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, and its group with the last one.

        Raises
        ------
        BackendError
            If it cannot be removed.
        """
        self._journals.remove(group, name)

    def iter_journal_groups(self) -> Iterator[str]:
        """Iterate the names of all groups of journals, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        return self._journals.iter_groups()

    def close(self) -> None:
        """Let go of the journals that are open; what is used after that opens them anew."""
        try:
            super().close()
        finally:
            self._journals.close()

    def _file_name(self, cid: Link) -> str:
        return self._prefix + path_of(cid, os.sep)

    def _claim(self) -> None:
        make_folder(self.path)
        marker = self.path / SHARDING_NAME
        names = os.listdir(self.path)
        try:
            sharding = read_file(str(marker))
        except FileNotFoundError:
            if any(not name.startswith(".") for name in names):
                raise BackendError(
                    f"{str(self.path)!r} is not empty and holds no {SHARDING_NAME} file: expected "
                    f"a folder of blocks, or none; it is {describe(self.path)}"
                ) from None
            write_file(str(marker), SHARDING, sync=True)
            sync(str(self.path))
            return
        if sharding.strip() != SHARDING.strip():
            raise BackendError(
                f"{str(marker)!r} says {sharding[:80]!r}, expected {SHARDING.decode().strip()!r}"
            )

    def _write_block(self, name: str, data: bytes) -> None:
        try:
            write_file(name, data, sync=self.fsync)
        except FileNotFoundError:
            # its shard is new, or the folder went
            check_marked(self.path)
            with suppress(FileExistsError):
                os.mkdir(os.path.dirname(name))
            write_file(name, data, sync=self.fsync)

    def _sync_names(self, name: str) -> None:
        """Force the name of a block's file to the disk, and once that of its shard's folder."""
        folder = os.path.dirname(name)
        sync(folder)
        if folder not in self._synced_shards:
            sync(str(self.path))
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


_READING = reading_methods(DirectoryCAStore)
