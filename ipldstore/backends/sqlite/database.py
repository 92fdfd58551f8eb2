"""The file of a database of blocks: how it is made, and told from other files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from ipldstore.errors import BackendError

APPLICATION_ID = 0x49504C44
"""The letters IPLD, in the header of the file, where the ``file`` program finds them."""

SCHEMA_VERSION = 1

_PAGE_BYTES = 8192

RETRYABLE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
PRIMARY_CODE = 0xFF

_RETRY_SECONDS = 0.01

# A table by row number: keyed by multihash without row numbers, it took two to five times as long
# to write and read at 1 KiB and at 16 KiB a block.
_SCHEMA = "CREATE TABLE blocks (multihash BLOB NOT NULL UNIQUE, data BLOB NOT NULL)"


def prepare_database(connection: sqlite3.Connection, path: Path, seconds: float) -> None:
    """Make the table in a new file; refuse what is not a file of this store.

    The connection has ``synchronous`` at FULL; `seconds` is how long to wait for others that write.
    Raises `BackendError` if the database is of another application or version, and `sqlite3.Error`
    or `OSError` if it cannot be read or made.
    """
    if _is_blank(connection, path):
        _retry_while_busy(lambda: _make_table(connection), seconds)
    _check_schema(connection, path)
    _retry_while_busy(lambda: _use_wal(connection), seconds)


def _is_blank(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether no database is in the file, once SQLite took back what a writer that died began.

    SQLite takes one byte for nothing, too. The file must not be opened to look at that: closing it
    would release the locks that this process has on it.
    """
    pages = connection.execute("PRAGMA page_count").fetchone()
    return pages == (0,) and path.stat().st_size <= 1


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise BackendError(
            f"{str(path)!r} is a database of another application "
            f"(application_id {application:#x}, expected {APPLICATION_ID:#x})"
        )
    if version != SCHEMA_VERSION:
        raise BackendError(
            f"{str(path)!r} has version {version} of the table of blocks, expected "
            f"{SCHEMA_VERSION}: use a version of ipldstore that knows it"
        )


def in_transaction(connection: sqlite3.Connection, steps: Callable[[], None]) -> None:
    """Do all of some steps or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        steps()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_table(connection: sqlite3.Connection) -> None:
    def steps() -> None:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    in_transaction(connection, steps)


def _use_wal(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_READONLY:
            raise


def _retry_while_busy(step: Callable[[], None], seconds: float) -> None:
    """Do a step for which SQLite itself does not always wait until others have written."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & PRIMARY_CODE in RETRYABLE
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return
