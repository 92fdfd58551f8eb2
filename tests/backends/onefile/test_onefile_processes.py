"""One file and several processes: at once, killed, and forked."""

import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import make_link

HERE = Path(__file__).parent
PUT = HERE / "sqlite_put_script.py"


def start(stack, path, number):
    return stack.enter_context(
        subprocess.Popen(
            [sys.executable, str(PUT), str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


def let_go(process):
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.parametrize("exists", [False, True])
def test_six_processes_put_the_same_and_other_blocks(tmp_path, exists):
    path = tmp_path / "blocks.sqlite"
    if exists:
        SQLiteCAStore(path).close()
    with ExitStack() as stack:
        processes = [start(stack, path, number) for number in range(6)]
        for process in processes:
            let_go(process)
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    blocks = [b"shared %d " % i * 5000 for i in range(40)]
    blocks += [b"process %d block %d" % (number, i) for number in range(6) for i in range(20)]
    with SQLiteCAStore(path) as backend:
        assert all(backend.get_block(make_link(data)) == data for data in blocks)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (len(blocks),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_process_leaves_all_that_was_flushed(tmp_path):
    path = tmp_path / "blocks.sqlite"
    with ExitStack() as stack:
        process = start(stack, path, "forever")
        let_go(process)
        for last in range(1, 51):
            assert process.stdout.readline() == f"{last}\n"
        process.kill()
    with SQLiteCAStore(path) as backend:
        for i in range(1, 51):
            assert backend.get(make_link(b"%d" % i * 1000)) == b"%d" % i * 1000
            assert backend.get(make_link(b"%d and" % i)) == b"%d and" % i
        backend.put(b"goes on")


def fork(kind, path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "fork_script.py"), kind, str(path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_forked_database(tmp_path):
    said = ["before, pending, put", "put", "put", "put", "0"]
    assert fork("sqlite", tmp_path / "blocks") == said
    later = [b"of the child", b"of the parent", b"of another store", b"of the child, later"]
    with SQLiteCAStore(tmp_path / "blocks") as backend:
        for data in (b"before", b"pending", *later):
            assert backend.get(make_link(data)) == data


def test_forked_archive(tmp_path):
    assert fork("car", tmp_path / "data.car") == [
        "before, pending, refused, retryable: True",
        "put",
        "put",
        "put",
        "0",
    ]
    later = [b"of the parent", b"of another store", b"of the child, later"]
    with CARStore(tmp_path / "data.car") as backend:
        for data in (b"before", b"pending", *later):
            assert backend.get(make_link(data)) == data
        assert make_link(b"of the child") not in backend
