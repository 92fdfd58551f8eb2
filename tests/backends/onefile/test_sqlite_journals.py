"""Journals in a SQLite database: their table, and what may be wrong in it."""

import sqlite3
from contextlib import closing

import pytest

from ipldstore import BackendError, LimitExceededError, SQLiteCAStore
from ipldstore.blockstore import journals as checks_module

pytestmark = pytest.mark.once


@pytest.fixture
def backend(tmp_path):
    with SQLiteCAStore(tmp_path / "blocks.sqlite") as backend:
        yield backend


def ask(backend, query, *values):
    with closing(sqlite3.connect(backend.path)) as connection, connection:
        return connection.execute(query, values).fetchall()


def tables(backend):
    return {name for (name,) in ask(backend, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_table_is_made_with_the_first_journal(backend):
    assert backend.read_journal("g", "a") is None
    assert backend.find_journals("g", ["a"]) == [False]
    assert backend.list_journals("g") == {}
    assert list(backend.iter_journal_groups()) == []
    backend.remove_journal("g", "a")
    assert tables(backend) == {"blocks"}
    backend.append_journal("g", "a", 0, b"first")
    assert tables(backend) == {"blocks", "journals"}


def test_golden_rows(backend):
    backend.append_journal("session-1", "writer-1", 0, b"first")
    backend.append_journal("session-1", "writer-1", 5, b", second")
    assert backend.make_journal("session-1", "seal", b"sealed")
    assert ask(backend, "SELECT * FROM journals ORDER BY name, offset") == [
        ("session-1", "seal", 0, b"sealed"),
        ("session-1", "writer-1", 0, b"first"),
        ("session-1", "writer-1", 5, b", second"),
    ]


def test_row_is_never_taken_twice(backend):
    backend.append_journal("g", "a", 0, b"first")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ask(backend, "INSERT INTO journals VALUES ('g', 'a', 0, x'00')")
    with SQLiteCAStore(backend.path) as other:
        other.append_journal("g", "a", 5, b"second")
    with pytest.raises(BackendError, match="at byte 5: it has 11 bytes"):
        backend.append_journal("g", "a", 5, b"third")
    assert backend.read_journal("g", "a") == b"firstsecond"


def test_blocks_are_written_before_a_record_of_them(backend):
    cid = backend.put_raw(b"block", "raw")
    backend.append_journal("g", "a", 0, b"first")
    with SQLiteCAStore(backend.path) as other:
        assert cid in other


def test_more_names_than_are_asked_for_at_once(backend):
    for name in ("n0", "n499", "n500", "n1200"):
        backend.append_journal("g", name, 0, b"a")
    found = backend.find_journals("g", [f"n{number}" for number in range(1201)])
    assert [number for number, is_there in enumerate(found) if is_there] == [0, 499, 500, 1200]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM journals WHERE offset = 0",
        "DELETE FROM journals WHERE offset = 2",
        "UPDATE journals SET data = x'00' WHERE offset = 2",
        "UPDATE journals SET data = x'00000000' WHERE offset = 2",
        "UPDATE journals SET offset = 'zwei' WHERE offset = 2",
        "UPDATE journals SET data = 'aä' WHERE offset = 2",
    ],
)
def test_rows_that_do_not_follow_each_other_are_damage(backend, change):
    for offset in range(0, 6, 2):
        backend.append_journal("g", "a", offset, b"ab")
    ask(backend, change)
    with pytest.raises(BackendError, match="is damaged: no row begins at byte"):
        backend.read_journal("g", "a")


def test_text_is_read_as_its_bytes(backend):
    backend.append_journal("g", "a", 0, b"ab")
    ask(backend, "UPDATE journals SET data = 'aä'")
    assert backend.read_journal("g", "a") == "aä".encode()
    assert backend.list_journals("g") == {"a": 3}


def test_names_of_others_are_left_out(backend):
    backend.append_journal("g", "a", 0, b"ab")
    ask(backend, "INSERT INTO journals VALUES ('g', '../a', 0, x'00'), ('G', 'a', 0, x'00')")
    assert backend.list_journals("g") == {"a": 2}
    assert list(backend.iter_journal_groups()) == ["g"]


def test_journal_that_is_too_long(backend, monkeypatch):
    backend.append_journal("g", "a", 0, b"x" * 6)
    backend.append_journal("g", "a", 6, b"x" * 4)
    monkeypatch.setattr(checks_module, "MAX_JOURNAL_BYTES", 9)
    for start in (0, 9):
        with pytest.raises(LimitExceededError, match="'a' of group 'g': 10 bytes, at most 9"):
            backend.read_journal("g", "a", start)
    with pytest.raises(LimitExceededError, match="11 bytes, at most 9"):
        backend.append_journal("g", "a", 10, b"x")


def test_locked_database(tmp_path):
    with SQLiteCAStore(tmp_path / "blocks.sqlite", timeout=0) as backend:
        backend.append_journal("g", "a", 0, b"first")
        with closing(sqlite3.connect(backend.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for use in (
                lambda: backend.append_journal("g", "a", 5, b"second"),
                lambda: backend.make_journal("g", "b", b"all"),
                lambda: backend.remove_journal("g", "a"),
            ):
                with pytest.raises(BackendError, match="another process is writing") as caught:
                    use()
                assert caught.value.retryable
            assert backend.read_journal("g", "a") == b"first"
        backend.append_journal("g", "a", 5, b"second")


@pytest.mark.parametrize(
    "use",
    [
        lambda backend: backend.append_journal("g", "a", 1, b"a"),
        lambda backend: backend.make_journal("g", "b", b"a"),
        lambda backend: backend.read_journal("g", "b"),
        lambda backend: backend.list_journals("g"),
        lambda backend: backend.find_journals("g", ["a"]),
        lambda backend: backend.remove_journal("g", "a"),
        lambda backend: list(backend.iter_journal_groups()),
    ],
)
def test_file_that_was_removed_is_no_empty_one(tmp_path, use):
    backend = SQLiteCAStore(tmp_path / "blocks.sqlite")
    backend.append_journal("g", "a", 0, b"a")
    backend.path.unlink()
    with pytest.raises(BackendError, match="removed, or replaced"):
        use(backend)
    with pytest.raises(BackendError, match="removed, or replaced"):
        backend.close()
