"""Blocks in one SQLite database, for millions of small ones and several processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet, finalize

from ipldstore.backends.database import (
    PRIMARY_CODE,
    RETRYABLE,
    SCHEMA_VERSION,
    prepare_database,
    transaction,
)
from ipldstore.cid import Link, identity_data, multihash_of, parse_link, to_text
from ipldstore.contentstore import ContentAddressableStore, StoredBlock
from ipldstore.errors import BackendError, BlockNotFoundError

_BUFFER_BYTES = 4 << 20
_BUFFER_BLOCKS = 4096
_ASK_AT_ONCE = 500

_PUT = (
    "INSERT INTO blocks VALUES (?, ?) ON CONFLICT (multihash) "
    "DO UPDATE SET data = excluded.data WHERE data <> excluded.data"
)
_GET = "SELECT data FROM blocks WHERE multihash = ?"
_LIST = (
    "SELECT rowid, multihash, length(data) FROM blocks WHERE rowid > ? ORDER BY rowid LIMIT 1000"
)
_SIZE = "SELECT length(data) FROM blocks WHERE multihash = ?"

_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process is writing to it: try again, or raise `timeout`",
    sqlite3.SQLITE_LOCKED: "another process is writing to it: try again, or raise `timeout`",
    sqlite3.SQLITE_CORRUPT: "it is damaged: put the blocks that can be read into a new file",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database, or a damaged one: give another path",
    sqlite3.SQLITE_FULL: "make room on the disk, then flush again",
    sqlite3.SQLITE_READONLY: "it can only be read: give yourself the right to write to it",
    sqlite3.SQLITE_CANTOPEN: "see that the file and its folder may be read and written",
}


class SQLiteCAStore(ContentAddressableStore):
    """Keeps blocks in a table of one SQLite database, by their multihash.

    Any number of processes and threads may read and write it at once. The blocks that were put
    last, at most 4 MiB of them, are written together: other processes see them, and they survive
    the end of this one, after `flush`, which every ``freeze`` calls. While the file is open, there
    are two more beside it, ``-wal`` and ``-shm``; they belong to it. It must not be on a network
    file system, as SQLite's locks do not work there.

    Parameters
    ----------
    path
        The file. It is made when it does not exist, in a folder that does.
    default_hash
        The hash function that names new blocks.
    fsync
        Whether what is flushed is forced to the disk; blocks that are there already, too. Without,
        blocks of the last seconds may be lost when the machine (not the process) goes down; the
        database stays sound.
    timeout
        How many seconds to wait for another process that is writing.

    Raises
    ------
    BackendError
        If the file cannot be used or holds something else; retryable if it is locked.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SQLiteCAStore(folder + "/blocks.sqlite") as store:
    ...         cid = store.put(b"hello")
    ...         store.get(cid)
    b'hello'
    """

    inline_limit = 64 << 10

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        default_hash: str = "sha2-256",
        fsync: bool = False,
        timeout: float = 30,
    ) -> None:
        super().__init__(default_hash=default_hash)
        self.path = Path(path).absolute()
        self.fsync = fsync
        self.timeout = timeout
        self._pending: dict[bytes, bytes] = {}
        self._pending_bytes = 0
        self._start_connections()
        with self._failing("cannot use"):
            self._claim()
        _stores.add(self)

    def __repr__(self) -> str:
        return f"SQLiteCAStore({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SQLiteCAStore) and self.path == other.path

    def __hash__(self) -> int:
        return hash((SQLiteCAStore, self.path))

    def __reduce__(self) -> tuple[Any, ...]:
        self.flush()
        return _reopen, (self.path, self.default_hash, self.fsync, self.timeout)

    def get_raw(self, cid: Link) -> bytes:
        key = multihash_of(cid)
        data = self._pending.get(key)
        if data is None:
            row = self._ask("cannot read a block in", _GET, cid, key)
            if row is None:
                raise BlockNotFoundError(f"no block {to_text(cid)} in {self!r}")
            data = row[0]
        return data

    def put_raw(self, data: bytes, codec: str) -> Link:
        cid = self.make_cid(data, codec)
        self.put_block(cid, data)
        return cid

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        key, data = multihash_of(cid), bytes(data)
        with self._lock:
            if key in self._pending:
                return
            size = self._pending_bytes + len(data)
            if size > _BUFFER_BYTES or len(self._pending) >= _BUFFER_BLOCKS:
                self._write_pending()
            if len(data) > _BUFFER_BYTES:
                self._write([(key, data)])
                return
            self._pending[key] = data
            self._pending_bytes += len(data)

    def has_raw(self, cid: Link) -> bool:
        return self.size_of(cid) is not None

    def size_of(self, cid: Link) -> int | None:
        if (data := identity_data(cid)) is not None:
            return len(data)
        key = multihash_of(cid)
        if (data := self._pending.get(key)) is not None:
            return len(data)
        row = self._ask("cannot look for a block in", _SIZE, cid, key)
        return None if row is None else row[0]

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        wanted = [cid for cid in cids if identity_data(cid) is None]
        found = set(self._pending)
        for start in range(0, len(wanted), _ASK_AT_ONCE):
            keys = [multihash_of(cid) for cid in wanted[start : start + _ASK_AT_ONCE]]
            marks = ",".join("?" * len(keys))
            query = f"SELECT multihash FROM blocks WHERE multihash IN ({marks})"
            with self._failing("cannot look for blocks in"), self._connection() as connection:
                found.update(key for (key,) in connection.execute(query, keys))
        return {cid for cid in wanted if multihash_of(cid) not in found}

    def iter_blocks(self) -> Iterator[StoredBlock]:
        self.flush()
        row = 0
        while True:
            with self._failing("cannot list the blocks in"), self._connection() as connection:
                rows = connection.execute(_LIST, (row,)).fetchall()
            if not rows:
                return
            for _, multihash, size in rows:
                yield StoredBlock(parse_link(b"\x01\x55" + multihash), size)
            row = rows[-1][0]

    def flush(self) -> None:
        with self._lock:
            self._write_pending()

    def close(self) -> None:
        self.flush()
        with self._change:
            _close_all(self._idle)

    def _start_connections(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._in_use = 0
        self._change = threading.Condition()
        self._finalizer = finalize(self, _close_all, self._idle)

    def _prepare_fork(self) -> None:
        """Close all connections, and keep other threads from opening more, before a fork.

        SQLite notes in the memory of a process which locks it holds. A forked process would take
        them for its own, also on connections that it opens itself.
        """
        self._lock.acquire()
        self._change.acquire()
        self._change.wait_for(lambda: not self._in_use)
        _close_all(self._idle)

    def _go_on_after_fork(self) -> None:
        self._change.release()
        self._lock.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Take a connection that no other thread uses meanwhile, and give it back."""
        with self._change:
            self._in_use += 1
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = self._connect()
            yield connection
        except BaseException:
            if connection is not None:
                connection.close()
                connection = None
            raise
        finally:
            with self._change:
                self._in_use -= 1
                if connection is not None:
                    self._idle.append(connection)
                self._change.notify_all()

    def _connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            raise BackendError(f"{str(self.path)!r} went away: open the store again to begin anew")
        return self._open("rw", self._synchronous)

    @property
    def _synchronous(self) -> str:
        return "FULL" if self.fsync else "NORMAL"

    def _open(self, mode: str, synchronous: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        try:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, what: str, query: str, cid: Link, key: bytes) -> Any:
        with self._failing(what, cid), self._connection() as connection:
            return connection.execute(query, (key,)).fetchone()

    def _write_pending(self) -> None:
        if self._pending:
            self._write(self._pending.items())
            self._pending.clear()
            self._pending_bytes = 0

    def _write(self, blocks: Iterable[tuple[bytes, bytes]]) -> None:
        with (
            self._failing("cannot keep blocks in"),
            self._connection() as connection,
            transaction(connection),
        ):
            before = connection.total_changes
            connection.executemany(_PUT, blocks)
            if self.fsync and connection.total_changes == before:
                # Others may have put them without forcing them to the disk: a commit that writes
                # anything forces what is in the log before it.
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _claim(self) -> None:
        """Make the table in a new file; refuse what is not a file of this store."""
        if not self.path.parent.is_dir():
            raise BackendError(f"no folder {str(self.path.parent)!r}: make it first")
        if self.path.exists() and not self.path.is_file():
            raise BackendError(f"cannot use {str(self.path)!r}: it is not a regular file")
        # Less than FULL is safe only once the file has a write-ahead log.
        connection = self._open("rw" if self.path.exists() else "rwc", "FULL")
        try:
            prepare_database(connection, self.path, self.timeout)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    @contextmanager
    def _failing(self, what: str, cid: Link | None = None) -> Iterator[None]:
        """Turn errors of SQLite and of the disk into `BackendError`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            block = "" if cid is None else f"block {to_text(cid)}: "
            code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
            advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
            raise BackendError(
                f"{block}{what} {str(self.path)!r}: {error}{advice}", retryable=code in RETRYABLE
            ) from error


_stores: WeakSet[SQLiteCAStore] = WeakSet()
_forking: list[SQLiteCAStore] = []


def _before_fork() -> None:
    for store in list(_stores):
        store._prepare_fork()
        _forking.append(store)


def _after_fork() -> None:
    while _forking:
        _forking.pop()._go_on_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def _reopen(path: Path, default_hash: str, fsync: bool, timeout: float) -> SQLiteCAStore:
    return SQLiteCAStore(path, default_hash=default_hash, fsync=fsync, timeout=timeout)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
