"""Every exit code, reached by the program itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import ABSENT_ROOT, CLASSIC_ROOT, write_files

pytestmark = pytest.mark.once

CHUNK_BYTES = 24


@pytest.fixture
def stored(call: Any, classic: Path) -> None:
    assert call("put", "classic.zarr").code == 0


def chunk_file() -> Path:
    files = Path("blocks").glob("*/*.data")
    (path,) = (path for path in files if path.stat().st_size == CHUNK_BYTES)
    return path


def lose() -> None:
    chunk_file().unlink()


def spoil() -> None:
    chunk_file().write_bytes(bytes(CHUNK_BYTES))


def keep() -> None:
    pass


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("code", "first", "arguments"),
    [
        (0, keep, ["verify", CLASSIC_ROOT]),
        (0, keep, ["cat", f"{CLASSIC_ROOT}/a/0"]),
        (1, keep, ["get", CLASSIC_ROOT, "classic.zarr"]),
        (1, keep, ["cat", f"{CLASSIC_ROOT}/a"]),
        (2, keep, ["ls"]),
        (2, keep, ["ls", "--depth", CLASSIC_ROOT]),
        (2, keep, ["tree", CLASSIC_ROOT, "--depth", "-1"]),
        (2, keep, ["info", "no-cid"]),
        (2, keep, ["info", CLASSIC_ROOT, "--blocks", "ftp://127.0.0.1"]),
        (2, keep, ["diff", CLASSIC_ROOT, CLASSIC_ROOT, "--plot", "x.txt"]),
        (2, keep, ["verify", f"{CLASSIC_ROOT}/a", "--extra"]),
        (3, keep, ["info", CLASSIC_ROOT, "--blocks", "nowhere"]),
        (3, keep, ["info", "no.car"]),
        (3, keep, ["info", f"{CLASSIC_ROOT}/b"]),
        (3, keep, ["diff", CLASSIC_ROOT, ABSENT_ROOT]),
        (3, keep, ["copy", ABSENT_ROOT, "other"]),
        (3, keep, ["diff", CLASSIC_ROOT, CLASSIC_ROOT, "--array", "b"]),
        (3, lose, ["verify", CLASSIC_ROOT]),
        (3, lose, ["cat", f"{CLASSIC_ROOT}/a/0"]),
        (3, lose, ["copy", CLASSIC_ROOT, "other"]),
        (4, spoil, ["verify", CLASSIC_ROOT]),
        (4, spoil, ["cat", f"{CLASSIC_ROOT}/a/0"]),
        (4, spoil, ["export", CLASSIC_ROOT, "x.car"]),
        (4, keep, ["import", "classic.zarr/a/0"]),
        (5, keep, ["verify", CLASSIC_ROOT, "--blocks", "ipfs:http://127.0.0.1:9"]),
        (5, keep, ["cat", f"{CLASSIC_ROOT}/a/0", "--blocks", "gateway+http://127.0.0.1:9"]),
        (5, keep, ["copy", CLASSIC_ROOT, "ipfs:http://127.0.0.1:9"]),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else None,
)
def test_codes(code: int, first: Any, arguments: list[str], call: Any) -> None:
    first()
    done = call(*arguments)
    assert done.code == code, done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ["commit", CLASSIC_ROOT, "-m", "again"]),
        (1, ["init"]),
        (1, ["init", "gateway+http://127.0.0.1:9"]),
        (1, ["branch", "main"]),
        (2, ["commit", CLASSIC_ROOT]),
        (2, ["init", "other", "--default", "a..b"]),
        (2, ["branch", "HEAD"]),
        (2, ["log", "main", "--repository", "../x"]),
        (3, ["log", "main", "--repository", "other"]),
        (3, ["show", "other"]),
        (3, ["show", "main~1"]),
        (3, ["show", "main~~x"]),
        (3, ["commit", ABSENT_ROOT, "-m", "gone"]),
        (4, ["put", "classic.zarr/a", "--branch", "main", "-m", "x" * 100_000]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_codes_of_repositories(code: int, arguments: list[str], call: Any) -> None:
    assert call("init").code == call("commit", CLASSIC_ROOT, "-m", "first").code == 0
    done = call(*arguments)
    assert done.code == code, done.err
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("stored")
def test_codes_of_the_program(run: Any) -> None:
    assert run("ls", CLASSIC_ROOT).code == 0
    assert run("put", "-").code == 1
    assert run("ls", "no-cid").code == 2
    assert run("ls", ABSENT_ROOT).code == 3
    assert run("ls", CLASSIC_ROOT, "--blocks", "ipfs:http://127.0.0.1:9").code == 5
    lose()
    assert run("verify", CLASSIC_ROOT).code == 3
    write_files(Path(), {"x.car": b"no archive"})
    assert run("import", "x.car").code == 4


@pytest.mark.usefixtures("stored")
def test_missing_and_corrupt_together(call: Any) -> None:
    spoil()
    write_files(Path("classic.zarr"), {"a/1": b"another"})
    root = call("put", "classic.zarr").out.decode().strip()
    spoil()
    (missing,) = (path for path in Path("blocks").glob("*/*.data") if path.stat().st_size == 7)
    missing.unlink()
    found = call("verify", root)
    assert found.code == 4
    lines = found.out.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["corrupt", "missing"]
    assert [line.split()[2] for line in lines] == ["a/0:", "a/1:"]
    assert found.err.endswith("found 2 problems\n")


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        (["ls", "-R", "ROOT"], ""),
        (["cat", "ROOT/0"], ""),
        (["cat", "ROOT/0"], "1"),
        (["export", "ROOT"], "1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_broken_pipe(
    arguments: list[str],
    unbuffered: str,
    call: Any,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    files = {f"{number:0200}": b"" for number in range(2000)}
    write_files(Path("z"), {".zgroup": b"{}", "0": os.urandom(1 << 20), **files})
    root = call("put", "z").out.decode().strip()
    process = subprocess.Popen(
        [sys.executable, "-m", "ipldstore", *(word.replace("ROOT", root) for word in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 141


def test_the_help_names_them(call: Any) -> None:
    text = " ".join(call("--help").out.decode().split())
    for code in (0, 1, 2, 3, 4, 5, 130, 141):
        assert f" {code} " in text.partition("Exit codes:")[2]
