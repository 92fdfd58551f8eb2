"""Blocks in one SQLite database, for millions of small ones and several processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ipldstore.backends.paths import local_path
from ipldstore.backends.sqlite.connections import Connection, Connections
from ipldstore.backends.sqlite.database import (
    PRIMARY_CODE,
    RETRYABLE,
    SCHEMA_VERSION,
    in_transaction,
    prepare_database,
)
from ipldstore.backends.sqlite.journals import (
    append_journal,
    find_journals,
    list_groups,
    list_journals,
    make_journal,
    read_journal,
    remove_journal,
)
from ipldstore.backends.sqlite.pointers import list_pointers, read_pointer, swap_pointer
from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import (
    ContentAddressableStore,
    StoredBlock,
    reading_methods,
    reads_by,
)
from ipldstore.blockstore.journals import (
    check_addition,
    check_group_name,
    check_journal,
    check_journal_name,
)
from ipldstore.blockstore.pointers import check_pointer_name
from ipldstore.cid import Link, as_link, identity_data, multihash_of, parse_link, to_text
from ipldstore.errors import BackendError, BlockNotFoundError

T = TypeVar("T")

_BUFFER_BYTES = 4 << 20
_BUFFER_BLOCKS = 4096
_ASK_AT_ONCE = 500

_PUT = (
    "INSERT INTO blocks VALUES (?, ?) ON CONFLICT (multihash) "
    "DO UPDATE SET data = excluded.data WHERE data <> excluded.data"
)
_GET = "SELECT data FROM blocks WHERE multihash = ?"
_GET_SMALL = "SELECT CASE WHEN length(data) <= ? THEN data END FROM blocks WHERE multihash = ?"
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
    sqlite3.SQLITE_AUTH: "the process was forked in the middle of this: fork between calls",
    sqlite3.SQLITE_CANTOPEN: "see that the file and its folder may be read and written",
}


class SQLiteCAStore(ContentAddressableStore):
    """Keeps blocks in a table of one SQLite database, by their multihash.

    Any number of processes and threads may read and write it at once. The blocks that were put
    last, at most 4 MiB of them, are written together: other processes see them, and they survive
    the end of this one, after `flush`, which every ``freeze`` calls. While the file is open, there
    are two more beside it, ``-wal`` and ``-shm``; they belong to it. It must not be on a network
    file system, as SQLite's locks do not work there. It keeps pointers and journals, in tables of
    their own.

    When the file or its ``-wal`` is removed or replaced, the next `flush` says so, and every one
    after it; so does reading what is not found.

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

    has_quick_journals = False

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
        self.path = local_path(path)
        self.fsync = fsync
        self.timeout = timeout
        # with each block, how many bytes it and those before it have: one step keeps both true
        self._pending: dict[bytes, tuple[bytes, int]] = {}
        self._has_written = False
        self._connections = Connections(self.path, self._connect, self._begin)
        self._guard = Guard(self._connections.renew, self._connections.prepare)
        with self._failing("cannot use"):
            self._claim()

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
        if (pending := self._pending.get(key)) is not None:
            return pending[0]
        row = self._ask("cannot read a block in", _GET, cid, key)
        if row is None:
            raise BlockNotFoundError(f"no block {to_text(cid)} in {self!r}")
        data: bytes = row[0]
        return data

    def get_small(self, cid: Link) -> bytes | None:
        key = multihash_of(cid)
        is_plain = key not in self._pending and reads_by(self, _READING)
        if not is_plain or identity_data(cid) is not None:
            return super().get_small(cid)
        values = (self.inline_limit, key)
        rows = self._select("cannot read a block in", _GET_SMALL, values, cid)
        data = rows[0][0] if rows else None
        return None if data is None else self._verified(cid, data)

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        key, data = multihash_of(cid), bytes(data)
        with self._guard():
            if key in self._pending:
                return
            size = self._pending_bytes() + len(data)
            if size > _BUFFER_BYTES or len(self._pending) >= _BUFFER_BLOCKS:
                self._write_pending()
                size = len(data)
            if len(data) > _BUFFER_BYTES:
                self._write([(key, data)])
            else:
                self._pending[key] = data, size

    def _pending_bytes(self) -> int:
        return next(reversed(self._pending.values()))[1] if self._pending else 0

    def has_raw(self, cid: Link) -> bool:
        return self.size_of(cid) is not None

    def size_of(self, cid: Link) -> int | None:
        if (data := identity_data(cid)) is not None:
            return len(data)
        key = multihash_of(cid)
        if (pending := self._pending.get(key)) is not None:
            return len(pending[0])
        row = self._ask("cannot look for a block in", _SIZE, cid, key)
        return None if row is None else row[0]

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        wanted = [cid for cid in cids if identity_data(cid) is None]
        found = set(self._pending)
        for start in range(0, len(wanted), _ASK_AT_ONCE):
            keys = [multihash_of(cid) for cid in wanted[start : start + _ASK_AT_ONCE]]
            found.update(self._find(keys))
        missing = {cid for cid in wanted if multihash_of(cid) not in found}
        if missing:
            self._check_current()
        return missing

    def _find(self, keys: Sequence[bytes]) -> list[bytes]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT multihash FROM blocks WHERE multihash IN ({marks})"
        return [key for (key,) in self._select("cannot look for blocks in", query, keys)]

    def iter_blocks(self) -> Iterator[StoredBlock]:
        self.flush()
        row = 0
        while rows := self._select("cannot list the blocks in", _LIST, (row,)):
            for _, multihash, size in rows:
                yield StoredBlock(parse_link(b"\x01\x55" + multihash), size)
            row = rows[-1][0]

    def read_pointer(self, name: str) -> Link | None:
        """Return the CID that a pointer is at, None if there is no such pointer.

        Raises
        ------
        InvalidNameError
            If there can be none.
        BackendError
            If it cannot be read, or is damaged.
        """
        check_pointer_name(name)
        return self._look(
            "cannot read a pointer in", lambda connection: read_pointer(connection, name)
        )

    def swap_pointer(self, name: str, old: Link | None, new: Link) -> bool:
        """Move a pointer if it is at the old CID (None: is not there); return whether it moved.

        Raises
        ------
        InvalidNameError
            If there can be no such pointer.
        BackendError
            If it cannot be moved, or it cannot be told whether it was; retryable if it is locked.
        """
        check_pointer_name(name)
        expected, cid = None if old is None else as_link(old), as_link(new)
        return self._change(
            "cannot move a pointer in",
            lambda connection: swap_pointer(connection, name, expected, cid),
        )

    def iter_pointers(self) -> Iterator[str]:
        """Iterate the names of all pointers, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        yield from self._look("cannot list the pointers in", list_pointers)

    def append_journal(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal that has `offset` bytes; with 0 it is made.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it would have more than 1 GiB.
        BackendError
            If it cannot be done, also if it has not `offset` bytes; retryable if the database is
            locked.
        """
        check_journal(group, name)
        check_addition(group, name, offset, data)
        self._change(
            "cannot append to a journal in",
            lambda connection: append_journal(connection, group, name, offset, data),
        )

    def make_journal(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal, whole or not at all; return whether it is there with these bytes.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        BackendError
            If it cannot be made, or it cannot be told whether it was; retryable if it is locked.
        """
        check_journal(group, name)
        check_addition(group, name, 0, data)
        return self._change(
            "cannot make a journal in",
            lambda connection: make_journal(connection, group, name, data),
        )

    def read_journal(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        LimitExceededError
            If it has more than 1 GiB.
        BackendError
            If it cannot be read, or is damaged.
        """
        check_journal(group, name)
        return self._look(
            "cannot read a journal in",
            lambda connection: read_journal(connection, group, name, start),
        )

    def list_journals(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        check_group_name(group)
        return self._look(
            "cannot list the journals in", lambda connection: list_journals(connection, group)
        )

    def find_journals(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, all at one time if they are 500 at most.

        Raises
        ------
        BackendError
            If it cannot be told.
        """
        check_group_name(group)
        for name in names:
            check_journal_name(name)
        return self._look(
            "cannot look for journals in",
            lambda connection: find_journals(connection, group, names),
        )

    def remove_journal(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, and its group with the last one.

        Raises
        ------
        BackendError
            If it cannot be removed.
        """
        check_journal(group, name)
        self._change(
            "cannot remove a journal in",
            lambda connection: remove_journal(connection, group, name),
        )

    def iter_journal_groups(self) -> Iterator[str]:
        """Iterate the names of all groups of journals, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """
        yield from self._look("cannot list the groups of journals in", list_groups)

    def flush(self) -> None:
        with self._guard():
            self._write_pending()
            if self._has_written:
                self._check_current()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._connections.close()
        self._has_written = False
        self._connections.forget_file()

    def _connect(self, held: list[Connection]) -> None:
        if not self.path.exists():
            raise BackendError(f"{str(self.path)!r} went away: open the store again to begin anew")
        self._open("rw", held)

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous = {'FULL' if self.fsync else 'NORMAL'}")

    def _open(self, mode: str, held: list[Connection]) -> None:
        held.append(
            sqlite3.connect(
                f"{self.path.as_uri()}?mode={mode}",
                timeout=self.timeout,
                isolation_level=None,
                check_same_thread=False,
                factory=Connection,
                uri=True,
            )
        )

    def _ask(self, what: str, query: str, cid: Link, key: bytes) -> Any:
        """Return the only row of an answer, None if there is none in the file as it was opened."""
        rows = self._select(what, query, (key,), cid)
        if not rows:
            self._check_current()
        return rows[0] if rows else None

    def _select(
        self, what: str, query: str, values: Sequence[Any], cid: Link | None = None
    ) -> list[Any]:
        with self._failing(what, cid):
            return self._connections.use(
                lambda connection: connection.execute(query, values).fetchall()
            )

    def _check_current(self) -> None:
        with self._failing("cannot look at"):
            self._connections.check_current()

    def _look(self, what: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a function finds in the file, if that is still the one that was opened."""
        with self._failing(what):
            found = self._connections.use(work)
        self._check_current()
        return found

    def _change(self, what: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have a function change something that is no block, once the blocks are written."""
        with self._guard():
            self._write_pending()
            self._has_written = True
            with self._failing(what):
                self._connections.check_current()
                done = self._connections.use(work)
                self._connections.check_current()
            return done

    def _write_pending(self) -> None:
        if self._pending:
            self._write([(key, data) for key, (data, _) in self._pending.items()])
            self._pending.clear()

    def _write(self, blocks: Sequence[tuple[bytes, bytes]]) -> None:
        self._has_written = True
        with self._failing("cannot keep blocks in"):
            self._connections.check_current()
            self._connections.use(lambda connection: self._put_all(connection, blocks))
            self._connections.check_current()

    def _put_all(
        self, connection: sqlite3.Connection, blocks: Sequence[tuple[bytes, bytes]]
    ) -> None:
        def steps() -> None:
            before = connection.total_changes
            connection.executemany(_PUT, blocks)
            if self.fsync and connection.total_changes == before:
                # Others may have put them without forcing them to the disk: a commit that writes
                # anything forces what is in the log before it.
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

        in_transaction(connection, steps)

    def _claim(self) -> None:
        """Make the table in a new file; refuse what is not a file of this store."""
        if not self.path.parent.is_dir():
            raise BackendError(f"no folder {str(self.path.parent)!r}: make it first")
        if self.path.exists() and not self.path.is_file():
            raise BackendError(f"cannot use {str(self.path)!r}: it is not a regular file")

        def prepare(connection: sqlite3.Connection) -> None:
            # less is safe only once the file has a write-ahead log
            connection.execute("PRAGMA synchronous = FULL")
            prepare_database(connection, self.path, self.timeout)
            self._begin(connection)

        mode = "rw" if self.path.exists() else "rwc"
        self._connections.use(prepare, lambda held: self._open(mode, held))

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


def _reopen(path: Path, default_hash: str, fsync: bool, timeout: float) -> SQLiteCAStore:
    return SQLiteCAStore(path, default_hash=default_hash, fsync=fsync, timeout=timeout)


_READING = reading_methods(SQLiteCAStore)
