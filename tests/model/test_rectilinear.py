"""Rectilinear chunk grids, whose chunks have different lengths along a dimension."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import zarr
from jsonschema import Draft202012Validator

from ipldstore import IPLDStore, check_compression, info
from ipldstore.errors import LimitExceededError
from ipldstore.limits import MAX_OUTLINE_BYTES
from ipldstore.model import outline as outline_module
from ipldstore.model.cells import count_cells, read_cells, shape_at
from ipldstore.model.sizes import measure_arrays
from ipldstore.store.outline import outline
from ipldstore.views.html import to_html
from ipldstore.views.picture import find_changes
from ipldstore.views.treelines import iter_tree_lines
from ipldstore.views.words import TIMES

try:
    from zarr.core.metadata.v3 import RectilinearChunkGridMetadata
except ImportError:
    RectilinearChunkGridMetadata = None

writes_them = pytest.mark.skipif(
    RectilinearChunkGridMetadata is None, reason="came with zarr-python 3.2"
)


def document(shape, sides, **grid):
    configuration = {"kind": "inline", "chunk_shapes": sides} | grid
    return json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "int16",
            "chunk_grid": {"name": "rectilinear", "configuration": configuration},
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        }
    ).encode()


def store_of(shape, sides, **options):
    store = IPLDStore()
    store["a/zarr.json"] = document(shape, sides, **options)
    return store


def array_of(store):
    (array,) = outline(store).children
    return array


CASES = [
    # shape, sides as in the document, chunks along each dimension, as it is shown
    ([60], [[10, 20, 30]], [3], "(10+20+30)"),
    ([60, 7], [[10, 20, 30], 3], [3, 3], "(10+20+30)x3"),
    ([60, 7], [[10, [20, 2], 30], [[3, 1], 4]], [4, 2], "(10+20+20+30)x(3+4)"),
    ([365], [[31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]], [12], "(31+28+...+31)"),
    ([10**12], [[[10**6, 10**6]]], [10**6], "(1000000+1000000+...+1000000)"),
    ([25], [[10, 20, 30]], [2], "(10+20+30)"),
    ([30], [[10, 20, 30]], [2], "(10+20+30)"),
    ([31], [[10, 20, 30]], [3], "(10+20+30)"),
    ([0], [[10, 20]], [0], "(10+20)"),
    ([5, 5], [5, 2], [1, 3], "5x2"),
    ([5], [[5]], [1], "5"),
    ([5], [[[5, 1]]], [1], "5"),
    ([], [], [], "scalar"),
]


@pytest.mark.parametrize(("shape", "sides", "grid", "shown"), CASES)
def test_chunks_are_counted_along_each_dimension(shape, sides, grid, shown):
    store = store_of(shape, sides)
    store["a/c/" + "/".join("0" * len(shape)) if shape else "a/c"] = b"first"
    store["a/c/" + "/".join(str(count) for count in grid) if shape else "a/x"] = b"beyond"
    array = array_of(store)
    assert array.chunks_possible == math.prod(grid)
    assert array.chunks_present == (0 not in grid)
    line = list(iter_tree_lines(outline(store), width=200, ascii_only=True))[-1]
    assert f" {shown} " in line
    count = f"{array.chunks_present}/{math.prod(grid)}"
    assert f" {count} " in line
    assert f"<dd>{shown}</dd>".replace("x", TIMES) in to_html(store)
    assert info(store).arrays["a"].chunks == array.chunks_present


@writes_them
@pytest.mark.parametrize(("shape", "sides", "grid", "shown"), CASES)
def test_zarr_reads_the_same(shape, sides, grid, shown):
    store = store_of(shape, sides)
    configuration = {"kind": "inline", "chunk_shapes": sides}
    theirs = RectilinearChunkGridMetadata.from_dict(
        {"name": "rectilinear", "configuration": configuration}
    )
    expanded = [
        side if isinstance(side, int) else tuple(n for n, count in side for _ in range(count))
        for side in array_of(store).chunk_shape
    ]
    assert expanded == list(theirs.chunk_shapes)
    with zarr.config.set({"array.rectilinear_chunks": True}):
        opened = zarr.open_array(store, path="a", mode="r")
        assert [len(sizes) for sizes in opened.write_chunk_sizes] == grid


@writes_them
@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("rows", [64, 60, 40, 39])
def test_an_array_that_zarr_wrote(shards, rows):
    data = np.arange(64 * 8, dtype="i4").reshape(64, 8)
    sides = [[8, 16, 16, 24], [2, 6]]
    options = {"chunks": (4, 2), "shards": sides} if shards else {"chunks": sides}
    store = IPLDStore()
    with zarr.config.set({"array.rectilinear_chunks": True}):
        array = zarr.create_array(store, name="a", shape=data.shape, dtype="i4", **options)
        array[:24] = data[:24]
        array.resize((rows, 8))
        again = zarr.open_array(IPLDStore(store.backend, root=store.freeze()), path="a", mode="r")
        np.testing.assert_array_equal(again[:24], data[:24])
        grid = [len(sizes) for sizes in again.write_chunk_sizes]
    found = array_of(store)
    assert found.chunks_possible == math.prod(grid)
    assert found.chunks_present == sum(1 for key in store if key.startswith("a/c/")) == 4
    lengths = ((8, 1), (16, 2), (24, 1)), ((2, 1), (6, 1))
    assert found.shard_shape == (lengths if shards else None)
    assert found.chunk_shape == ((4, 2) if shards else lengths)
    sizes = measure_arrays(store.reader.tree.top, store.backend.get_block)
    assert sizes == (math.prod(grid), rows * 8 * 4)


MALFORMED = [
    ([60], [[10, 20]], {}),
    ([60], [[]], {}),
    ([60], [[10, 50, 0]], {}),
    ([60], [[10, -1, 60]], {}),
    ([60], [[10, True, 60]], {}),
    ([60], [[10, 50.0]], {}),
    ([60], [["60"]], {}),
    ([60], [[[10, 0], 60]], {}),
    ([60], [[[10]]], {}),
    ([60], [[[10, 2, 3]]], {}),
    ([60], [[[[10, 6], 1]]], {}),
    ([60], [[None]], {}),
    ([60], [0], {}),
    ([60], [-1], {}),
    ([60], [True], {}),
    ([60], [{}], {}),
    ([60], [], {}),
    ([60], [60, 60], {}),
    ([60], 60, {}),
    ([60], None, {}),
    ([60], [60], {"kind": "other"}),
    ([60], [60], {"kind": None}),
    ("?", [60], {}),
]


@pytest.mark.parametrize(("shape", "sides", "grid"), MALFORMED)
def test_what_is_malformed_is_unknown(shape, sides, grid):
    store = store_of(shape, sides, **grid)
    store["a/c/0"] = b"chunk"
    array = array_of(store)
    assert array.kind == "array"
    assert array.chunk_shape is None
    assert array.chunks_possible is None
    assert " 1/? " in list(iter_tree_lines(outline(store), width=100))[-1]


def test_as_json():
    """As ``tree --json`` writes it, by the schema that is published for it."""
    schema = Path(__file__).parents[2] / "docs" / "reference" / "json" / "tree.json"
    validator = Draft202012Validator(json.loads(schema.read_text()))
    found = json.loads(json.dumps(outline(store_of([80, 7], [[10, [20, 2], 30], 3])).as_dict()))
    validator.validate(found)
    (array,) = found["children"]
    assert array["chunk_shape"] == [[[10, 1], [20, 2], [30, 1]], 3]
    array["chunk_shape"][0][1] = [20]
    assert not validator.is_valid(found)


def test_the_shape_of_each_chunk():
    cells = read_cells({"kind": "inline", "chunk_shapes": [[10, [20, 2], 30], 3]}, (80, 7))
    shapes = [shape_at(cells, (index, 1)) for index in range(4)]
    assert shapes == [(10, 3), (20, 3), (20, 3), (30, 3)]
    assert [count_cells(size, cells[0]) for size in (0, 1, 10, 11, 30, 31, 50, 51, 80)] == [
        *(0, 1, 1, 2, 2, 3, 3, 4, 4)
    ]


def test_lengths_beyond_number_are_counted_at_once():
    store = store_of([10**15], [[[1, 10**15], [10**18, 10**18]]])
    assert array_of(store).chunks_possible == 10**15


def test_lists_of_lengths_count_towards_what_an_outline_may_take(monkeypatch):
    lengths = [1 + index % 2 for index in range(1000)]
    store = IPLDStore()
    for index in range(20):
        store[f"{index}/zarr.json"] = document([1500], [lengths])
    assert len(outline(store).children) == 20
    assert MAX_OUTLINE_BYTES > 20 * 1000 * 128
    monkeypatch.setattr(outline_module, "MAX_OUTLINE_BYTES", 1_000_000)
    with pytest.raises(LimitExceededError, match="in an outline"):
        outline(store)


def test_a_picture_of_what_changed():
    before, after = store_of([60, 7], [[10, 20, 30], 3]), store_of([60, 7], [[10, 20, 30], 3])
    after["a/c/2/0"] = b"new"
    after["a/c/3/0"] = b"beyond"
    (drawn,) = find_changes(before, after, None).arrays
    assert drawn.grid.grid == (3, 3)
    assert drawn.grid.totals()["added"] == 1
    assert drawn.note == ""
    after["a/zarr.json"] = document([60, 7], [[10, 10, 40], 3])
    (drawn,) = find_changes(before, after, None).arrays
    assert drawn.note == "other chunk shape than before"


@writes_them
def test_shards_of_different_lengths_are_tried():
    """How many entries a shard's index has depends on the shape of that shard."""
    from zarr.codecs import BloscCodec

    data = np.random.default_rng(0).integers(0, 9, (48, 64))
    store = IPLDStore()
    with zarr.config.set({"array.rectilinear_chunks": True}):
        array = zarr.create_array(
            store, name="a", shape=data.shape, dtype="i8", shards=[[16, 32], [64]], chunks=(16, 64),
            compressors=BloscCodec(cname="zstd"),
        )  # fmt: skip
        array[:] = data
    (checked,) = check_compression(store)
    assert checked.tried == 2
    assert checked.verdict in ("same", "differs")
