"""Pointers in a table of their own, in a database of blocks.

The table is made with the first pointer. Versions of this package that do not know it use the file
as ever, as they touch no other table than that of the blocks.
"""

from __future__ import annotations

import sqlite3

from ipldstore.backends.sqlite.database import in_transaction
from ipldstore.blockstore.pointers import decode_pointer, encode_pointer
from ipldstore.cid import Link

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS pointers (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)"
)
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pointers'"
_READ = "SELECT CAST(value AS BLOB) FROM pointers WHERE name = ?"
_MOVE = "INSERT INTO pointers VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def read_pointer(connection: sqlite3.Connection, name: str) -> Link | None:
    """Return the CID that a pointer is at, None if there is no such pointer.

    Raises `BackendError` if it is damaged.
    """
    row = _has_table(connection) and connection.execute(_READ, (name,)).fetchone()
    return decode_pointer(row[0], f"pointer {name!r}") if row else None


def swap_pointer(connection: sqlite3.Connection, name: str, old: Link | None, new: Link) -> bool:
    """Move a pointer in a transaction if it is at the old CID, and return whether it moved."""
    is_there = False

    def steps() -> None:
        nonlocal is_there
        is_there = read_pointer(connection, name) == old
        if is_there:
            connection.execute(_SCHEMA)
            connection.execute(_MOVE, (name, encode_pointer(new)))

    in_transaction(connection, steps)
    return is_there


def list_pointers(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all pointers."""
    rows = _has_table(connection) and connection.execute("SELECT name FROM pointers").fetchall()
    return [name for (name,) in rows or ()]


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute(_HAS_TABLE).fetchone() is not None
