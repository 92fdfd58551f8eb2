"""Pointers in a database of blocks: their table, files of older versions, and what may be wrong."""

import sqlite3
from contextlib import closing

import pytest

from ipldstore import BackendError
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import as_link, make_link
from ipldstore.testing import HELLO_RAW

pytestmark = pytest.mark.once

HELLO = as_link(HELLO_RAW)
OTHER = make_link(b"other")
OLD_SCHEMA = "CREATE TABLE blocks (multihash BLOB NOT NULL UNIQUE, data BLOB NOT NULL)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "blocks.sqlite"


@pytest.fixture
def backend(path):
    with SQLiteCAStore(path) as backend:
        yield backend


def ask(path, query, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(query, values).fetchall()


def tables_of(path):
    return {name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_golden_row(backend, path):
    assert backend.swap_pointer("default", None, HELLO)
    ((name, value),) = ask(path, "SELECT name, value FROM pointers")
    assert name == "default"
    assert value.startswith(HELLO_RAW.encode() + b" ")


def test_table_is_made_with_the_first_pointer(backend, path):
    """Versions that do not know it find the file as they made it, and its version as it was."""
    assert backend.read_pointer("default") is None
    assert list(backend.iter_pointers()) == []
    assert not backend.swap_pointer("default", OTHER, HELLO)
    assert tables_of(path) == {"blocks"}
    assert backend.swap_pointer("default", None, HELLO)
    assert tables_of(path) == {"blocks", "pointers"}
    assert ask(path, "PRAGMA user_version") == [(1,)]


def test_file_of_an_older_version(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id = 0x49504c44")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(OLD_SCHEMA)
        connection.execute("INSERT INTO blocks VALUES (?, ?)", (HELLO[2:], b"hello"))
    with SQLiteCAStore(path) as backend:
        assert backend.swap_pointer("default", None, HELLO)
        assert backend.get(backend.read_pointer("default")) == b"hello"


def test_pending_blocks_and_pointer_are_seen_by_others_together(backend, path):
    cid = backend.put_raw(b"hello", "raw")
    assert ask(path, "SELECT count(*) FROM blocks") == [(0,)]
    assert backend.swap_pointer("default", None, cid)
    assert ask(path, "SELECT data FROM blocks") == [(b"hello",)]


def test_locked_database_may_be_tried_again(path):
    with SQLiteCAStore(path, timeout=0.01) as backend:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BackendError, match="another process is writing") as caught:
                backend.swap_pointer("default", None, HELLO)
            assert caught.value.retryable
            assert backend.read_pointer("default") is None
            other.execute("ROLLBACK")
        assert backend.swap_pointer("default", None, HELLO)


@pytest.mark.parametrize("value", [b"", b"damaged", "text"])
def test_damaged_value(backend, path, value):
    backend.swap_pointer("default", None, HELLO)
    ask(path, "UPDATE pointers SET value = ?", value)
    for use in (backend.read_pointer, lambda name: backend.swap_pointer(name, HELLO, OTHER)):
        with pytest.raises(BackendError, match="pointer 'default' is damaged"):
            use("default")
    assert ask(path, "SELECT value FROM pointers") == [(value,)]


@pytest.mark.parametrize("with_another", [False, True])
def test_file_that_is_not_there_any_more(path, with_another):
    backend = SQLiteCAStore(path)
    backend.swap_pointer("default", None, HELLO)
    path.unlink()
    if with_another:
        SQLiteCAStore(path).close()
    for use in (
        lambda: backend.read_pointer("default"),
        lambda: list(backend.iter_pointers()),
        lambda: backend.swap_pointer("default", HELLO, OTHER),
    ):
        with pytest.raises(BackendError, match="removed, or replaced by another file"):
            use()
    with pytest.raises(BackendError, match="removed, or replaced"):
        backend.close()
