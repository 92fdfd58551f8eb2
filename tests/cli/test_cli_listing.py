"""`ls`: kinds, sizes, CIDs and order, the same in a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import CLASSIC_ROOT, CONSOLIDATED_ROOT, write_files

from ipldstore import DirectoryCAStore, IPLDStore

# as the `multiformats` package names the 24 bytes of the chunk
CHUNK_CID = "bafkreihc4ibtvz7btvualgou5mfbgwncwshmlovmoudgyml7x6crlhcu54"


def test_names_and_kinds(run: Any, classic: Path) -> None:
    run("put", "classic.zarr")
    listed = run("ls", CLASSIC_ROOT)
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.decode().splitlines() == [
        "document             2 .zattrs",
        "document            17 .zgroup",
        "array                - a",
    ]


def test_long(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    assert call("ls", "--long", f"{CLASSIC_ROOT}/a").out.decode().splitlines() == [
        f"chunk               24 {CHUNK_CID} 0",
        f"document           119 {'-':59} .zarray",
        f"document            27 {'-':59} .zattrs",
    ]
    assert call("ls", "-l", CLASSIC_ROOT).out.decode().splitlines()[-1] == (
        f"array              170 {'-':59} a"
    )


def test_recursive(call: Any, consolidated: Path) -> None:
    call("put", "consolidated.zarr")
    names = [line.split()[-1] for line in _lines(call("ls", "-R", CONSOLIDATED_ROOT))]
    assert names == [".zattrs", ".zgroup", ".zmetadata", "a", "a/0", "a/.zarray", "a/.zattrs"]


@pytest.mark.parametrize("path", ["a/0", "a/.zarray"])
def test_one_value(path: str, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    (line,) = _lines(call("ls", f"{CLASSIC_ROOT}/{path}"))
    assert line.split()[0] == ("chunk" if path == "a/0" else "document")
    assert line.split()[2] == path.removeprefix("a/")


def test_kinds_of_format_3_and_order(call: Any, workplace: Path) -> None:
    files = {
        "zarr.json": b'{"zarr_format":3,"node_type":"group"}',
        "group/zarr.json": b'{"zarr_format":3,"node_type":"group"}',
        "array/zarr.json": b'{"zarr_format":3,"node_type":"array"}',
        "nan/zarr.json": b'{"zarr_format":3,"node_type":"array","attributes":{"x":NaN}}',
        "odd/zarr.json": b"not JSON",
        **{f"array/c/{name}": b"x" for name in ("10", "9", "0")},
    }
    store = IPLDStore(DirectoryCAStore("blocks"))
    store.update(files)
    root = str(store.freeze())
    assert [line.split()[::2] for line in _lines(call("ls", root))] == [
        ["array", "array"],
        ["group", "group"],
        ["array", "nan"],
        ["directory", "odd"],
        ["document", "zarr.json"],
    ]
    assert [line.split()[-1] for line in _lines(call("ls", f"{root}/array/c"))] == ["0", "9", "10"]


def test_names_cannot_steer_a_terminal(call: Any, workplace: Path) -> None:
    write_files(Path("z"), {".zgroup": b"{}", "a\nb\x1b[2J": b"", "süß": b""})
    root = call("put", "z").out.decode().strip()
    assert [line.split()[-1] for line in _lines(call("ls", root))] == [
        ".zgroup",
        r"a\nb\x1b[2J",
        "süß",
    ]


def test_path_that_is_not_there(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    listed = call("ls", f"{CLASSIC_ROOT}/a/1")
    assert listed == (3, b"", f"error: nothing at 'a/1' under {CLASSIC_ROOT}\n")


def test_missing_chunk(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    for path in Path("blocks").glob("*/*.data"):
        if path.stat().st_size == 24:
            path.unlink()
    listed = call("ls", f"{CLASSIC_ROOT}/a")
    assert listed.code == 3
    assert listed.err.startswith(f"error: no block {CHUNK_CID} in DirectoryCAStore(")
    assert listed.err.endswith("(the value of key 'a/0')\n")


def test_reader_that_goes_away(call: Any, workplace: Path) -> None:
    write_files(Path("z"), {".zgroup": b"{}", **{f"{number:0200}": b"" for number in range(2000)}})
    root = call("put", "z").out.decode().strip()
    process = subprocess.Popen(
        [sys.executable, "-m", "ipldstore", "ls", root],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 128 + 13


def _lines(outcome: Any) -> list[str]:
    assert outcome.code == 0
    lines: list[str] = outcome.out.decode().splitlines()
    return lines


def test_how_many_chunks_there_are(call: Any, workplace: Path) -> None:
    store = IPLDStore(DirectoryCAStore("blocks"))
    document = b'{"zarr_format": 2, "shape": [16], "chunks": [2]}'
    store["full/.zarray"] = b'{"zarr_format": 2, "shape": [2], "chunks": [2]}'
    store["full/0"] = b"chunk"
    store["odd/.zarray"] = b"{}"
    for number in range(12):
        store[f"lost/{number:02}/.zarray"] = document
    root = str(store.freeze())
    lines = call("info", root).out.decode().splitlines()
    assert "      1 of 1      5 bytes full" in lines
    assert "      0 of 8      0 bytes lost/00" in lines
    assert "      0 of ?      0 bytes odd" in lines
    verified = call("verify", root)
    assert (verified.code, verified.out) == (0, b"")
    assert verified.err.splitlines()[1:] == [
        "chunks 1 of ? in 14 arrays",
        *(f"  0 of 8 in lost/{number:02}" for number in range(10)),
        "  and not all, or an unknown number, in 3 more",
    ]


def test_an_empty_hierarchy_is_called_so(call: Any, workplace: Path) -> None:
    root = str(IPLDStore(DirectoryCAStore("blocks")).freeze())
    lines = call("info", root).out.decode().splitlines()
    assert lines[-1] == "empty   no groups, arrays or values"
    assert len(call("verify", root).err.splitlines()) == 1
