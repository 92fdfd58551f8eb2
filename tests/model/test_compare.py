"""What changed between two hierarchies, as a report."""

from __future__ import annotations

import json
from pathlib import Path

import dag_cbor
import numpy as np
import pytest

import ipldstore
from ipldstore import (
    MISSING,
    Comparison,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
    NodeChange,
    Repository,
    RevisionError,
    compare,
)
from ipldstore import comparing as comparing_module
from ipldstore.store.hierarchy import Hierarchy

NONE = {"added": 0, "removed": 0, "changed": 0}


def v2(shape, chunks, **more):
    document = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<f4"}
    return json.dumps({**document, **more}).encode()


def v3(shape, chunks, **more):
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "v2"},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "fill_value": 0.0,
    }
    return json.dumps({**document, **more}).encode()


def made(**keys):
    """Make a hierarchy of keys in which dots are spelled by the caller."""
    store = Hierarchy()
    store.update(keys)
    return store


def test_chunks_metadata_and_attributes():
    old = made(**{"a/.zarray": v2([6, 4], [2, 2]), "a/.zattrs": b'{"x":1,"n":null,"gone":null}'})
    old.update({f"a/{i}.{j}": b"same" for i in range(3) for j in range(2)})
    new = made(**dict(old))
    new["a/.zarray"] = v2([8, 4], [2, 2], fill_value=1)
    new["a/.zattrs"] = b'{"x":2,"n":null,"new":null}'
    new.update({"a/3.0": b"new", "a/3.1": b"new", "a/0.1": b"other"})
    found = compare(old, new)
    (node,) = found.nodes
    assert node == NodeChange(
        "a",
        "changed",
        "array",
        {"shape": ([6, 4], [8, 4]), "fill_value": (MISSING, 1)},
        {"x": (1, 2), "gone": (None, MISSING), "new": (MISSING, None)},
        {"added": 2, "removed": 0, "changed": 1},
        (((0, 2), (2, 4)), ((6, 8), (0, 4))),
    )
    assert found.other == NONE
    assert found.as_dict()["nodes"][0]["attributes"] == {
        "x": {"old": 1, "new": 2},
        "gone": {"old": None},
        "new": {"new": None},
    }
    assert "elements [0:2, 2:4], [6:8, 0:4]" in str(found)
    assert "attribute new: none -> null" in str(found)
    back = compare(new, old).nodes[0]
    assert back.ranges == node.ranges
    assert back.fields["shape"] == ([8, 4], [6, 4])


def test_both_formats_in_common_words():
    old = made(**{"a/.zarray": v2([4], [2], fill_value=0.0, compressor=None, filters=None)})
    new = made(**{"a/zarr.json": v3([4], [2])})
    assert compare(old, new).nodes[0].fields == {
        "zarr_format": (2, 3),
        "codecs": ([], [{"name": "bytes", "configuration": {"endian": "little"}}]),
    }


def test_dimension_names_are_no_attribute():
    old = made(**{"a/.zarray": v2([4], [2]), "a/.zattrs": b'{"_ARRAY_DIMENSIONS":["x"]}'})
    new = made(**dict(old) | {"a/.zattrs": b'{"_ARRAY_DIMENSIONS":["y"]}'})
    (node,) = compare(old, new).nodes
    assert (node.fields, node.attributes) == ({"dimension_names": (["x"], ["y"])}, {})


def test_types_that_have_no_word_are_told_whole():
    parts = [[["x", "<f4"]], [["x", "<f8"]]]
    old, new = (made(**{"a/.zarray": v2([4], [2], dtype=part)}) for part in parts)
    assert compare(old, new).nodes[0].fields == {"dtype": tuple(parts)}


def test_added_and_removed_nodes_in_natural_order():
    new = made(**{"a10/.zarray": v2([4], [2]), "a9/.zgroup": b'{"zarr_format":2}', "a10/1": b"x"})
    found = compare(made(), new)
    assert [(node.path, node.kind, node.node) for node in found.nodes] == [
        ("a9", "added", "group"),
        ("a10", "added", "array"),
    ]
    assert found.nodes[1].fields["shape"] == (MISSING, [4])
    assert found.nodes[1].ranges == (((2, 4),),)
    gone = compare(new, made())
    assert [node.kind for node in gone.nodes] == ["removed", "removed"]
    assert gone.nodes[1].ranges == (((2, 4),),)


def test_other_chunks_than_before_have_no_ranges():
    old = made(**{"a/.zarray": v2([4, 4], [2, 2]), "a/0.0": b"x"})
    new = made(**{"a/.zarray": v2([4, 4], [2, 4]), "a/0.0": b"y"})
    (node,) = compare(old, new).nodes
    assert node.chunks == {"added": 0, "removed": 0, "changed": 1}
    assert (node.ranges, node.is_exact) == ((), True)


def test_keys_that_are_no_chunks_any_more_are_others():
    old = made(**{"a/.zarray": v2([4, 4], [2, 2]), "a/0.0": b"x"})
    new = made(**{"a/.zarray": v2([4], [2]), "a/1": b"x"})
    found = compare(old, new)
    assert found.nodes[0].chunks == {"added": 1, "removed": 0, "changed": 0}
    assert found.other == {"added": 0, "removed": 1, "changed": 0}


def test_a_grid_that_is_malformed_has_no_ranges():
    old = made(**{"a/.zarray": v2([4, 4], "?"), "a/0.0": b"x", "a/1.1": b"x"})
    assert compare(made(), old).nodes[0].ranges == ()
    assert compare(made(), old).nodes[0].chunks == {"added": 2, "removed": 0, "changed": 0}


def test_a_scalar():
    old = made(**{"a/.zarray": v2([], []), "a/0": b"x"})
    new = made(**dict(old) | {"a/0": b"y"})
    assert compare(old, new).nodes[0].ranges == ((),)


def test_other_keys():
    old = made(**{"notes": b"1", ".zmetadata": b'{"x":1}', "b/.zarray": b"{"})
    new = made(**{"notes": b"2", ".zmetadata": b'{"x":2}', "b/.zarray": b"["})
    new["more"] = b""
    found = compare(old, new)
    assert (found.nodes, found.other) == ((), {"added": 1, "removed": 0, "changed": 3})
    assert found
    assert "other keys: 1 added, 3 changed" in str(found)


def test_nothing_changed():
    store = made(**{"a/.zarray": v2([4], [2]), "a/0": b"x"})
    root = store.freeze()
    found = compare(root, store)
    assert not found
    assert (found.before, found.after) == (str(root), str(root))
    assert "nothing changed" in str(found)
    store["a/0"] = b"y"
    assert compare(root, store).after is None
    assert store.root_cid is None, "it was frozen"


def test_metadata_that_no_json_can_be():
    blocks = MappingCAStore()
    document = {"zarr_format": 2, "shape": [2], "chunks": [2], "fill_value": b"\x01\xff"}
    link = blocks.put_raw(dag_cbor.encode(document), "dag-cbor")
    root = blocks.put({"a": {".zarray": ipldstore.CID(link)}})
    found = compare(Hierarchy(blocks), Hierarchy(blocks, root=root))
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["nodes"][0]["path"] == "a"


def test_foreign_text_steers_nothing_and_is_cut():
    name = "a\x1b[31m<b>"
    old = made(**{f"{name}/.zarray": v2([4], [2]), f"{name}/.zattrs": b"{}"})
    long = {f"\x1b{number}": "<i>\n" * 1000 for number in range(100)}
    new = made(**dict(old) | {f"{name}/.zattrs": json.dumps(long).encode()})
    found = compare(old, new)
    assert "\x1b" not in str(found)
    assert len(str(found)) < 3000
    assert "and 88 more fields and attributes" in str(found)
    html = found._repr_html_()
    assert "<b>" not in html
    assert "<i>" not in html
    many = made(**{f"{number}/.zgroup": b'{"zarr_format":2}' for number in range(60)})
    assert "and 10 more groups and arrays" in str(compare(made(), many))
    assert repr(found) == str(found)


def test_what_is_held_is_bounded(monkeypatch):
    many = made(**{f"{number}/.zgroup": b'{"zarr_format":2}' for number in range(60)})
    monkeypatch.setattr(comparing_module, "MAX_REPORT_LENGTH", 10_000)
    with pytest.raises(LimitExceededError, match="take a part"):
        compare(made(), many)


def test_versions_of_a_repository():
    repo = Repository.create(MappingCAStore())
    for value in (b"first", b"second"):
        with repo.writable(message="set") as store:
            store["a/.zarray"] = v2([4], [2])
            store["a/0"] = value
    found = repo.diff("main~1", "main")
    assert isinstance(found, Comparison)
    assert found == repo.diff("main~1")
    assert found.nodes[0].chunks == {"added": 0, "removed": 0, "changed": 1}
    assert found.before == str(repo.show("main~1").root)
    with pytest.raises(RevisionError):
        repo.diff("nothing")


def formats():
    zarr = pytest.importorskip("zarr")
    return [2] if zarr.__version__.startswith("2.") else [2, 3]


def to_zarr(dataset, store, number, **options):
    if formats() != [2]:
        options["zarr_format"] = number
    dataset.to_zarr(store, consolidated=number == 2, **options)


@pytest.mark.parametrize("number", [2, 3])
def test_a_dataset_that_is_appended_to(number):
    xr = pytest.importorskip("xarray")
    if number not in formats():
        pytest.skip("no format 3 before zarr 3")
    time = np.arange(6) + np.datetime64("2020-01-01", "ns").astype("datetime64[D]")
    dataset = xr.Dataset(
        {"t": (("time", "x"), np.arange(24.0).reshape(6, 4), {"units": "K"})},
        coords={"time": time.astype("datetime64[ns]"), "x": [0.5, 1.5, 2.5, 3.5]},
    )
    store = IPLDStore()
    to_zarr(dataset.isel(time=slice(4)), store, number, encoding={"t": {"chunks": (2, 2)}})
    root = store.freeze()
    dataset.isel(time=slice(4, 6)).to_zarr(store, append_dim="time", consolidated=number == 2)
    nodes = {node.path: node for node in compare(root, store).nodes}
    assert nodes.keys() == {"t", "time"}
    assert nodes["t"].fields == {"shape": ([4, 4], [6, 4])}
    assert nodes["t"].attributes == {}
    assert nodes["t"].chunks == {"added": 2, "removed": 0, "changed": 0}
    assert nodes["t"].ranges == (((4, 6), (0, 4)),)
    assert nodes["t"].coordinates == {
        "time": ("2020-01-05T00:00:00", "2020-01-06T00:00:00"),
        "x": (0.5, 3.5),
    }


@pytest.mark.parametrize("number", [2, 3])
def test_a_real_dataset_of_which_a_part_is_written(number):
    xr = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    samples = pytest.importorskip("iris_sample_data", reason="no real datasets")
    if number not in formats():
        pytest.skip("no format 3 before zarr 3")
    path = Path(samples.path) / "A1B_north_america.nc"
    with xr.open_dataset(path, decode_times=False) as opened:
        dataset = opened[["air_temperature"]].load()
    for variable in dataset.variables.values():
        variable.encoding = {}
    store = IPLDStore()
    chunks = {"air_temperature": {"chunks": (40, 37, 49)}}
    to_zarr(dataset, store, number, encoding=chunks)
    root = store.freeze()
    region = {"time": slice(80, 120), "latitude": slice(0, 37), "longitude": slice(0, 49)}
    part = dataset[["air_temperature"]].isel(region) + 1
    part = part.drop_vars(list(part.coords))
    part.to_zarr(store, region=region, consolidated=number == 2)
    (node,) = [node for node in compare(root, store).nodes if node.path == "air_temperature"]
    assert (node.ranges, node.is_exact) == ((((80, 120), (0, 37), (0, 49)),), True)
    latitude = dataset["latitude"].values
    assert node.coordinates["latitude"] == (latitude[0], latitude[36])
    assert set(node.coordinates) == {"time", "latitude", "longitude"}


def with_coordinate(attributes, codecs=None):
    pytest.importorskip("zarr")
    store = IPLDStore()
    document = v2([4], [4], dtype="<i4", fill_value=0, compressor=None, filters=codecs, order="C")
    store.update({".zgroup": b'{"zarr_format":2}', "t/.zarray": document, "t/.zattrs": attributes})
    store["t/0"] = np.array([0, 1, 2, 36], "<i4").tobytes()
    store["a/.zarray"] = v2([4], [4])
    store["a/.zattrs"] = b'{"_ARRAY_DIMENSIONS":["t"]}'
    root = store.freeze()
    store["a/0"] = b"changed"
    return compare(root, store).nodes[0].coordinates


@pytest.mark.parametrize(
    ("units", "calendar", "ends"),
    [
        ("hours since 2000-01-01", "standard", ("2000-01-01T00:00:00", "2000-01-02T12:00:00")),
        ("days since 1999-12-31T12:00:00Z", None, ("1999-12-31T12:00:00", "2000-02-05T12:00:00")),
        ("days since 1500-01-01", "standard", (0, 36)),
        (
            "days since 1500-01-01",
            "proleptic_gregorian",
            ("1500-01-01T00:00:00", "1500-02-06T00:00:00"),
        ),
        ("days since 2000-01-01", "360_day", (0, 36)),
        ("months since 2000-01-01", "standard", (0, 36)),
        ("days since then", "standard", (0, 36)),
        ("m", None, (0, 36)),
        (7, None, (0, 36)),
    ],
)
def test_times(units, calendar, ends):
    attributes = {"units": units} | ({"calendar": calendar} if calendar else {})
    assert with_coordinate(json.dumps(attributes).encode()) == {"t": ends}


def test_coordinates_that_cannot_be_read_are_left_out():
    assert with_coordinate(b"{}", codecs=[{"id": "nonsense"}]) == {}


def test_what_would_run_code_is_not_decoded():
    assert with_coordinate(b"{}", codecs=[{"id": "pickle"}]) == {}
