"""Files that are no database of blocks, locked, damaged or full ones: each gives BackendError."""

import gc
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import ipldstore.backends.sqlite.store as sqlite_module
from ipldstore import BackendError, BlockNotFoundError
from ipldstore.backends.sqlite import connections
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.basics.locks import no_fork
from ipldstore.cid import make_link

HELLO = make_link(b"hello")

LIMITED = """
import os, resource, signal, sys
from ipldstore import BackendError
from ipldstore.backends.sqlite.store import SQLiteCAStore

backend = SQLiteCAStore(sys.argv[1])
backend.put(b"hello")
{action}
try:
    backend.put(os.urandom(1 << 20))
except BackendError as error:
    print(error, error.retryable, sep="|")
{after}
print(backend.get_block("bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"))
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "blocks.sqlite"


def files_in(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def run(path, action, after=""):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(action=action, after=after), str(path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("content", [b"xy", b"SQLite format 2\0", b"PK\x03\x04" * 100])
def test_file_that_is_no_database(path, content):
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"no SQLite database|of another application") as caught:
        SQLiteCAStore(path)
    assert not caught.value.retryable
    assert files_in(path.parent) == {path.name: content}


def test_header_and_nothing_else(path):
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(BackendError, match="damaged"):
        SQLiteCAStore(path)


@pytest.mark.parametrize("wal", [False, True])
def test_database_of_another_application(path, wal):
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE blocks (multihash, data)")
    before = files_in(path.parent)
    with pytest.raises(BackendError, match="another application"):
        SQLiteCAStore(path)
    assert files_in(path.parent) == before


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version(path, version):
    SQLiteCAStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(BackendError, match=f"version {version} .*expected 1"):
        SQLiteCAStore(path)


def test_missing_folder(tmp_path):
    with pytest.raises(BackendError, match="make it first"):
        SQLiteCAStore(tmp_path / "no" / "blocks.sqlite")
    assert not (tmp_path / "no").exists()


def test_path_that_is_a_folder(tmp_path):
    with pytest.raises(BackendError, match="cannot use"):
        SQLiteCAStore(tmp_path)


def test_empty_file_becomes_a_database(path):
    path.touch()
    with SQLiteCAStore(path) as backend:
        assert backend.get(backend.put(b"hello")) == b"hello"


def test_locked_database_may_be_tried_again(path):
    with SQLiteCAStore(path, timeout=0.01) as backend:
        backend.put(b"hello")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            cid = backend.put_raw(b"more", "raw")
            with pytest.raises(BackendError, match="another process is writing") as caught:
                backend.flush()
            assert caught.value.retryable
            assert pickle.loads(pickle.dumps(caught.value)).retryable
            assert backend.get(HELLO) == b"hello"
            assert backend.get(cid) == b"more"
            other.execute("ROLLBACK")
        backend.flush()
        backend.close()
        assert backend.get(cid) == b"more"


def test_full_buffer_of_a_locked_database_takes_no_more(path):
    with SQLiteCAStore(path, timeout=0.01) as backend:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            kept = [backend.put_raw(bytes([i]) * (1 << 20), "raw") for i in range(4)]
            for size in (1, 9 << 20):
                with pytest.raises(BackendError):
                    backend.put_raw(b"x" * size, "raw")
                assert make_link(b"x" * size) not in backend
            other.execute("ROLLBACK")
        assert all(cid in backend for cid in kept)
        backend.put_raw(b"x", "raw")


def test_locked_new_database(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackendError) as caught:
            SQLiteCAStore(path, timeout=0.01)
        assert caught.value.retryable


def test_damaged_pages(path):
    with SQLiteCAStore(path) as backend:
        blocks = [b"%d " % i * 200 for i in range(2000)]
        backend.put_many((make_link(data), data) for data in blocks)
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with SQLiteCAStore(path) as backend:
        for call in (backend.get_block, backend.has, lambda cid: backend.find_missing([cid])):
            with pytest.raises(BackendError, match="damaged") as caught:
                call(make_link(blocks[0]))
            assert not caught.value.retryable
        backend.put_raw(b"new", "raw")
        with pytest.raises(BackendError, match="damaged"):
            backend.flush()
        backend._pending.clear()


def test_table_that_is_missing(path):
    SQLiteCAStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE blocks")
    with SQLiteCAStore(path) as backend, pytest.raises(BackendError, match="no such table"):
        backend.get_block(HELLO)


def test_full_disk(path):
    said = run(
        path,
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
    )
    assert said[0].startswith("cannot keep blocks in")
    assert said[-1] == "b'hello'"


def test_read_only_file():
    # root may write to any file, so the process becomes another user
    with TemporaryDirectory() as folder:
        path = Path(folder) / "blocks.sqlite"
        path.parent.chmod(0o755)
        action = "os.chmod(sys.argv[1], 0o444)\nbackend.close()\nos.geteuid() or os.setuid(65534)"
        (said,) = run(path, action, "sys.exit()")
    assert said.endswith("it can only be read: give yourself the right to write to it|False")


def test_file_that_went_away_is_not_made_again(path):
    with SQLiteCAStore(path) as backend:
        backend.put(b"hello")
        backend.close()
        path.unlink()
        with pytest.raises(BackendError, match="went away"):
            backend.get_block(HELLO)
        assert not path.exists()
    with SQLiteCAStore(path) as again, pytest.raises(BlockNotFoundError):
        again.get_block(HELLO)


def remove(path):
    path.unlink()


def replace(path):
    other = path.with_name("other.sqlite")
    SQLiteCAStore(other).close()
    other.replace(path)


def move_away(path):
    path.rename(path.with_name("moved.sqlite"))


GONE = "removed, or replaced by another file"


@pytest.mark.parametrize("change", [remove, replace, move_away])
def test_file_that_is_not_there_any_more_keeps_nothing(path, change):
    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    pending = backend.put_raw(b"pending", "raw")
    change(path)
    for _ in range(3):
        with pytest.raises(BackendError, match=GONE) as caught:
            backend.flush()
        assert not caught.value.retryable
    with pytest.raises(BackendError, match=GONE):
        backend.close()
    with pytest.raises(BackendError, match=GONE):
        backend.flush()
    assert backend.get(pending) == b"pending"
    backend._pending.clear()
    with SQLiteCAStore(path) as again:
        assert again.find_missing([pending]) == {pending}
        assert again.get(again.put(b"anew")) == b"anew"


@pytest.mark.parametrize("change", [remove, replace])
def test_nothing_is_left_to_write_into_a_file_that_is_not_there(path, change):
    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    change(path)
    with pytest.raises(BackendError, match=GONE):
        backend.flush()
    with pytest.raises(BackendError, match=GONE):
        backend.put_raw(bytes(5 << 20), "raw")


@pytest.mark.parametrize("change", [remove, replace])
def test_missing_block_in_a_file_that_is_not_there_is_no_missing_block(path, change):
    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    change(path)
    assert backend.get(HELLO) == b"hello"
    missing = make_link(b"missing")
    for call in (backend.get_block, backend.has, lambda cid: backend.find_missing([cid])):
        with pytest.raises(BackendError, match=GONE):
            call(missing)


def test_closed_store_takes_the_file_that_is_there(path):
    with SQLiteCAStore(path) as backend:
        backend.put(b"hello")
        backend.close()
        replace(path)
        assert HELLO not in backend
        backend.put(b"more")


def test_nothing_that_may_wait_keeps_others_from_forking(path, monkeypatch):
    held = []

    def noting(real):
        def call(*arguments):
            held.append(no_fork()._is_owned())
            return real(*arguments)

        return call

    for owner, name in [
        (sqlite_module, "prepare_database"),
        (SQLiteCAStore, "_begin"),
        (sqlite_module, "in_transaction"),
    ]:
        monkeypatch.setattr(owner, name, noting(getattr(owner, name)))
    with SQLiteCAStore(path) as backend:
        backend.put(b"hello")
        backend.close()
        assert backend.get(HELLO) == b"hello"
    assert len(held) >= 5
    assert not any(held)


def test_close_while_another_thread_looks_at_the_file(path, monkeypatch):
    backend, real = SQLiteCAStore(path), connections._identity

    def look(looked_at):
        monkeypatch.setattr(connections, "_identity", real)
        backend.close()
        return real(looked_at)

    backend.put(b"hello")
    monkeypatch.setattr(connections, "_identity", look)
    assert backend.find_missing([make_link(b"missing")]) == {make_link(b"missing")}


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="other systems give new numbers")
def test_file_that_is_replaced_while_no_connection_is_open(path):
    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    for _ in range(20):
        # as before a fork
        backend._connections.prepare()
        path.unlink()
        SQLiteCAStore(path).close()
        with pytest.raises(BackendError, match=GONE):
            backend.flush()
        with pytest.raises(BackendError, match=GONE):
            backend.get(HELLO)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing to count by")
def test_store_that_is_closed_or_garbage_holds_no_file(path):
    def is_held():
        folder = Path("/proc/self/fd")
        return str(path) in [os.path.realpath(number) for number in folder.iterdir()]

    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    assert is_held()
    backend.close()
    assert not is_held()
    assert backend.get(HELLO) == b"hello"
    del backend
    gc.collect()
    assert not is_held()


def test_log_that_is_not_there_any_more_keeps_nothing(path):
    backend = SQLiteCAStore(path)
    backend.put(b"hello")
    path.with_name("blocks.sqlite-wal").unlink()
    backend.put_raw(b"more", "raw")
    for _ in range(2):
        with pytest.raises(BackendError, match=f"sqlite-wal' was {GONE}"):
            backend.flush()
    with pytest.raises(BackendError, match=GONE):
        backend.close()
    with pytest.raises(BackendError, match=GONE):
        backend.flush()


def test_log_that_goes_with_the_last_connection(path):
    with SQLiteCAStore(path) as backend:
        for data in (b"hello", b"more"):
            backend.put(data)
            backend._connections.close()
            assert not path.with_name("blocks.sqlite-wal").exists()
            backend.flush()
        assert backend.get(HELLO) == b"hello"
