"""The outline of a hierarchy: what zarr says of it, metadata of others, and its bounds."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import zarr
from shown_hierarchies import ARRAY, IS_ZARR3, Counting, small

from ipldstore import (
    BlockNotFoundError,
    InvalidNodeError,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
    info,
)
from ipldstore.model import outline as outline_module
from ipldstore.model import values as values_module
from ipldstore.model.outline import Outline
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.outline import outline

needs_zarr3 = pytest.mark.skipif(not IS_ZARR3, reason="zarr format 3 needs zarr-python 3")


def by_path(found):
    return {node.path: node for node in found.walk()}


def shape(found):
    return found.kind, found.shape, found.dtype, found.chunk_shape, found.chunks_possible


def test_a_small_hierarchy():
    found = outline(small())
    assert [(node.path, node.kind) for node in found.walk()] == [
        ("", "group"),
        ("model", "group"),
        ("model/none", "array"),
        ("model/one", "array"),
        ("model/u", "array"),
        ("t", "array"),
    ]
    nodes = by_path(found)
    assert shape(nodes["t"]) == ("array", (3, 4), "float64", (2, 4), 2)
    assert shape(nodes["model/one"]) == ("array", (), "uint8", (), 1)
    assert shape(nodes["model/none"]) == ("array", (0, 3), "float64", (1, 1), 0)
    assert nodes["model/none"].chunks_present == 0
    assert found.attributes == {"title": "a title"}


@pytest.mark.parametrize("path", ["t", "model/u", "model/one"])
def test_what_zarr_says(path):
    store = small()
    del store["t/0.0"]
    array = zarr.open_array(store, path=path, mode="r")
    found = by_path(outline(store))[path]
    assert found.shape == array.shape
    assert found.chunk_shape == array.chunks
    assert found.dtype == str(array.dtype)
    if IS_ZARR3 or array.shape:  # zarr-python 2 counts two chunks in a scalar
        assert found.chunks_present == array.nchunks_initialized
    assert found.chunks_possible == array.nchunks
    assert found.stored_bytes == sum(
        len(value)
        for key, value in store.items()
        if key.startswith(f"{path}/") and not key.rpartition("/")[2].startswith(".z")
    )


@needs_zarr3
@pytest.mark.parametrize("separator", ["/", "."])
def test_shards_as_zarr_counts_them(separator):
    store = IPLDStore()
    encoding = {"name": "default", "separator": separator}
    array = zarr.create_array(
        store, name="g/a", shape=(20, 30), chunks=(2, 5), shards=(4, 10), dtype="i4",
        dimension_names=["y", None], chunk_key_encoding=encoding,
    )  # fmt: skip
    array[:4, :11] = 1
    found = by_path(outline(store))["g/a"]
    assert (found.zarr_format, found.dimensions) == (3, ("y", None))
    assert (found.shape, found.chunk_shape, found.shard_shape) == (
        array.shape,
        array.chunks,
        array.shards,
    )
    assert found.chunks_possible == 5 * 3
    shards = [key for key in store if key.startswith(f"g/a/c{separator}")]
    assert found.chunks_present == len(shards) == 2


@needs_zarr3
def test_a_scalar_of_format_3():
    store = IPLDStore()
    zarr.create_array(store, name="a", shape=(), dtype="f4")[...] = 3
    found = by_path(outline(store))["a"]
    assert (found.chunks_present, found.chunks_possible) == (1, 1)


@pytest.mark.parametrize(
    "dtype",
    ["<f8", ">f8", "|b1", "|u1", "<i2", "<c16", "<M8[ns]", "<m8[25s]", ">M8[D]", "<U5", "|S3",
     "|O", "|V7", "<f2"],
)  # fmt: skip
def test_types_are_named_as_numpy_names_them(dtype):
    store = Hierarchy()
    document = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": np.dtype(dtype).str}
    store[".zarray"] = json.dumps(document).encode()
    assert outline(store).dtype == str(np.dtype(dtype))


def test_frozen_or_not():
    store = small()
    before = outline(store)
    root = store.freeze()
    frozen = outline(store)
    assert before.cid is None
    assert frozen.cid == str(root)
    blank = [{**node.as_dict(), "cid": None, "children": None} for node in before.walk()]
    assert blank == [{**node.as_dict(), "cid": None, "children": None} for node in frozen.walk()]
    assert outline(Hierarchy(store.backend, root=root)).as_dict() == frozen.as_dict()


def test_changes_that_are_not_frozen_count():
    store = small()
    store.freeze()
    del store["t/0.0"]
    assert by_path(outline(store))["t"].chunks_present == 1
    assert store.root_cid is None


def test_cids_of_directories_in_blocks_of_their_own():
    store = Hierarchy()
    store["a/.zarray"] = ARRAY % (b"1000", b"1")
    for i in range(500):
        store[f"a/{i}"] = b"%d" % i
    store["b/.zgroup"] = b"{}"
    store.freeze()
    nodes = by_path(outline(store))
    assert nodes["a"].cid in store.backend.mapping
    assert nodes["b"].cid is None


def test_it_is_json():
    store = small()
    store["model/t2/.zarray"] = b'{"shape": [1e400], "dtype": NaN}'
    data = outline(store).as_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["children"][0]["children"][-1]["chunk_shape"] == [2, 5, 3]
    assert "attributes" not in data


def test_the_counts_are_those_of_info():
    store = small()
    arrays = {n.path: (n.chunks_present, n.stored_bytes) for n in outline(store).walk()
              if n.kind == "array"}  # fmt: skip
    assert arrays == {
        path: (found.chunks, found.stored_bytes) for path, found in info(store).arrays.items()
    }
    assert sum(size for _, size in arrays.values()) == outline(store).stored_bytes


def test_chunks_outside_of_the_grid_do_not_count():
    store = Hierarchy()
    store["a/.zarray"] = ARRAY % (b"4", b"2")
    for name in ("0", "1", "2", "01", "0.0", "notes", "x/0"):
        store[f"a/{name}"] = b"12"
    found = by_path(outline(store))["a"]
    assert (found.chunks_present, found.chunks_possible, found.stored_bytes) == (2, 2, 14)


def v2(**changes):
    document = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<f8"}
    return json.dumps({**document, **changes}).encode()


def v3(**changes):
    grid = {"name": "regular", "configuration": {"chunk_shape": [2]}}
    encoding = {"name": "default", "configuration": {"separator": "/"}}
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int8",
        "chunk_grid": grid, "chunk_key_encoding": encoding, "codecs": [{"name": "bytes"}],
    }  # fmt: skip
    return json.dumps({**document, **changes}).encode()


SHARDING = {"name": "sharding_indexed", "configuration": {"chunk_shape": [0]}}
HUGE = [2**63] * 64


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        (".zarray", v2(), ("array", (4,), "float64", (2,), 2)),
        (".zarray", b"{}", ("array", None, None, None, None)),
        (".zarray", b"[1]", ("array", None, None, None, None)),
        (".zarray", b"\xff", ("array", None, None, None, None)),
        (".zarray", b"[" * 100_000, ("array", None, None, None, None)),
        (".zarray", v2(shape="4"), ("array", None, "float64", None, None)),
        (".zarray", v2(shape=[-1]), ("array", None, "float64", None, None)),
        (".zarray", v2(shape=[True]), ("array", None, "float64", None, None)),
        (".zarray", v2(shape=[4.0]), ("array", None, "float64", None, None)),
        (".zarray", v2(shape=[1] * 65, chunks=[1] * 65), ("array", None, "float64", None, None)),
        (".zarray", v2(chunks=[0]), ("array", (4,), "float64", None, None)),
        (".zarray", v2(chunks=[2, 2]), ("array", (4,), "float64", None, None)),
        (".zarray", v2(chunks=None), ("array", (4,), "float64", None, None)),
        (".zarray", v2(shape=HUGE, chunks=[1] * 64),
         ("array", tuple(HUGE), "float64", (1,) * 64, 2**4032)),
        (".zarray", v2(dtype=[["a", "<f8"]]), ("array", (4,), "structured", (2,), 2)),
        (".zarray", v2(dtype=8), ("array", (4,), None, (2,), 2)),
        ("zarr.json", v3(), ("array", (4,), "int8", (2,), 2)),
        ("zarr.json", v3(node_type="planet"), ("directory", None, None, None, None)),
        ("zarr.json", b'{"node_type": ["array"]}', ("directory", None, None, None, None)),
        ("zarr.json", b"", ("directory", None, None, None, None)),
        ("zarr.json", v3(chunk_grid=[]), ("array", (4,), "int8", None, None)),
        ("zarr.json", v3(chunk_grid={"name": "regular", "configuration": 1}),
         ("array", (4,), "int8", None, None)),
        ("zarr.json", v3(chunk_grid={"name": "rectilinear"}), ("array", (4,), "int8", None, None)),
        ("zarr.json", v3(codecs={"bytes": 1}), ("array", (4,), "int8", (2,), 2)),
        ("zarr.json", v3(codecs=[3, None, SHARDING]), ("array", (4,), "int8", None, 2)),
        ("zarr.json", v3(data_type={"name": "struct"}), ("array", (4,), "struct", (2,), 2)),
        ("zarr.json", v3(attributes=[1], dimension_names="x"), ("array", (4,), "int8", (2,), 2)),
        (".zgroup", b"not JSON", ("group", None, None, None, None)),
    ],
)  # fmt: skip
def test_metadata_of_others(name, document, expected):
    store = Hierarchy()
    store[f"a/{name}"] = document
    store["a/0"] = store["a/c/1"] = b"chunk"
    for _ in range(2):
        found = by_path(outline(store))["a"]
        assert shape(found) == expected
        assert outline(store).as_dict()["children"][0]["name"] == "a"
        store.freeze()


@pytest.mark.parametrize("size", [(1 << 20) + 5, (16 << 20) + 5])
def test_long_documents(size):
    """One over 1 MiB is a file of several blocks; one over 16 MiB is not read."""
    store = Hierarchy(Counting())
    store["a/zarr.json"] = v3(attributes={"text": "x" * size})
    store.freeze()
    assert outline(store).children[0].kind == ("array" if size < 2 << 20 else "directory")
    assert store.backend.values <= 2


def test_values_are_not_loaded():
    store = small(Counting())
    store["t/0.0"] = bytes(3 << 20)
    store.freeze()
    store.backend.values = 0
    found = outline(store)
    assert store.backend.values == 0
    assert by_path(found)["t"].stored_bytes > 3 << 20


def paged(backend):
    """A group `b/c` beside an array of some pages."""
    store = Hierarchy(backend)
    store["a/.zarray"] = ARRAY % (b"40000", b"1")
    for i in range(40_000):
        store[f"a/{i}"] = b"same"
    for i in range(20):
        store[f"b/c{i}/.zattrs"] = json.dumps({"text": "x" * 9000}).encode()
        store[f"b/c{i}/.zgroup"] = b"{}"
    store.freeze()
    return store


def test_a_bound():
    store = paged(Counting(inline_limit=0))
    backend = store.backend
    whole = outline(store)
    assert by_path(whole)["a"].chunks_present == 40_000
    assert by_path(whole)["a"].stored_bytes == 4 * 40_000
    for bound in (0, 1, 5, 24):
        backend.nodes = backend.sizes = 0
        found = outline(store, max_nodes=bound)
        assert backend.nodes <= bound + 1
        assert backend.sizes <= bound
        array = next(node for node in found.walk() if node.path == "a")
        assert array.chunks_present is None
        assert array.is_loaded == (bound > 0)
    assert all(node.is_loaded for node in found.walk()), "groups come before chunks"


def test_a_bound_leaves_what_is_known():
    store = small(Counting(inline_limit=1))
    store.freeze()
    assert outline(store, max_nodes=0).as_dict() != outline(store).as_dict()
    assert outline(store, max_nodes=1).as_dict() == outline(store).as_dict()


def test_a_missing_block():
    store = paged(MappingCAStore({}))
    nodes = [cid for cid in store.backend.mapping if cid.startswith("bafyrei")]
    nodes.remove(str(store.root_cid))
    del store.backend.mapping[nodes[-1]]
    with pytest.raises(BlockNotFoundError):
        outline(store)


def test_nested_too_deep():
    backend = MappingCAStore({})
    cid = backend.put({"x": backend.put(b"1")})
    for _ in range(300):
        cid = backend.put({"x": cid})
    with pytest.raises(InvalidNodeError, match="128 levels"):
        outline(Hierarchy(backend, root=cid))


@pytest.mark.parametrize("metadata", [{}, {".zarray": {}}])
def test_blocks_that_stand_for_very_many(monkeypatch, metadata):
    backend = MappingCAStore({})
    cid = backend.put({"x": backend.put(b"1")})
    for _ in range(40):
        cid = backend.put({"0": cid, "1": cid})
    cid = backend.put({"0": cid, **metadata})
    monkeypatch.setattr(outline_module, "MAX_OUTLINE_BYTES", 10_000_000)
    monkeypatch.setattr(values_module, "MAX_HELD_KEYS", 10_000)
    with pytest.raises(LimitExceededError):
        outline(Hierarchy(backend, root=cid))


def test_the_groups_of_very_many_take_bounded_memory(monkeypatch):
    backend = MappingCAStore({})
    cid = backend.put({".zgroup": {}})
    for _ in range(40):
        cid = backend.put({"0" * 500: cid, "1" * 500: cid})
    monkeypatch.setattr(outline_module, "MAX_OUTLINE_BYTES", 1_000_000)
    with pytest.raises(LimitExceededError, match=r"more than 1\.0 MB"):
        outline(Hierarchy(backend, root=cid), max_nodes=1_000_000)


def test_attributes_are_cut():
    store = Hierarchy()
    many = {f"n{i}": i for i in range(100)}
    store[".zattrs"] = json.dumps({"l": "x" * 10**5, "d": [[[]]], **many}).encode()
    store[".zgroup"] = b"{}"
    found = outline(store).attributes
    assert len(found) == outline_module.MAX_ATTRIBUTES
    assert max(map(len, found.values())) <= outline_module.MAX_TEXT_LENGTH
    assert found["d"] == "[[[]]]"
    assert found["l"].endswith("x…")


def test_neither_zarr_nor_numpy_is_imported():
    code = (
        "import sys, ipldstore.model.outline, ipldstore.views.treelines, ipldstore.views.html;"
        "print({'zarr', 'numpy', 'matplotlib', 'xarray'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_possible_chunks_are_those_of_the_grid():
    store = Hierarchy()
    store[".zarray"] = v2(shape=[7, 9], chunks=[3, 4])
    assert outline(store).chunks_possible == math.ceil(7 / 3) * math.ceil(9 / 4)
    assert isinstance(outline(store), Outline)
