"""One grammar for hierarchies: CIDs, paths in them, URLs and CAR files, in every command."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import CLASSIC_FILES, CLASSIC_ROOT, CONSOLIDATED_ROOT, read_files, write_files

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def stored(call: Any, consolidated: Path, classic: Path) -> None:
    """Two hierarchies in the folder `store`, the first also in an archive."""
    call("put", "classic.zarr", "--blocks", "store")
    call("put", "consolidated.zarr", "--blocks", "store")
    call("export", CLASSIC_ROOT, "x.car", "--blocks", "store")


PLACES = [
    [CLASSIC_ROOT, "--blocks", "store"],
    [f"ipfs://{CLASSIC_ROOT}", "--blocks", "store"],
    [f"ipld://{CLASSIC_ROOT}", "--blocks", "store"],
    [f"/ipfs/{CLASSIC_ROOT}", "--blocks", "store"],
    [CLASSIC_ROOT, "--blocks", "x.car"],
    ["x.car"],
    ["./x.car"],
    ["car:x.car"],
]


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_commands_that_read(place: list[str], call: Any) -> None:
    what, *blocks = place
    assert b"array                - a\n" in call("ls", what, *blocks).out
    assert call("cat", f"{what}/a/0", *blocks).out == CLASSIC_FILES["a/0"]
    assert json.loads(call("info", what, *blocks, "--json").out)["root"] == CLASSIC_ROOT
    assert json.loads(call("tree", what, *blocks, "--json").out)["cid"] == CLASSIC_ROOT
    assert len(call("export", what, *blocks).out) == 356
    assert call("verify", what, *blocks).code == 0
    assert call("diff", what, what, *blocks).out == b""
    assert call("copy", what, "copied", *blocks).out == f"{CLASSIC_ROOT}\n".encode()
    assert call("get", what, "back", *blocks).code == 0
    assert read_files(Path("back")).keys() == CLASSIC_FILES.keys()
    if blocks[1:] != ["x.car"]:
        made = call("unixfs", what, *blocks).out.decode().strip()
        blocks = blocks or ["--blocks", "blocks"]
        assert call("unixfs", made, "--read", *blocks).out == f"{CLASSIC_ROOT}\n".encode()


@pytest.mark.parametrize("place", [[f"{CLASSIC_ROOT}/a", "--blocks", "store"], ["x.car/a/"]])
def test_a_part_of_a_hierarchy(place: list[str], call: Any) -> None:
    what, *blocks = place
    array = {key[2:]: data for key, data in CLASSIC_FILES.items() if key.startswith("a/")}
    write_files(Path("alone"), array)
    root = call("put", "alone").out.decode().strip()
    assert json.loads(call("info", what, *blocks, "--json").out)["root"] == root
    assert call("cat", f"{what.rstrip('/')}/0", *blocks).out == CLASSIC_FILES["a/0"]
    assert call("export", what, *blocks).out == call("export", root).out
    assert call("verify", what, *blocks).code == 0
    assert call("copy", what, "copied", *blocks).out == f"{root}\n".encode()
    assert call("verify", root, "--blocks", "copied").code == 0
    assert call("get", what, "back", *blocks).code == 0
    assert read_files(Path("back")).keys() == array.keys()
    made = call("unixfs", what, *blocks).out
    assert made == call("unixfs", root, "--blocks", "blocks").out


def test_each_side_of_a_difference_has_its_own_blocks(call: Any) -> None:
    changed = call("diff", "x.car", CONSOLIDATED_ROOT, "--blocks", "store")
    assert changed == (0, b"added   .zmetadata\n", "")
    changed = call("diff", CONSOLIDATED_ROOT, "x.car", "--blocks", "store")
    assert changed.out == b"removed .zmetadata\n"


def test_archives_in_folders_with_such_names(call: Any) -> None:
    os.mkdir("old.car")
    shutil.move("x.car", "old.car/y.CAR")
    assert call("cat", "old.car/y.CAR/a/0").out == CLASSIC_FILES["a/0"]
    assert call("ls", "old.car/no.car") == (3, b"", "error: no CAR file 'old.car/no.car'\n")
    folder = call("ls", "old.car")
    assert folder.code == 2
    assert "'old.car' is a folder, neither of blocks nor with Zarr in it" in folder.err
    assert call("ls", "no.car/a") == (3, b"", "error: no CAR file 'no.car'\n")


def test_an_archive_without_one_root(call: Any) -> None:
    # a header without roots, as DAG-CBOR: {"roots": [], "version": 1}
    header = bytes.fromhex("a265726f6f7473806776657273696f6e01")
    Path("none.car").write_bytes(bytes([len(header)]) + header)
    listed = call("ls", "none.car")
    assert listed.code == 2
    assert "'none.car' is an archive with no root, expected one" in listed.err


def test_what_follows_the_last_block_is_told(call: Any) -> None:
    size = Path("x.car").stat().st_size
    told = f"from byte {size:,} on, the archive is cut short, padded (--allow-padding) or no CAR\n"
    assert told not in call("verify", "x.car").err
    with open("x.car", "ab") as file:
        file.write(b"<html></html>")
    verified = call("verify", "x.car")
    counted = "verified 2 blocks, 222 bytes\nchunks 1 of 1 in 1 array\n"
    assert (verified.code, verified.err) == (0, counted + told)


def test_a_url_or_a_name_without_a_node_is_no_root(call: Any) -> None:
    url = call("ls", f"https://me:secret@gateway.example/ipfs/{CLASSIC_ROOT}")
    assert (url.code, url.out) == (2, b"")
    assert f"but {CLASSIC_ROOT} is: name that, and gateway+https://gateway.example as" in url.err
    assert "secret" not in url.err
    name = call("ls", "ipns://k51abc", "--blocks", "store")
    assert name.code == 2
    assert name.err.startswith("error: 'ipns://k51abc': names need blocks in an IPFS node")


def test_values_go_through_pipes_byte_for_byte(run: Any, call: Any) -> None:
    data = bytes(range(256)) * 20_000  # larger than a block
    write_files(Path("large"), {".zgroup": b"{}", "0": data, "crlf": b"\r\n\x1a\0"})
    root = call("put", "large").out.decode().strip()
    assert run("cat", f"{root}/0").out == data
    assert run("cat", f"{root}/crlf").out == b"\r\n\x1a\0"
    assert run("cat", f"{root}/.zgroup").out == b"{}"
    archive = run("export", root, "-").out
    assert run("import", "-", "--blocks", "other", stdin=archive).out == f"{root}\n".encode()
    assert run("cat", f"{root}/0", "--blocks", "other").out == data


def test_a_dataset_does_not_come_through_a_pipe(call: Any) -> None:
    put = call("put", "-")
    assert (put.code, put.out) == (1, b"")
    assert "ipldstore import -" in put.err


def test_copies_move_what_is_missing(call: Any) -> None:
    first = call("copy", CLASSIC_ROOT, "sqlite:target.db", "--blocks", "store")
    assert first.err.startswith("copied 2 blocks, 222 bytes, into SQLiteCAStore(")
    assert first.err.endswith("; it had 0 already\n")
    second = json.loads(
        call("copy", CONSOLIDATED_ROOT, "sqlite:target.db", "--blocks", "store", "--json").out
    )
    assert (second["blocks"], second["skipped"]) == (1, 1)
    assert call("copy", CLASSIC_ROOT, "y.car", "--blocks", "store").code == 0
    assert Path("y.car").read_bytes()  # which knows its root now:
    assert json.loads(call("info", "y.car", "--json").out)["root"] == CLASSIC_ROOT


def test_a_broken_store_is_repaired(call: Any) -> None:
    (chunk,) = (path for path in Path("store").glob("*/*.data") if path.stat().st_size == 24)
    chunk.write_bytes(bytes(24))
    assert call("verify", CLASSIC_ROOT, "--blocks", "store").code == 4
    repaired = call("verify", CLASSIC_ROOT, "--blocks", "store", "--repair-from", "x.car")
    assert (repaired.code, repaired.out) == (0, b"")
    assert repaired.err.splitlines() == [
        "verified 2 blocks, 222 bytes",
        "chunks 1 of 1 in 1 array",
        "repaired 1 block",
    ]
    assert chunk.read_bytes() == CLASSIC_FILES["a/0"]


def test_extra_blocks_are_listed(call: Any) -> None:
    found = call("verify", CLASSIC_ROOT, "--blocks", "store", "--extra")
    assert found.code == 0
    # a folder does not keep codecs: that of raw stands for all
    assert found.out.decode().split() == ["extra", CONSOLIDATED_ROOT.replace("bafy", "bafk")]


def test_changes_are_counted(call: Any, classic: Path) -> None:
    (classic / "a" / "0").write_bytes(bytes(24))
    changed = call("put", "classic.zarr").out.decode().strip()
    assert call("diff", "x.car", changed).out == b"changed a/0\n"
    assert call("diff", "x.car", changed, "--stat").out.decode().splitlines() == [
        "    added   removed   changed  chunks of",
        "        0         0         1  a",
        "        0         0         0  other keys",
        "        0         0         1  all",
    ]
    assert call("diff", "x.car", changed, "--array", "a").out == b"changed a/0\n"
    both = call("diff", "x.car", changed, "--stat", "--plot", "x.svg")
    assert both.code == 2


def test_a_picture_is_drawn_once(call: Any, classic: Path) -> None:
    pytest.importorskip("matplotlib")
    (classic / "a" / "0").write_bytes(bytes(24))
    changed = call("put", "classic.zarr").out.decode().strip()
    drawn = call("diff", "x.car", changed, "--plot", "x.svg")
    assert drawn == (0, b"", "drew 'x.svg'\n")
    assert b"<svg" in Path("x.svg").read_bytes()
    assert call("diff", "x.car", changed, "--plot", "x.svg").code == 1


def test_a_picture_needs_matplotlib(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipldstore.views.drawing", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    drawn = call("diff", "x.car", "x.car", "--plot", "x.png")
    assert drawn.code == 1
    assert drawn.err.startswith("error: pictures need matplotlib: pip install 'ipldstore[plot]'")


def test_how_much_there_is(call: Any) -> None:
    assert call("info", "x.car").out.decode().splitlines()[2:] == [
        "all     2 blocks, 222 bytes",
        "nodes   1 block, 198 bytes",
        "values  1 block, 24 bytes",
        "shared  0 bytes that equal blocks save",
        "      chunks       stored array",
        "      1 of 1     24 bytes a",
    ]


def test_trees_stop_at_a_depth(call: Any) -> None:
    assert [line.split()[0] for line in lines_of(call("tree", "x.car", "--depth", "0"))] == [
        "name",
        "/",
    ]
    assert lines_of(call("tree", "x.car"))[-1].split()[:4] == ["└──", "a", "int64", "3"]
    assert lines_of(call("tree", "x.car")) == lines_of(call("tree", "x.car", "--depth", "5"))


def lines_of(outcome: Any) -> list[str]:
    assert outcome.code == 0, outcome.err
    text: str = outcome.out.decode()
    return text.splitlines()
