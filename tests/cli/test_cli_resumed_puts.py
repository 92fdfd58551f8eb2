"""``ipldstore put --branch`` that is killed or interrupted, and gone on with."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import write_files

import ipldstore

COUNT = 12

STOPPED = """
import os, signal, sys
from itertools import count
from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.cli import main
from ipldstore.cli.work import noting

noting._MOST_UNNOTED = 1
signal.signal(signal.SIGINT, signal.default_int_handler)  # which who began the tests may ignore
put_block, numbers = DirectoryCAStore.put_block, count(1)

def put_some(self, cid, data):
    put_block(self, cid, data)
    if next(numbers) == 6:
        {action}

DirectoryCAStore.put_block = put_some
main()
"""
KILLED = STOPPED.format(action="os.kill(os.getpid(), signal.SIGKILL)")
INTERRUPTED = STOPPED.format(action="signal.raise_signal(signal.SIGINT)")
FULL = STOPPED.format(action="raise OSError(28, 'No space left on device', 'blocks')")
NO_SIGKILL = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
PUT = ["put", "z", "--branch", "main"]


@pytest.fixture(autouse=True)
def source(workplace: Path, call: Any) -> Path:
    """A Zarr folder, and a repository."""
    assert call("init").code == 0
    chunks = {f"a/{number}": b"%06d" % number * 500 for number in range(COUNT)}
    return write_files(workplace / "z", {".zgroup": b'{"zarr_format":2}', **chunks})


@pytest.fixture
def root(call: Any) -> str:
    """The root of the source, put elsewhere."""
    text: str = call("put", "z", "--blocks", "elsewhere").out.decode().strip()
    return text


def sessions(call: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in call("sessions", "--json").out.splitlines()]


def branches() -> dict[str, Any]:
    with ipldstore.Repository("blocks") as repo:
        return repo.branches


@pytest.fixture
def session(run: Any, call: Any) -> str:
    """A session of a put that was killed."""
    assert run(*PUT, code=KILLED).code == -signal.SIGKILL
    (one,) = sessions(call)
    found: str = one["id"]
    return found


@NO_SIGKILL
def test_after_a_kill(session: str, root: str, call: Any) -> None:
    (one,) = sessions(call)
    assert (one["branch"], one["message"], branches()) == ("main", "put z", {})
    assert one["bytes"] > 0
    done = call(*PUT, "--resume", session)
    assert done.code == 0, done.err
    assert done.out.decode().split() == [root, str(branches()["main"])]
    assert sessions(call) == []
    with ipldstore.Repository("blocks") as repo:
        assert [version.message for version in repo.log()] == ["put 'z'"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process there")
@pytest.mark.parametrize(
    ("code", "label", "number"), [(INTERRUPTED, "interrupted", 130), (FULL, "error", 1)]
)
def test_what_is_said(code: str, label: str, number: int, root: str, run: Any, call: Any) -> None:
    stopped = run(*PUT, code=code)
    assert (stopped.code, stopped.out) == (number, b""), stopped.err
    (one,) = sessions(call)
    assert stopped.err.startswith(f"{label}: ")
    assert f"run the command again with --resume {one['id']} to go on" in stopped.err
    assert stopped.err.count("\n") == 1
    assert call(*PUT, "--resume", one["id"]).out.decode().split()[0] == root


@NO_SIGKILL
def test_without_resume_it_is_offered(session: str, root: str, call: Any) -> None:
    done = call(*PUT)
    assert (done.code, done.out.decode().split()[0]) == (0, root)
    assert f"--resume {session} goes on with it" in done.err
    assert [one["id"] for one in sessions(call)] == [session]
    assert call("abandon", session).code == 0
    assert session not in call(*PUT).err


@NO_SIGKILL
def test_a_source_that_changed_is_put_as_it_is(session: str, source: Path, call: Any) -> None:
    (source / "a" / "1").write_bytes(b"changed")
    (source / "a" / "0").unlink()
    (source / "a" / "0").mkdir()
    (source / "a" / "0" / "0").write_bytes(b"below what was a value")
    expected = call("put", "z", "--blocks", "elsewhere").out.decode().strip()
    done = call(*PUT, "--resume", session)
    assert (done.code, done.out.decode().split()[0]) == (0, expected), done.err


@NO_SIGKILL
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["put", "z", "--branch", "main", "--into", "g"], 1, "is of 'put z', and this is"),
        (["put", "other", "--branch", "main"], 1, "is of 'put z', and this is 'put other'"),
        (["put", "z", "--branch", "side"], 1, "is of branch 'main'"),
        (["put", "z"], 2, "--resume goes with --branch"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: list[str], code: int, said: str, session: str, workplace: Path, call: Any
) -> None:
    write_files(workplace / "other", {".zgroup": b'{"zarr_format":2}'})
    assert call("put", "other", "--branch", "main").code == 0
    assert call("branch", "side").code == 0
    before = branches()
    refused = call(*arguments, "--resume", session)
    assert refused.code == code
    assert said in re.sub(r"\W*\n\W*", " ", refused.err)
    assert branches() == before
    assert [one["id"] for one in sessions(call)] == [session]


@NO_SIGKILL
def test_sessions_that_ended_or_never_were(session: str, call: Any) -> None:
    assert call(*PUT, "--resume", session).code == 0
    for name in (session, "0" * 32, "no such/name"):
        refused = call(*PUT, "--resume", name)
        assert (refused.code, refused.out) == (3, b"")
        assert "`ipldstore sessions` lists them" in refused.err


def test_a_session_of_something_else_is_left_alone(call: Any) -> None:
    with ipldstore.Repository("blocks") as repo:
        other = repo.writable("main", message="by hand")
        other["a/0"] = b"value"
        refused = call(*PUT, "--resume", other.id)
        assert (refused.code, other["a/0"]) == (1, b"value")
        other.commit()


@NO_SIGKILL
def test_one_that_another_process_finishes_meanwhile(
    session: str, root: str, run: Any, call: Any
) -> None:
    again = f"""
        import subprocess
        subprocess.run([sys.executable, "-m", "ipldstore", *{[*PUT, "--resume", session]}],
                       check=True, stdout=subprocess.DEVNULL)
"""
    second = run(*PUT, "--resume", session, code=STOPPED.format(action=again.strip()))
    assert second.code == 1
    assert "run the command without --resume to begin anew" in second.err
    with ipldstore.Repository("blocks") as repo:
        assert [str(version.root) for version in repo.log()] == [root]
    assert sessions(call) == []


def test_a_source_at_fault_leaves_no_session(source: Path, call: Any) -> None:
    (source / "a" / ".zarray").write_bytes(b"no JSON")
    assert call(*PUT).code == 1
    assert sessions(call) == []


@pytest.mark.parametrize("place", ["sqlite:blocks.db", "blocks.car"])
def test_in_a_file(place: str, root: str, call: Any) -> None:
    assert call("init", place).code == 0
    done = call(*PUT, "--blocks", place)
    assert (done.code, done.out.decode().split()[0]) == (0, root)
    assert call("sessions", "--blocks", place).out == b""
