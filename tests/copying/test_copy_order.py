"""The order in which values are copied, and what a copy leaves that was stopped."""

import json
import signal
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import zarr

import ipldstore
from ipldstore import BackendError, IPLDStore

ON_ZARR_2 = version("zarr").startswith("2.")
only_zarr_3 = pytest.mark.skipif(ON_ZARR_2, reason="stores of zarr-python 3")


class Watched(dict):
    """Notes the order of what is set, and stops after some."""

    def __init__(self, most=None):
        super().__init__()
        self.order = []
        self.most = most

    def __setitem__(self, key, value):
        if len(self.order) == self.most:
            raise RuntimeError("the line went dead")
        self.order.append(key)
        super().__setitem__(key, value)


def document(kind, **others):
    return json.dumps({"zarr_format": 3, "node_type": kind, **others}).encode()


FORMAT_3 = {
    "zarr.json": document("group", consolidated_metadata={"metadata": {}}),
    "deep/zarr.json": document("group"),
    "deep/a/zarr.json": document("array"),
    "deep/a/c/0": b"chunk",
    "b/zarr.json": document("array"),
    "b/c/0": b"chunk",
}
FORMAT_2 = {
    ".zgroup": b'{"zarr_format":2}',
    ".zattrs": b"{}",
    ".zmetadata": b"{}",
    "deep/.zgroup": b'{"zarr_format":2}',
    "deep/a/.zarray": b"{}",
    "deep/a/.zattrs": b"{}",
    "deep/a/0": b"chunk",
}


def order_of(values):
    target = Watched()
    ipldstore.copy(values, target, workers=1)
    return target.order


def test_chunks_come_after_documents_and_the_top_comes_last():
    order = order_of(FORMAT_3)
    assert order[:3] in (
        ["deep/zarr.json", "b/zarr.json", "deep/a/zarr.json"],
        ["b/zarr.json", "deep/zarr.json", "deep/a/zarr.json"],
    )
    assert {*order[3:5]} == {"deep/a/c/0", "b/c/0"}
    assert order[5:] == ["zarr.json"]


def test_of_the_top_attributes_come_first_and_what_is_consolidated_last():
    order = order_of(FORMAT_2)
    assert order[0] == "deep/.zgroup"
    assert {*order[1:3]} == {"deep/a/.zarray", "deep/a/.zattrs"}
    assert order[3:] == ["deep/a/0", ".zattrs", ".zgroup", ".zmetadata"]


def test_an_array_by_itself():
    array = {"zarr.json": document("array"), "c/0": b"chunk"}
    assert order_of(array) == ["zarr.json", "c/0"]
    assert order_of({"0": b"chunk", ".zarray": b"{}", ".zattrs": b"{}"}) == [
        "0",
        ".zattrs",
        ".zarray",
    ]
    malformed = {"zarr.json": b'{"node_type":', "c/0": b"chunk"}
    assert order_of(malformed) == ["c/0", "zarr.json"]


def test_several_tops_without_one_above():
    values = {f"x/{key}": value for key, value in FORMAT_2.items()}
    values |= {f"y/z/{key}": value for key, value in FORMAT_3.items()}
    order = order_of(values)
    assert {*order[-4:]} == {"x/.zgroup", "x/.zattrs", "x/.zmetadata", "y/z/zarr.json"}


def test_with_many_workers_too():
    values = {f"b/c/{number}": b"%d" % number for number in range(200)} | FORMAT_3
    target = Watched()
    ipldstore.copy(values, target, workers=8)
    place = {key: number for number, key in enumerate(target.order)}
    assert place["zarr.json"] == len(values) - 1
    assert all(place["b/zarr.json"] < place[key] for key in values if key.startswith("b/c/"))


def real_group(store, zarr_format):
    options = {} if ON_ZARR_2 else {"zarr_format": zarr_format}
    group = zarr.open_group(store, mode="w", **options).create_group("deep")
    create = group.create_dataset if ON_ZARR_2 else group.create_array
    create("a", shape=(4,), chunks=(1,), dtype="i4")[:] = np.arange(4)


@pytest.mark.parametrize("zarr_format", [2] if ON_ZARR_2 else [2, 3])
def test_what_was_stopped_anywhere_cannot_be_opened_at_the_top(zarr_format):
    store = IPLDStore()
    real_group(store, zarr_format)
    missing = (KeyError, FileNotFoundError, ValueError)
    for most in range(len(store)):
        target = Watched(most)
        with pytest.raises(BackendError, match="the line went dead"):
            ipldstore.copy(store, target, workers=1)
        assert len(target) == most
        with pytest.raises(missing):
            zarr.open(opened(target), mode="r")
        target.most = None
        copied = ipldstore.copy(store, target)
        assert (copied.blocks, copied.skipped) == (len(store) - most, most)
        assert zarr.open(opened(target), mode="r")["deep/a"][:].tolist() == [0, 1, 2, 3]


def opened(values):
    """Return a store of zarr's own with the values."""
    if ON_ZARR_2:
        return dict(values)
    from zarr.core.buffer import cpu

    return zarr.storage.MemoryStore(
        {key: cpu.Buffer.from_bytes(value) for key, value in values.items()}
    )


KILLED = """
import os, sys
import ipldstore
def progress(values, size):
    if values >= 100:
        os.kill(os.getpid(), 9)
ipldstore.copy(sys.argv[1], sys.argv[2], progress=progress)
"""


def test_a_folder_into_which_a_killed_process_copied(tmp_path):
    real = zarr.open_group(str(tmp_path / "source"), mode="w")
    create = real.create_dataset if ON_ZARR_2 else real.create_array
    create("a", shape=(500,), chunks=(1,), dtype="i4")[:] = np.arange(500)
    source, target = str(tmp_path / "source"), str(tmp_path / "target")
    run = subprocess.run([sys.executable, "-c", KILLED, source, target], check=False)
    assert run.returncode == -signal.SIGKILL
    assert (tmp_path / "target" / "a").is_dir()
    with pytest.raises((KeyError, FileNotFoundError, ValueError)):
        zarr.open(target, mode="r")
    assert ipldstore.copy(source, target).skipped >= 100
    assert zarr.open(target, mode="r")["a"][:].tolist() == list(range(500))


@only_zarr_3
@pytest.mark.parametrize("path", ["", "deep", "deep/a"])
def test_icechunk_there_and_back(path):
    icechunk = pytest.importorskip("icechunk")
    source = zarr.storage.MemoryStore()
    real_group(source, 3)
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repository.writable_session("main")
    copied = ipldstore.copy(zarr.storage.StorePath(source, path), session.store)
    assert copied.skipped == 0
    session.commit("copied")
    store = IPLDStore()
    assert ipldstore.copy(repository.readonly_session("main").store, store).blocks == copied.blocks
    rest = "deep/a".removeprefix(path).strip("/")
    array = zarr.open(store, mode="r", path=rest)
    assert array[:].tolist() == [0, 1, 2, 3]


@only_zarr_3
def test_icechunk_names_what_it_refuses():
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    store = repository.writable_session("main").store
    with pytest.raises(BackendError, match=r"'notes\.txt' of IcechunkStore"):
        ipldstore.copy({"notes.txt": b"hello"}, store)
