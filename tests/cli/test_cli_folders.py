"""`put` and `get` of Zarr folders: key by key, never over anything, never half."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr_folders import (
    ABSENT_ROOT,
    CLASSIC_FILES,
    CLASSIC_ROOT,
    CONSOLIDATED_ROOT,
    read_files,
    write_files,
)

METADATA_NAMES = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
ZARR_3 = not zarr.__version__.startswith("2.")
needs_zarr_3 = pytest.mark.skipif(not ZARR_3, reason="zarr-python 2 writes no zarr format 3")


def _comparable(files: dict[str, bytes]) -> dict[str, Any]:
    """Metadata documents come back equal as JSON data, all else byte for byte."""
    return {
        key: json.loads(data) if key.rpartition("/")[2] in METADATA_NAMES else data
        for key, data in files.items()
    }


def _write_groups(path: Path, **options: Any) -> None:
    root = zarr.open_group(str(path), mode="w", **options)
    root.attrs["größe"] = [1, 2.5, None]
    numbers = np.arange(600, dtype="i4").reshape(20, 30)
    root.create_group("inner/deep").attrs["x"] = 1
    if ZARR_3:
        root.create_array("a", data=numbers, chunks=(7, 11))
        root.create_array("inner/b", data=numbers, chunks=(5, 30))
    else:
        root.create_dataset("a", data=numbers, chunks=(7, 11))
        root.create_dataset("inner/b", data=numbers, chunks=(5, 30))


def _write_sharded(path: Path) -> None:
    root = zarr.open_group(str(path), mode="w", zarr_format=3)
    root.create_array("s", data=np.arange(4096).reshape(64, 64), chunks=(8, 8), shards=(32, 32))


def _write_format_2(path: Path) -> None:
    _write_groups(path, **({"zarr_format": 2} if ZARR_3 else {}))


def _write_format_3(path: Path) -> None:
    _write_groups(path, zarr_format=3)


@pytest.mark.parametrize(
    "write",
    [
        _write_format_2,
        pytest.param(_write_format_3, marks=needs_zarr_3),
        pytest.param(_write_sharded, marks=needs_zarr_3),
    ],
)
def test_zarr_folder_comes_back(write: Callable[[Path], None], call: Any) -> None:
    write(Path("in.zarr"))
    put = call("put", "in.zarr")
    assert put.code == 0
    got = call("get", put.out.decode().strip(), "out.zarr")
    assert (got.code, got.out) == (0, b"")
    assert _comparable(read_files(Path("out.zarr"))) == _comparable(read_files(Path("in.zarr")))
    assert len(read_files(Path("out.zarr"))) > 4
    assert [name for name in os.listdir() if name.startswith(".")] == []


def test_put_prints_the_known_roots(run: Any, classic: Path, consolidated: Path) -> None:
    put = run("put", str(classic))
    assert (put.code, put.out) == (0, f"{CLASSIC_ROOT}\n".encode())
    assert put.err == "put 189 bytes of 'classic.zarr' into 2 blocks, 222 bytes\n"
    assert run("put", f"{consolidated}/").out == f"{CONSOLIDATED_ROOT}\n".encode()


def test_get_in_a_process_of_its_own(run: Any, classic: Path) -> None:
    run("put", "classic.zarr", "--blocks", "b")
    got = run("get", CLASSIC_ROOT, "back.zarr", "--blocks", "b")
    assert (got.code, got.out) == (0, b"")
    assert got.err == "got 2 blocks, 222 bytes, in 'back.zarr'\n"
    assert _comparable(read_files(Path("back.zarr"))) == _comparable(CLASSIC_FILES)


def test_put_follows_links_and_keeps_other_files(call: Any, classic: Path) -> None:
    Path("elsewhere").mkdir()
    os.rename(classic / "a", "elsewhere/a")
    (classic / "a").symlink_to(Path("elsewhere/a").absolute())
    assert call("put", "classic.zarr").out.decode().strip() == CLASSIC_ROOT
    write_files(classic, {"README": b"about"})
    root = call("put", "classic.zarr").out.decode().strip()
    call("get", root, "back.zarr")
    assert read_files(Path("back.zarr"))["README"] == b"about"


def test_put_says_which_links_lead_elsewhere(call: Any, classic: Path) -> None:
    write_files(Path("elsewhere"), {"a/0": b"x", "b": b"y"})
    (classic / "b").symlink_to("a", target_is_directory=True)
    (classic / "c").symlink_to("../elsewhere/a", target_is_directory=True)
    (classic / "d").symlink_to(Path("elsewhere/b").absolute())
    done = call("put", "classic.zarr")
    assert done.err.endswith(
        "followed links that lead elsewhere: 'classic.zarr/c', 'classic.zarr/d'\n"
    )
    call("get", done.out.decode().strip(), "back.zarr")
    back = read_files(Path("back.zarr"))
    assert back["b/0"] == CLASSIC_FILES["a/0"]
    assert (back["c/0"], back["d"]) == (b"x", b"y")


@pytest.mark.parametrize(
    "links",
    [
        {"a/x": "."},
        {"a/x": ".."},
        {"a/x": "../.."},
        {"a/x": "../b", "b/y": "../a"},
        {"a/x": "../../elsewhere", "../elsewhere/y": "../classic.zarr/a"},
    ],
    ids=str,
)
def test_put_of_links_in_a_circle(links: dict[str, str], call: Any, classic: Path) -> None:
    for link, target in links.items():
        path = classic / link
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target, target_is_directory=True)
    put = call("put", "classic.zarr")
    assert (put.code, put.out) == (1, b"")
    assert put.err.endswith("is a link to a folder that it is in\n")
    assert not Path("blocks").exists()


def test_put_of_a_link_to_itself(call: Any, classic: Path) -> None:
    (classic / "a" / "1").symlink_to("1")
    put = call("put", "classic.zarr")
    assert (put.code, put.out) == (1, b"")
    assert put.err.startswith("error: Too many levels of symbolic links: ")


def test_put_of_a_folder_without_what_systems_leave(call: Any, classic: Path) -> None:
    litter = [
        ".DS_Store",
        "._a",
        "a/Thumbs.db",
        "a/desktop.ini",
        "a/.ipynb_checkpoints/0",
        "__MACOSX/._0",
    ]
    write_files(classic, dict.fromkeys(litter, b"litter"))
    done = call("put", "classic.zarr")
    assert done.out.decode().strip() == CLASSIC_ROOT
    facts = json.loads(call("put", "classic.zarr", "--json").out)
    folders = [name.removesuffix("/0").removesuffix("/._0") for name in litter]
    assert facts["left_out"] == sorted(f"classic.zarr/{name}" for name in folders)
    assert facts["source_bytes"] == 189


@pytest.mark.parametrize("name", ["out.zip", "out.zarr.zip", "OUT.ZIP"])
def test_get_of_a_zip_file(name: str, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    assert call("get", CLASSIC_ROOT, name).code == 0
    with zipfile.ZipFile(name) as archive:
        files = {key: archive.read(key) for key in archive.namelist()}
    assert _comparable(files) == _comparable(CLASSIC_FILES)
    store = zarr.storage.ZipStore(name, mode="r")
    assert zarr.open_group(store, mode="r")["a"][:].tolist() == [1, 2, 3]
    store.close()
    first = Path(name).read_bytes()
    Path(name).unlink()
    call("get", CLASSIC_ROOT, name)
    assert Path(name).read_bytes() == first


@pytest.mark.parametrize("name", ["-", "s3://bucket/x.zarr", "https://example.org/x.nc"])
def test_get_to_where_nothing_is_written(name: str, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    before = sorted(os.listdir())
    done = call("get", CLASSIC_ROOT, name)
    assert (done.code, done.out) == (1, b"")
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("name", ["v1.2", "2026.01", "x.unknown", ".hidden"])
def test_get_of_a_folder_whose_name_says_nothing(name: str, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    assert call("get", CLASSIC_ROOT, name).code == 0
    assert _comparable(read_files(Path(name))) == _comparable(CLASSIC_FILES)


def test_put_of_what_is_not_there(call: Any) -> None:
    put = call("put", "nothing.nc")
    assert put == (3, b"", "error: No such file or directory: 'nothing.nc'\n")
    assert not Path("blocks").exists()


def test_put_of_a_folder_that_is_no_zarr_store(call: Any, workplace: Path) -> None:
    write_files(Path("plain"), {"README": b"about"})
    put = call("put", "plain")
    assert put == (1, b"", "error: 'plain' is no Zarr store: it holds no Zarr metadata\n")


def test_put_of_a_folder_of_something_else_that_is_taken(call: Any, workplace: Path) -> None:
    write_files(Path("data"), {"b.NC": b"", "a.npy": b"", "readme.txt": b""})
    done = call("put", "data")
    assert done.code == 1
    assert "is no Zarr store: it holds no Zarr metadata; 2 files such as 'a.npy'" in done.err
    write_files(Path("z"), {".zgroup": b"{}"})
    call("put", "z", "--blocks", "blocks")
    assert (
        "'blocks' is a folder of blocks: `put` writes into one, --blocks"
        in call("put", "blocks").err
    )


@pytest.mark.parametrize("command", ["get", "export"])
def test_arguments_in_the_wrong_order(command: str, call: Any, classic: Path) -> None:
    done = call(command, "out.file", CLASSIC_ROOT)
    assert (done.code, done.out) == (2, b"")
    assert f"the root comes first, '{CLASSIC_ROOT}', and then 'out.file', where it goes" in done.err


def test_put_of_a_file_whose_name_is_no_key(call: Any, classic: Path) -> None:
    Path(os.fsdecode(os.fsencode(classic) + b"/\xff")).write_bytes(b"")
    put = call("put", "classic.zarr")
    assert (put.code, put.out) == (1, b"")
    assert put.err == r"error: key '\udcff': segment '\udcff' holds a lone surrogate" + "\n"


def test_put_of_a_link_that_leads_nowhere(call: Any, classic: Path) -> None:
    (classic / "a" / "1").symlink_to("nowhere")
    put = call("put", "classic.zarr")
    assert put.code == 3
    assert put.err.startswith("error: No such file or directory: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_put_of_a_named_pipe_in_a_folder(call: Any, classic: Path) -> None:
    os.mkfifo(classic / "a" / "1")
    put = call("put", "classic.zarr")
    assert (put.code, put.out) == (1, b"")
    assert "is neither a file nor a folder" in put.err


@pytest.mark.parametrize("name", ["there", "there.nc"])
def test_get_over_something(name: str, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    Path(name).write_bytes(b"mine")
    got = call("get", CLASSIC_ROOT, name)
    assert got == (1, b"", f"error: '{name}' exists and is not written over\n")
    assert Path(name).read_bytes() == b"mine"


def test_get_over_an_empty_folder_or_a_dangling_link(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    Path("folder").mkdir()
    Path("link").symlink_to("nowhere")
    assert call("get", CLASSIC_ROOT, "folder").code == 1
    assert call("get", CLASSIC_ROOT, "link").code == 1
    assert os.listdir("folder") == []
    assert not Path("nowhere").exists()


def test_get_into_a_folder_that_is_not_there(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    got = call("get", CLASSIC_ROOT, "no/such.zarr")
    assert got == (3, b"", "error: no folder to put 'no/such.zarr' in\n")


def test_get_without_a_chunk_leaves_nothing(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    _chunk_file().unlink()
    got = call("get", CLASSIC_ROOT, "out.zarr")
    assert (got.code, got.out) == (3, b"")
    assert got.err.startswith("error: no block bafkrei")
    assert sorted(os.listdir()) == ["blocks", "classic.zarr"]


def test_get_of_a_corrupt_chunk_leaves_nothing(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    _chunk_file().write_bytes(bytes(24))
    got = call("get", CLASSIC_ROOT, "out.zarr")
    assert (got.code, got.out) == (4, b"")
    assert got.err.startswith("error: block bafkrei")
    assert got.err.endswith("(while reading key 'a/0')\n")
    assert sorted(os.listdir()) == ["blocks", "classic.zarr"]


def test_get_of_a_root_that_is_not_there(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    got = call("get", ABSENT_ROOT, "out.zarr")
    assert got.code == 3
    assert got.err.startswith(f"error: no block {ABSENT_ROOT} in DirectoryCAStore(")


def _chunk_file() -> Path:
    (path,) = (path for path in Path("blocks").glob("*/*.data") if path.stat().st_size == 24)
    return path


def test_a_put_that_fails_says_why_and_no_more(run: Any, classic: Path) -> None:
    """That what it wrote is not frozen goes without saying."""
    (classic / "a" / ".zgroup").mkdir()
    (classic / "a" / ".zgroup" / "0").write_bytes(b"")
    put = run("put", "classic.zarr", "--blocks", "b")
    assert put.code == 1
    assert put.err.count("\n") == 1
    assert put.err.startswith("error: key 'a/.zgroup/0'")
