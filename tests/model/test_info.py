"""Figures of a root: blocks, bytes, what is shared, and what each array holds."""

import json

import dag_cbor
import numpy as np
import pytest
import zarr
from multiformats import CID, multihash

from ipldstore import (
    BlockNotFoundError,
    BlockStoreURLError,
    InvalidNodeError,
    IPLDStore,
    MappingCAStore,
    info,
    verify,
)
from ipldstore.inventory import ArrayInfo

FILE = bytes(range(256)) * 4096 * 3


class Counting(MappingCAStore):
    loads = 0

    def get_raw(self, cid):
        self.loads += 1
        return super().get_raw(cid)


class Sizeless(MappingCAStore):
    """A block store that knows no sizes."""

    def size_of(self, cid):
        return None


def example(backend=None):
    store = IPLDStore(backend)
    store["v2/.zarray"] = b'{"zarr_format": 2}'
    for i in range(300):
        store[f"v2/0.{i}"] = b"%03d" % (i % 100)
    store["group/zarr.json"] = b'{"node_type": "group"}'
    store["group/v3/zarr.json"] = b'{"node_type": "array"}'
    for i in range(4):
        store[f"group/v3/c/{i}/0"] = b"%03d!" % i
    store["group/empty/zarr.json"] = b'{"node_type": "array"}'
    store["notes.txt"] = b"no chunk"
    store.freeze()
    return store


def test_by_hand():
    """One node for each directory over 8 KiB (the root and v2), and 100 + 4 + 1 values."""
    found = info(example())
    assert (found.blocks, found.node_blocks) == (107, 2)
    assert found.bytes - found.node_bytes == 100 * 3 + 4 * 4 + 8
    assert found.shared_bytes == 200 * 3
    assert found.arrays == {
        "v2": ArrayInfo(300, 900),
        "group/v3": ArrayInfo(4, 16),
        "group/empty": ArrayInfo(0, 0),
    }


@pytest.mark.parametrize("kind", ["store", "cid", "text"])
def test_from_a_store_or_a_root(kind):
    store = example()
    found = info(store)
    assert found.root == str(store.root_cid)
    if kind != "store":
        root = store.root_cid if kind == "cid" else str(store.root_cid)
        assert info(root, store.backend) == found


def test_the_blocks_are_those_of_the_backend():
    store = example()
    assert info(store).blocks == len(store.backend.mapping)
    assert info(store).bytes == sum(map(len, store.backend.mapping.values()))


def test_values_are_not_read_where_sizes_are_known():
    store = example(Counting())
    store["file"] = FILE
    root = store.freeze()
    store.backend.loads = 0
    found = info(root, store.backend)
    # the directories once for the blocks, once to count the keys, once for the arrays; the inner
    # block of the file for the blocks and for its size
    assert store.backend.loads <= 3 * found.node_blocks == 9


def test_without_sizes():
    store = example()
    assert info(store.root_cid, Sizeless(store.backend.mapping)) == info(store)


def test_a_large_value():
    store = IPLDStore()
    store["a/.zarray"] = b"{}"
    store["a/0"] = FILE
    found = info(store)
    # the root, the inner block of the file, and three equal leaves that are one
    assert (found.blocks, found.node_blocks) == (3, 2)
    assert found.shared_bytes == 2 << 20
    assert found.arrays == {"a": ArrayInfo(1, 3 << 20)}


def test_equal_directories_are_shared():
    store = IPLDStore()
    for name in ("a", "b"):
        for i in range(300):
            store[f"{name}/{i}"] = b"%d" % i
    found = info(store)
    assert (found.blocks, found.node_blocks) == (302, 2)
    root = store.backend.mapping[str(store.root_cid)]
    # equal values under one shared directory are referenced once
    assert found.shared_bytes == found.node_bytes - len(root)


def test_links_in_an_identity_cid_count():
    backend = MappingCAStore()
    leaf = backend.put(b"hello")
    data = dag_cbor.encode({"0": leaf})
    inline = CID("base32", 1, "dag-cbor", multihash.digest(data, "identity"))
    root = backend.put({"a": inline, "b": inline})
    found = info(root, backend)
    assert (found.blocks, found.node_blocks, found.shared_bytes) == (2, 1, 5)


def test_the_empty_hierarchy():
    found = info(IPLDStore())
    assert found.root == "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
    assert (found.blocks, found.bytes, found.shared_bytes, found.arrays) == (1, 1, 0, {})


def test_unfrozen_changes_count():
    store = example()
    store["v2/1.0"] = b"more"
    assert info(store).arrays["v2"] == ArrayInfo(301, 904)


def test_chunks_in_folders_and_an_array_as_the_root():
    store = IPLDStore()
    store[".zarray"] = b'{"dimension_separator": "/"}'
    store["0/0/0"] = store["0/1/0"] = b"12345"
    assert info(store).arrays == {"": ArrayInfo(2, 10)}


@pytest.mark.parametrize("text", [b"not json", b"[]", b'{"node_type": "group"}', b"{}", b"\xff"])
def test_what_is_no_array(text):
    store = IPLDStore()
    store["a/zarr.json"] = text
    store["a/c/0"] = b"1"
    assert info(store).arrays == {}


def test_metadata_that_is_no_ipld_data():
    store = IPLDStore()
    store["a/zarr.json"] = b'{"node_type": "array", "fill_value": NaN}'
    store["a/c/0"] = b"1"
    assert info(store).arrays == {"a": ArrayInfo(1, 1)}


def test_how_many_chunks_there_can_be():
    """Sides of 5 and 3 in chunks of 2 make 3 times 2; of a shard of 4 and 4, 2 times 1."""
    store = IPLDStore()
    grid = {"name": "regular", "configuration": {"chunk_shape": [2, 2]}}
    base = {"zarr_format": 3, "node_type": "array", "shape": [5, 3], "chunk_grid": grid}
    sharded = {"name": "regular", "configuration": {"chunk_shape": [4, 4]}}
    codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 2]}}]
    uneven = {"kind": "inline", "chunk_shapes": [[1, 1, 3], [3]]}
    documents = {
        "plain": base,
        "sharded": base | {"chunk_grid": sharded, "codecs": codecs},
        "uneven": base | {"chunk_grid": {"name": "rectilinear", "configuration": uneven}},
        "scalar": base | {"shape": [], "chunk_grid": grid | {"configuration": {"chunk_shape": []}}},
        "vast": base | {"shape": [10**12, 10**12]},
        "none": base | {"shape": [0, 3]},
        "malformed": base | {"shape": [5, -3]},
        "other": base | {"chunk_grid": {"name": "spiral"}},
    }
    for name, document in documents.items():
        store[f"{name}/zarr.json"] = json.dumps(document).encode()
    store["plain/c/0/0"] = b"chunk"
    expected = {"plain": 6, "sharded": 2, "uneven": 3, "scalar": 1, "none": 0}
    expected |= {"vast": 25 * 10**22, "malformed": None, "other": None}
    found = info(store).arrays
    assert {path: array.chunks_possible for path, array in found.items()} == expected
    assert {path for path, array in found.items() if array.chunks} == {"plain"}
    counts = verify(store).arrays
    assert {path: array.chunks_possible for path, array in counts.items()} == expected
    assert {path for path, array in counts.items() if array.chunks} == {"plain"}


def test_missing_blocks():
    store = example()
    del store.backend.mapping[str(CID("base32", 1, "raw", multihash.digest(b"007", "sha2-256")))]
    with pytest.raises(BlockNotFoundError):
        info(store.root_cid, store.backend)


def test_a_root_that_is_no_hierarchy():
    backend = MappingCAStore()
    with pytest.raises(InvalidNodeError):
        info(backend.put(["no", "directory"]), backend)
    with pytest.raises(InvalidNodeError):
        info(backend.put(b"hello"), backend)


def test_a_root_without_a_backend():
    with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
        info("bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_as_zarr_counts_them(zarr_format):
    if zarr_format == 3 and zarr.__version__.startswith("2."):
        pytest.skip("zarr-python 2 does not write zarr format 3")
    options = {} if zarr.__version__.startswith("2.") else {"zarr_format": zarr_format}
    store = IPLDStore()
    made = {}
    for path, shape in {"one": (100,), "deep/two": (30, 40)}.items():
        chunks = (10,) * len(shape)
        array = zarr.open_array(
            store, mode="w", path=path, shape=shape, chunks=chunks, dtype="i8", **options
        )
        array[...] = np.random.default_rng(0).integers(1, 9, shape)
        made[path] = array.nchunks_initialized
    found = info(store).arrays
    assert made == {"one": 10, "deep/two": 12}
    assert {path: array.chunks for path, array in found.items()} == made
    for path, array in found.items():
        values = [value for key, value in store.items() if key.startswith(f"{path}/")]
        metadata = sum(len(value) for value in values if value.startswith(b"{"))
        assert array.stored_bytes == sum(map(len, values)) - metadata
