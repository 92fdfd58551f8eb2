"""Datasets on real nodes: written through one, read as other programs do, and through another."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import requests
import xarray as xr
import zarr

from ipldstore import IPFSStore, IPLDStore, get_ipfs_mapper
from ipldstore.unixfs.file import CHUNK_BYTES

iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")

MIB = 1 << 20
GOLDEN_ROOT = "bafyreidn66mk3fktszrfwayonvpq6y3agtnb5e5o22ivof5tgikbxt7k6u"
GOLDEN_VERSIONS = ("2.18.7", "2024.11.0")
CHUNK = np.array([1, 2, 3], "<i8").tobytes()
ARRAY = {
    "chunks": [3],
    "compressor": None,
    "dtype": "<i8",
    "fill_value": None,
    "filters": None,
    "order": "C",
    "shape": [3],
    "zarr_format": 2,
}
KEYS = {
    ".zattrs": {},
    ".zgroup": {"zarr_format": 2},
    "a/.zarray": ARRAY,
    "a/.zattrs": {"_ARRAY_DIMENSIONS": ["a"]},
}


def open_dataset(store):
    # xarray 2024.11 decodes to timedeltas by default, and fails at it with pandas 3
    return xr.open_zarr(store, consolidated=False, decode_timedelta=False)


def read_example(store, node):
    """Check the classic example, wherever it came from, as the node's own commands see it."""
    root = str(store.root_cid)
    shown = json.loads(node.run("dag", "get", root))
    assert shown[".zgroup"] == {"zarr_format": 2}
    assert shown["a"][".zarray"]["shape"] == [3]
    assert node.run("block", "get", shown["a"]["0"]["/"]) == CHUNK
    again = get_ipfs_mapper(node.url, root=root, read_only=True)
    assert open_dataset(again).a.values.tolist() == [1, 2, 3]
    again.backend.close()


def test_the_example_has_the_golden_root(node):
    if (version("zarr"), version("xarray")) != GOLDEN_VERSIONS:
        pytest.skip("other versions of zarr-python and xarray write other metadata")
    store = get_ipfs_mapper(node.url)
    dataset = xr.Dataset({"a": ("a", [1, 2, 3])})
    dataset.to_zarr(store, consolidated=False, encoding={"a": {"compressor": None}})
    assert str(store.freeze()) == GOLDEN_ROOT
    read_example(store, node)
    store.backend.close()


def test_the_example_key_by_key_has_the_golden_root(node, monkeypatch):
    monkeypatch.setenv("IPFS_API", node.api)
    store = get_ipfs_mapper()
    for key, document in KEYS.items():
        store[key] = json.dumps(document).encode()
    store["a/0"] = CHUNK
    assert str(store.freeze()) == GOLDEN_ROOT
    read_example(store, node)
    store.backend.close()


@pytest.fixture
def pair(start_node):
    one, other = start_node("one"), start_node("other")
    one.connect(other)
    return one, other


@pytest.mark.parametrize("name", ["A1B_north_america.nc", "SOI_Darwin.nc"])
def test_real_data_travels_to_another_node(pair, name):
    one, other = pair
    source = xr.open_dataset(
        Path(iris_sample_data.path) / name, engine="netcdf4", decode_timedelta=False
    )
    with IPFSStore(one.url) as here, IPFSStore(other.url) as there:
        store = IPLDStore(here)
        source.to_zarr(store, consolidated=False)
        root = store.freeze()
        assert not there.has(root)
        opened = open_dataset(IPLDStore(there, root=root, read_only=True))
        xr.testing.assert_identical(opened.load(), source.load())
        assert there.has(root)
    source.close()


def test_chunks_of_8_mib_travel_to_another_node(pair):
    one, other = pair
    data = np.random.default_rng(1).integers(0, 255, (4, 8 * MIB), np.uint8)
    with IPFSStore(one.url) as here, IPFSStore(other.url) as there:
        store = IPLDStore(here)
        array = zarr.open_array(store, mode="w", shape=data.shape, chunks=(1, 8 * MIB), dtype="u1")
        array[:] = data  # at random, so that no compressor makes less of it
        opened = zarr.open_array(IPLDStore(there, root=store.freeze(), read_only=True), mode="r")
        assert np.array_equal(opened[:], data)


def fill(store):
    store[".zgroup"] = b'{"zarr_format":2}'
    store["a/0"] = b"a chunk"
    store["a/1"] = bytes(range(251)) * 20_000
    store["a/2"] = b"\0" * (2 * CHUNK_BYTES)
    for i in range(300):
        store[f"b/{i}"] = b"%d" % i
    return store.freeze()


def test_the_nodes_archive_opens_elsewhere(node):
    with IPFSStore(node.url) as backend:
        store = IPLDStore(backend)
        root = fill(store)
        archive = node.run("dag", "export", "--progress=false", root)
        copy = IPLDStore.from_car(archive)
        assert copy.root_cid == root
        assert dict(copy) == dict(store)
        assert store.to_car() == archive


def test_our_archive_goes_into_a_node_and_is_whole_there(start_node, tmp_path):
    node = start_node(offline=True)
    store = IPLDStore()
    root = fill(store)
    store.to_car(tmp_path / "ours.car")
    node.run("dag", "import", tmp_path / "ours.car")
    blocks = store.backend.mapping
    stat = json.loads(node.run("dag", "stat", "--progress=false", "--enc=json", root))
    assert stat["UniqueBlocks"] == len(blocks)
    assert stat["TotalSize"] == sum(map(len, blocks.values()))
    verified = node.run("pin", "verify", "--verbose").decode().splitlines()
    assert f"{root} ok" in verified
    assert all(line.endswith(" ok") for line in verified)
    with IPFSStore(node.url, offline=True) as backend:
        assert dict(IPLDStore(backend, root=root)) == dict(store)


def test_large_values_have_the_cid_of_ipfs_add(node):
    with IPFSStore(node.url) as backend:
        store = IPLDStore(backend)
        root = fill(store)
        profile = ("--cid-version=1", "--raw-leaves", "--chunker=size-1048576")
        for key in ("a/0", "a/1", "a/2"):
            added = node.run("add", "-Q", *profile, "--max-file-links=1024", data=store[key])
            assert added.strip() == node.run("dag", "resolve", f"{root}/{key}")


def test_the_nodes_gateway_serves_a_chunk_by_its_path(node):
    with IPFSStore(node.url) as backend:
        store = IPLDStore(backend)
        root = fill(store)
        for key in ("a/0", "a/1", "a/2", "b/299"):
            answer = requests.get(f"{node.gateway}/ipfs/{root}/{key}", timeout=20)
            assert answer.status_code == 200
            assert answer.content == store[key]
