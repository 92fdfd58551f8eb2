"""Journals in a table of their own, in a database of blocks: a row for each call that appends.

The table is made with the first journal. Versions of this package that do not know it use the file
as ever, as they touch no other table than that of the blocks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ipldstore.backends.sqlite.database import in_transaction
from ipldstore.blockstore.journals import check_size, describe, not_at
from ipldstore.blockstore.pointers import is_pointer_name
from ipldstore.errors import BackendError

_ASK_AT_ONCE = 500

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS journals (in_group TEXT NOT NULL, name TEXT NOT NULL, "
    "offset INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (in_group, name, offset))"
)
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'journals'"
_ADD = "INSERT INTO journals VALUES (?, ?, ?, ?)"
_END = "CAST(offset AS INTEGER) + length(CAST(data AS BLOB))"
_SIZE = f"SELECT {_END} FROM journals WHERE in_group = ? AND name = ? ORDER BY offset DESC LIMIT 1"
_READ = (
    "SELECT CAST(offset AS INTEGER), CAST(data AS BLOB) FROM journals "
    "WHERE in_group = ?1 AND name = ?2 AND offset >= coalesce("
    "(SELECT max(offset) FROM journals WHERE in_group = ?1 AND name = ?2 AND offset <= ?3), 0) "
    "ORDER BY offset"
)
_LIST = f"SELECT name, max({_END}) FROM journals WHERE in_group = ? GROUP BY name"
_REMOVE = "DELETE FROM journals WHERE in_group = ? AND name = ?"
_GROUPS = "SELECT DISTINCT in_group FROM journals"


def append_journal(
    connection: sqlite3.Connection, group: str, name: str, offset: int, data: bytes
) -> None:
    """Append to a journal that has `offset` bytes, in a transaction; with 0 it is made."""

    def steps() -> None:
        connection.execute(_SCHEMA)
        size = _size_of(connection, group, name)
        if (size or 0) != offset:
            raise not_at(group, name, offset, size)
        connection.execute(_ADD, (group, name, offset, data))

    in_transaction(connection, steps)


def make_journal(connection: sqlite3.Connection, group: str, name: str, data: bytes) -> bool:
    """Make a journal if there is none; return whether it is this one that is there now."""
    is_there = False

    def steps() -> None:
        nonlocal is_there
        connection.execute(_SCHEMA)
        if _size_of(connection, group, name) is None:
            connection.execute(_ADD, (group, name, 0, data))
            is_there = True
        else:
            is_there = read_journal(connection, group, name, 0) == data

    in_transaction(connection, steps)
    return is_there


def read_journal(connection: sqlite3.Connection, group: str, name: str, start: int) -> bytes | None:
    """Return the bytes of a journal from one on, None if there is no such journal.

    Raises `BackendError` if rows are missing, and `LimitExceededError` if it is too long.
    """
    if not _has_table(connection):
        return None
    pieces: list[bytes] = []
    first = end = start
    for offset, data in connection.execute(_READ, (group, name, start)):
        if not pieces:
            first = end = min(offset, start)
        if offset != end:
            raise BackendError(f"{describe(group, name)} is damaged: no row begins at byte {end}")
        end += len(data)
        check_size(group, name, end)
        pieces.append(data)
    return b"".join(pieces)[start - first :] if pieces else None


def list_journals(connection: sqlite3.Connection, group: str) -> dict[str, int]:
    """Return the names of a group's journals, and how many bytes each has."""
    rows = _select(connection, _LIST, (group,))
    return {name: size for name, size in rows if is_pointer_name(name)}


def find_journals(connection: sqlite3.Connection, group: str, names: Sequence[str]) -> list[bool]:
    """Return whether there are several journals, looked for in this order."""
    found: list[bool] = []
    for start in range(0, len(names), _ASK_AT_ONCE):
        wanted = names[start : start + _ASK_AT_ONCE]
        each = ", ".join(
            f"EXISTS (SELECT 1 FROM journals WHERE in_group = ?1 AND name = ?{number})"
            for number in range(2, len(wanted) + 2)
        )
        rows = _select(connection, f"SELECT {each}", (group, *wanted))
        found += map(bool, rows[0]) if rows else [False] * len(wanted)
    return found


def remove_journal(connection: sqlite3.Connection, group: str, name: str) -> None:
    """Remove a journal, if it is there."""
    _select(connection, _REMOVE, (group, name))


def list_groups(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all groups."""
    return [group for (group,) in _select(connection, _GROUPS, ()) if is_pointer_name(group)]


def _size_of(connection: sqlite3.Connection, group: str, name: str) -> int | None:
    rows: list[tuple[int]] = connection.execute(_SIZE, (group, name)).fetchall()
    return rows[0][0] if rows else None


def _select(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[Any]:
    """Return the rows of an answer, none if there is no table."""
    return connection.execute(query, values).fetchall() if _has_table(connection) else []


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute(_HAS_TABLE).fetchone() is not None
