"""`ipldstore.copy` between block stores and plain Zarr stores of both zarr-python versions."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import xarray as xr
import zarr

import ipldstore
from ipldstore import (
    BackendError,
    BlockNotFoundError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
)

ON_ZARR_2 = version("zarr").startswith("2.")
VALUES = {
    ".zgroup": b'{"zarr_format":2}',
    "a/.zarray": b'{"shape":[3]}',
    "a/.zattrs": b"{}",
    "a/0": b"first",
    "a/1": b"",
    "a/2": bytes(range(256)) * 8192,
    "notes.txt": b"not of zarr",
}


def plain_stores(folder):
    """Return empty stores that are no `IPLDStore`."""
    stores = {"mapping": {}}
    if ON_ZARR_2:
        stores["directory"] = zarr.DirectoryStore(str(folder / "plain"))
        stores["memory"] = zarr.MemoryStore()
    else:
        stores["memory"] = zarr.storage.MemoryStore()
        stores["local"] = zarr.storage.LocalStore(folder / "plain")
    return stores


KINDS = sorted(plain_stores(Path()))


@pytest.fixture(params=KINDS)
def plain(request, tmp_path):
    return plain_stores(tmp_path)[request.param]


def content(plain):
    """Read a plain store past the code that is tested."""
    if not hasattr(plain, "list_prefix"):
        return {key: bytes(plain[key]) for key in plain}
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    async def read():
        prototype = default_buffer_prototype()
        return {key: (await plain.get(key, prototype)).to_bytes() async for key in plain.list()}

    return sync(read())


@pytest.fixture
def store():
    store = IPLDStore()
    store.update(VALUES)
    return store


def size(values):
    return sum(map(len, values.values()))


def test_to_plain_and_back(store, plain):
    first = ipldstore.copy(store, plain)
    assert first == (len(VALUES), size(VALUES), 0)
    assert content(plain) == VALUES
    back = IPLDStore()
    assert ipldstore.copy(plain, back) == first
    assert back.root_cid == store.freeze()


def test_again_moves_nothing(store, plain):
    ipldstore.copy(store, plain)
    assert ipldstore.copy(store, plain) == (0, 0, len(VALUES))
    back = IPLDStore()
    ipldstore.copy(plain, back)
    assert ipldstore.copy(plain, back) == (0, 0, len(VALUES))


def test_only_what_differs_is_moved(store, plain):
    ipldstore.copy(store, plain)
    store["a/0"] = b"other"
    store["a/3"] = b"new"
    assert ipldstore.copy(store, plain) == (2, 8, len(VALUES) - 1)
    assert content(plain) == dict(store)


def test_between_plain_stores(plain):
    assert ipldstore.copy(dict(VALUES), plain).blocks == len(VALUES)
    assert content(plain) == VALUES


def test_keys_that_only_the_target_has_stay(store, plain):
    ipldstore.copy({"z/0": b"mine"}, plain)
    ipldstore.copy(store, plain)
    assert content(plain) == {**VALUES, "z/0": b"mine"}


def test_blocks_into_another_store(store, tmp_path):
    target = IPLDStore(DirectoryCAStore(tmp_path))
    copied = ipldstore.copy(store, target)
    assert copied.blocks == len(store.backend.mapping)
    assert target.root_cid == store.root_cid
    assert dict(target) == VALUES
    assert ipldstore.copy(store, target) == (0, 0, copied.blocks)


def test_an_archive_notes_the_root(store, tmp_path):
    with ipldstore.CARStore(tmp_path / "x.car") as archive:
        ipldstore.copy(store, archive)
    with ipldstore.open(tmp_path / "x.car") as found:
        assert dict(found) == VALUES


def test_blocks_from_a_block_store_by_its_root(store, tmp_path, plain):
    root = store.freeze()
    target = DirectoryCAStore(tmp_path / "blocks")
    ipldstore.copy(store.backend, target, root=f"ipfs://{root}")
    assert dict(IPLDStore(target, root=root)) == VALUES
    ipldstore.copy(target, plain, root=root)
    assert content(plain) == VALUES


def test_a_plain_store_into_a_block_store(plain):
    ipldstore.copy(VALUES, plain)
    blocks = MappingCAStore()
    ipldstore.copy(plain, blocks)
    expected = IPLDStore()
    expected.update(VALUES)
    assert blocks.get_block(expected.freeze())


def test_a_dataset_of_xarray(tmp_path):
    iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")
    source = xr.open_dataset(
        Path(iris_sample_data.path) / "A1B_north_america.nc",
        engine="netcdf4",
        decode_timedelta=False,
    )
    folder = tmp_path / "zarr"
    source.to_zarr(folder, consolidated=False)
    plain = zarr.DirectoryStore(str(folder)) if ON_ZARR_2 else zarr.storage.LocalStore(folder)
    store = IPLDStore()
    ipldstore.copy(plain, store)
    opened = xr.open_zarr(store, consolidated=False, decode_timedelta=False)
    xr.testing.assert_identical(opened.load(), source.load())
    source.close()


def test_progress_counts_up_and_can_stop_it(store):
    seen = []

    def progress(values, size):
        seen.append((values, size))
        if values == 3:
            raise KeyboardInterrupt

    target = {}
    with pytest.raises(KeyboardInterrupt):
        ipldstore.copy(store, target, workers=1, progress=progress)
    assert [values for values, _ in seen] == [1, 2, 3]
    moved = len(target)
    assert 3 <= moved < len(VALUES)
    assert ipldstore.copy(store, target).skipped == moved
    assert target == VALUES


def test_a_missing_block_is_an_error_and_no_missing_value(store):
    root = store.freeze()
    blocks = store.backend.mapping
    blocks.pop(next(key for key, data in blocks.items() if data == b"first"))
    for target in ({}, IPLDStore(), MappingCAStore()):
        with pytest.raises(BlockNotFoundError):
            ipldstore.copy(store.backend, target, root=root)


def test_a_value_that_disappears_is_an_error():
    class Losing(dict):
        def get(self, key, default=None):
            return None

    with pytest.raises(BackendError, match="disappeared") as caught:
        ipldstore.copy(Losing(VALUES), {})
    assert caught.value.retryable


def test_a_target_that_only_reads():
    with pytest.raises(ReadOnlyStoreError):
        ipldstore.copy(VALUES, IPLDStore(read_only=True))


@pytest.mark.parametrize(
    ("source", "target", "root"),
    [
        (MappingCAStore(), {}, None),
        ({}, {}, "bafkqaaa"),
        (42, {}, None),
        ({}, 42, None),
    ],
)
def test_what_cannot_be_copied(source, target, root):
    with pytest.raises(TypeError):
        ipldstore.copy(source, target, root=root)


KILLED = """
import os, sys
import ipldstore
source, target, root = sys.argv[1:]
def progress(blocks, size):
    if blocks >= 5000:
        os.kill(os.getpid(), 9)
ipldstore.copy(
    ipldstore.DirectoryCAStore(source), ipldstore.DirectoryCAStore(target),
    root=root, progress=progress,
)
"""


def test_killed_half_way_no_block_is_moved_twice(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    store = IPLDStore(DirectoryCAStore(source))
    for i in range(10_000):
        store[f"a/{i}"] = b"%d" % i
    root = str(store.freeze())
    blocks = len(list(source.glob("??/*.data")))
    assert blocks > 10_000
    run = subprocess.run([sys.executable, "-c", KILLED, source, target, root], check=False)
    assert run.returncode == -9
    there = len(list(target.glob("??/*.data")))
    assert 5000 <= there < blocks
    copied = ipldstore.copy(DirectoryCAStore(source), DirectoryCAStore(target), root=root)
    assert (copied.blocks, copied.skipped) == (blocks - there, there)
    assert dict(IPLDStore(DirectoryCAStore(target), root=root)) == dict(store)
