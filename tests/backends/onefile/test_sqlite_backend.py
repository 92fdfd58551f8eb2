"""Blocks in a SQLite database: the contract, the file itself, and what is not in it yet."""

import sqlite3
from contextlib import closing

import pytest

from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import as_link, make_link
from ipldstore.testing import JournalTests

HELLO = "12202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
"""The multihash of b"hello": 1220 and what `printf hello | sha256sum` prints."""


def rows_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT hex(multihash), data FROM blocks"))


def damage(path, data=b"damaged"):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE blocks SET data = ?", (data,))


class SQLiteTests(JournalTests):
    def corrupt(self, backend, cid):
        backend.flush()
        damage(backend.path)


class TestSQLite(SQLiteTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return SQLiteCAStore(folder / "blocks.sqlite", default_hash=default_hash)


class TestSQLiteWithFsync(SQLiteTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return SQLiteCAStore(folder / "blocks.sqlite", default_hash=default_hash, fsync=True)


@pytest.fixture
def backend(tmp_path):
    with SQLiteCAStore(tmp_path / "blocks.sqlite") as backend:
        yield backend


def test_golden_row(backend):
    backend.put(b"hello")
    assert rows_of(backend.path) == {HELLO.upper(): b"hello"}


def test_golden_header(backend):
    backend.close()
    header = backend.path.read_bytes()[:100]
    assert header.startswith(b"SQLite format 3\0")
    assert header[68:72] == b"IPLD"
    assert header[60:64] == b"\0\0\0\x01"


def test_two_codecs_share_a_row(backend):
    backend.put_raw(b"hello", "raw")
    backend.put_raw(b"hello", "dag-cbor")
    backend.flush()
    assert len(rows_of(backend.path)) == 1


def test_others_see_blocks_after_flush_and_at_once_here(backend):
    with SQLiteCAStore(backend.path) as other:
        cid = backend.put_raw(b"hello", "raw")
        assert cid in backend
        assert backend.size_of(cid) == 5
        assert backend.find_missing([cid]) == set()
        assert cid not in other
        backend.flush()
        assert other.get(cid) == b"hello"
        assert other.size_of(cid) == 5


def test_close_keeps_what_was_put(tmp_path):
    with SQLiteCAStore(tmp_path / "a") as backend:
        cid = backend.put_raw(b"hello", "raw")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with SQLiteCAStore(tmp_path / "a") as backend:
        assert backend.get(cid) == b"hello"


def test_buffer_is_bounded_in_bytes(backend):
    for i in range(9):
        backend.put_raw(bytes([i]) * (1 << 20), "raw")
    assert len(rows_of(backend.path)) == 8
    backend.put_raw(bytes(9 << 20), "raw")
    assert len(rows_of(backend.path)) == 10


def test_buffer_is_bounded_in_blocks(backend):
    for i in range(5000):
        backend.put_raw(b"%d" % i, "raw")
    assert len(rows_of(backend.path)) == 4096


def test_missing_blocks_are_found_among_many(backend):
    kept = [backend.put_raw(b"%d" % i, "raw") for i in range(1200)]
    backend.flush()
    kept.append(backend.put_raw(b"pending", "raw"))
    missing = {make_link(b"missing %d" % i) for i in range(7)}
    identity = as_link("bafkqablimvwgy3y")
    assert backend.find_missing([*kept, *missing, identity]) == missing


@pytest.mark.parametrize("damaged", [b"", b"hell", b"hellO", b"hello!"])
def test_damaged_block_is_mended_by_the_next_put(backend, damaged):
    cid = backend.put(b"hello")
    damage(backend.path, damaged)
    backend.put(b"hello")
    assert backend.get(cid) == b"hello"


def test_present_block_is_not_written_again(backend):
    backend.put(b"hello")
    with closing(sqlite3.connect(backend.path)) as watching:
        before = watching.execute("PRAGMA data_version").fetchone()
        backend.put(b"hello")
        assert watching.execute("PRAGMA data_version").fetchone() == before


def test_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SQLiteCAStore("blocks #1?.sqlite") as backend:
        cid = backend.put(b"hello")
        monkeypatch.chdir(tmp_path.parent)
        backend.close()
        assert backend.get(cid) == b"hello"


def test_equal_when_the_file_is(backend, tmp_path):
    with SQLiteCAStore(backend.path) as same, SQLiteCAStore(tmp_path / "other") as other:
        assert (same == backend, hash(same) == hash(backend)) == (True, True)
        assert other != backend
