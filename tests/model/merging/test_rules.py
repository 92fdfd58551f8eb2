"""What merges and what is a conflict, one case for each rule, on keys as they are stored."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from ipldstore.model.merging import Conflict, describe
from tests.model.merging.merges import Content, Merge, Plain, merge_content

V2_GROUP = b'{"zarr_format":2}'


def v2(shape: list[int], **fields: Any) -> bytes:
    chunks = [2] * len(shape)
    return json.dumps({"zarr_format": 2, "shape": shape, "chunks": chunks} | fields).encode()


def v3(shape: list[int], attributes: Any = None, **fields: Any) -> bytes:
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "chunk_key_encoding": {"name": "default"},
        "attributes": attributes or {},
    }
    return json.dumps(document | fields).encode()


def group(attributes: Any = None, **fields: Any) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes or {}}
    return json.dumps(document | fields).encode()


ARRAY = {"a/zarr.json": v3([4])}
CHUNKS = ARRAY | {"a/c/0": b"0", "a/c/1": b"1"}
CHUNK_0 = ("chunk", "a", "a/c/0", (0,))
NODE_A = ("node", "a", "", None)


def shaped(*shape: int, **fields: Any) -> Content:
    return CHUNKS | {"a/zarr.json": v3(list(shape), **fields)}


def noted(**attributes: Any) -> Content:
    return CHUNKS | {"a/zarr.json": v3([4], attributes)}


def without(content: Content, *keys: str) -> Content:
    return {key: value for key, value in content.items() if key not in keys}


CASES: dict[str, tuple[Any, Content, Content, Content | list[Plain]]] = {
    "nothing": ({}, {}, {}, {}),
    "one side": (CHUNKS, CHUNKS | {"a/c/0": b"x"}, CHUNKS, CHUNKS | {"a/c/0": b"x"}),
    "other chunks": (
        CHUNKS,
        CHUNKS | {"a/c/0": b"x"},
        CHUNKS | {"a/c/1": b"y"},
        ARRAY | {"a/c/0": b"x", "a/c/1": b"y"},
    ),
    "the same chunk": (CHUNKS, CHUNKS | {"a/c/0": b"x"}, CHUNKS | {"a/c/0": b"y"}, [CHUNK_0]),
    "the same bytes": (
        CHUNKS,
        CHUNKS | {"a/c/0": b"x"},
        CHUNKS | {"a/c/0": b"x"},
        CHUNKS | {"a/c/0": b"x"},
    ),
    "a chunk deleted and written": (
        CHUNKS,
        without(CHUNKS, "a/c/0"),
        CHUNKS | {"a/c/0": b"x"},
        [CHUNK_0],
    ),
    "a chunk deleted twice": (
        CHUNKS,
        without(CHUNKS, "a/c/0"),
        without(CHUNKS, "a/c/0"),
        without(CHUNKS, "a/c/0"),
    ),
    "all chunks deleted, another written": (
        CHUNKS,
        ARRAY,
        CHUNKS | {"a/c/5": b"5"},
        ARRAY | {"a/c/5": b"5"},
    ),
    "grown, and a chunk": (
        CHUNKS,
        shaped(8) | {"a/c/2": b"2"},
        CHUNKS | {"a/c/0": b"x"},
        shaped(8) | {"a/c/0": b"x", "a/c/2": b"2"},
    ),
    "shrunk, and a chunk": (
        CHUNKS,
        without(shaped(2), "a/c/1"),
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "more dimensions, and a chunk": (CHUNKS, shaped(4, 1), CHUNKS | {"a/c/0": b"x"}, [NODE_A]),
    "another type, and a chunk": (
        CHUNKS,
        shaped(4, data_type="int8"),
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "another type, and the same chunk": (
        CHUNKS,
        shaped(4, data_type="int8") | {"a/c/0": b"x"},
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "another type, and an attribute": (
        CHUNKS,
        shaped(4, data_type="int8"),
        noted(units="K"),
        CHUNKS | {"a/zarr.json": v3([4], {"units": "K"}, data_type="int8")},
    ),
    "grown alike": (CHUNKS, shaped(8), shaped(8), shaped(8)),
    "grown differently": (CHUNKS, shaped(8), shaped(6), [NODE_A]),
    "1 and 1.0 are not the same": (
        noted(x=2),
        noted(x=1),
        noted(x=1.0),
        [("attribute", "a", "x", None)],
    ),
    "other attributes": (noted(x=1), noted(x=2), noted(x=1, y=3), noted(x=2, y=3)),
    "the same attribute": (noted(x=1), noted(x=2), noted(x=3), [("attribute", "a", "x", None)]),
    "the same attribute alike": (noted(x=1), noted(x=2), noted(x=2, y=1), noted(x=2, y=1)),
    "an attribute removed and changed": (
        noted(x=1),
        noted(),
        noted(x=3),
        [("attribute", "a", "x", None)],
    ),
    "an attribute removed, another added": (noted(x=1), noted(), noted(x=1, y=3), noted(y=3)),
    "attributes of format 2": (
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":1}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":2}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":1,"y":1}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":2,"y":1}'},
    ),
    "attributes of format 2 on both sides first": (
        {"a/.zarray": v2([4])},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":2}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"y":1}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":2,"y":1}'},
    ),
    "attributes of format 2 deleted, another added": (
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":1}'},
        {"a/.zarray": v2([4])},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":1,"y":1}'},
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"y":1}'},
    ),
    "attributes of format 2 deleted and emptied": (
        {"a/.zarray": v2([4]), "a/.zattrs": b'{"x":1}'},
        {"a/.zarray": v2([4])},
        {"a/.zarray": v2([4]), "a/.zattrs": b"{}"},
        {"a/.zarray": v2([4])},
    ),
    "format 2 grown, and a chunk": (
        {"a/.zarray": v2([4]), "a/0": b"0"},
        {"a/.zarray": v2([8]), "a/0": b"0"},
        {"a/.zarray": v2([4]), "a/0": b"x"},
        {"a/.zarray": v2([8]), "a/0": b"x"},
    ),
    "format 2 shrunk, and a chunk": (
        {"a/.zarray": v2([4]), "a/0": b"0"},
        {"a/.zarray": v2([2]), "a/0": b"0"},
        {"a/.zarray": v2([4]), "a/0": b"x"},
        [NODE_A],
    ),
    "fields of a group": (
        {"zarr.json": group()},
        {"zarr.json": group(x=1)},
        {"zarr.json": group(x=2)},
        [("document", "", "zarr.json", None)],
    ),
    "fields and attributes of a group": (
        {"zarr.json": group()},
        {"zarr.json": group(x=1)},
        {"zarr.json": group({"y": 2})},
        {"zarr.json": group({"y": 2}, x=1)},
    ),
    "an array deleted, an attribute changed": (CHUNKS, {}, noted(x=1), [NODE_A]),
    "an array deleted, a chunk changed": (CHUNKS, {}, CHUNKS | {"a/c/0": b"x"}, [NODE_A]),
    "an array deleted, a chunk deleted": (CHUNKS, {}, without(CHUNKS, "a/c/0"), [NODE_A]),
    "an array deleted, another one changed": (
        CHUNKS | {"b/zarr.json": v3([4])},
        {"b/zarr.json": v3([4])},
        CHUNKS | {"b/zarr.json": v3([8])},
        {"b/zarr.json": v3([8])},
    ),
    "an array made a group, a chunk changed": (
        CHUNKS,
        {"a/zarr.json": group()},
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "an array made a group": (
        CHUNKS,
        {"a/zarr.json": group(), "a/b/zarr.json": v3([1])},
        CHUNKS,
        {"a/zarr.json": group(), "a/b/zarr.json": v3([1])},
    ),
    "an array of another format": (
        CHUNKS,
        {"a/.zarray": v2([4]), "a/0": b"0"},
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "an array and a group, both new": ({}, CHUNKS, {"a/zarr.json": group()}, [NODE_A]),
    "two arrays, both new": ({}, CHUNKS, shaped(6), [NODE_A]),
    "the same array, both new": ({}, CHUNKS | {"a/c/2": b"2"}, CHUNKS, [NODE_A]),
    "the same array with the same chunks, both new": ({}, CHUNKS, CHUNKS, CHUNKS),
    "an array and keys in its place, both new": ({}, CHUNKS, {"a/x": b"x"}, [NODE_A]),
    "a group made around keys": (
        {"a/x": b"x"},
        {"a/x": b"x", "a/zarr.json": group()},
        {"a/x": b"y"},
        {"a/x": b"y", "a/zarr.json": group()},
    ),
    "a group deleted, an array added in it": (
        {"g/zarr.json": group(), "g/a/zarr.json": v3([4])},
        {},
        {"g/zarr.json": group(), "g/a/zarr.json": v3([4]), "g/b/zarr.json": v3([4])},
        [("node", "g", "", None)],
    ),
    "a group deleted, an array deleted in it": (
        {"g/zarr.json": group(), "g/a/zarr.json": v3([4])},
        {},
        {"g/zarr.json": group()},
        {},
    ),
    "a group deleted, and consolidated": (
        {"g/zarr.json": group(), "g/a/zarr.json": v3([4])},
        {},
        {
            "g/zarr.json": group(consolidated_metadata={"metadata": {"a": {"x": 1}}}),
            "g/a/zarr.json": v3([4]),
        },
        {},
    ),
    "an array made again, a chunk changed": (
        CHUNKS,
        without(shaped(4, data_type="int8"), "a/c/1"),
        CHUNKS | {"a/c/0": b"x"},
        [NODE_A],
    ),
    "a directory deleted, a key added": (
        {"d/x": b"x", "y": b"y"},
        {"y": b"y"},
        {"d/x": b"x", "d/z": b"z", "y": b"y"},
        [("node", "d", "", None)],
    ),
    "a directory deleted, a key deleted": ({"d/x": b"x", "d/y": b"y"}, {}, {"d/x": b"x"}, {}),
    "all keys deleted, another one added": ({"x": b"x"}, {}, {"x": b"x", "y": b"y"}, {"y": b"y"}),
    "a key changed twice": ({"x": b"1"}, {"x": b"2"}, {"x": b"3"}, [("document", "", "x", None)]),
    "a value and a directory": ({}, {"d": b"1"}, {"d/x": b"x"}, [("node", "d", "", None)]),
    "a value instead of a directory": (
        {"d/x": b"x", "d/y": b"y"},
        {"d": b"1"},
        {"d/x": b"x"},
        {"d": b"1"},
    ),
    "a value changed, made a directory": (
        {"d": b"0"},
        {"d": b"1"},
        {"d/x": b"x"},
        [("node", "d", "", None)],
    ),
    "a value made two directories": (
        {"d": b"0"},
        {"d/y": b"y"},
        {"d/x": b"x"},
        {"d/x": b"x", "d/y": b"y"},
    ),
    "a value deep within, and a directory": (
        {},
        {"d/e": b"1"},
        {"d/e/f/x": b"x", "d/e/y": b"y"},
        [("node", "d/e", "", None)],
    ),
    "two bases, unchanged in one": (
        [{"x": b"1"}, {"x": b"2"}],
        {"x": b"1"},
        {"x": b"2"},
        [("document", "", "x", None)],
    ),
    "two bases, changed from both": (
        [{"x": b"1"}, {"x": b"1", "y": b"2"}],
        {"x": b"1"},
        {"x": b"3"},
        {"x": b"3"},
    ),
    "two bases, both alike": ([{"x": b"1"}, {}], {"x": b"2"}, {"x": b"2"}, {"x": b"2"}),
    "bytes that are no document": (
        {"a/zarr.json": b"[1]"},
        {"a/zarr.json": b"[2]"},
        {"a/zarr.json": b"[3]"},
        [("document", "a", "a/zarr.json", None)],
    ),
    "a document with NaN, and a chunk": (
        {"a/.zarray": v2([4], fill_value=float("nan")), "a/0": b"0"},
        {"a/.zarray": v2([8], fill_value=float("nan")), "a/0": b"0"},
        {"a/.zarray": v2([4], fill_value=float("nan")), "a/0": b"x"},
        [NODE_A],
    ),
    "a document with NaN twice": (
        {"a/.zarray": v2([4], fill_value=float("nan"))},
        {"a/.zarray": v2([8], fill_value=float("nan"))},
        {"a/.zarray": v2([6], fill_value=float("nan"))},
        [NODE_A],
    ),
    "attributes that are no map": (
        {"a/zarr.json": v3([4], [1])},
        {"a/zarr.json": v3([4], [2])},
        {"a/zarr.json": v3([4], [3])},
        [NODE_A],
    ),
    "a group of format 2": (
        {".zgroup": V2_GROUP},
        {".zgroup": V2_GROUP, "a/.zarray": v2([2])},
        {".zgroup": V2_GROUP, "b/.zarray": v2([2])},
        {".zgroup": V2_GROUP, "a/.zarray": v2([2]), "b/.zarray": v2([2])},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_comes_of_two_changes(case: str) -> None:
    bases, ours, theirs, expected = CASES[case]
    found = merge_content(bases, ours, theirs)
    if isinstance(expected, dict) and isinstance(found, dict):
        assert loaded(found) == loaded(expected)
    else:
        assert found == expected


def loaded(content: Content) -> dict[str, Any]:
    """Return documents as data: their fields are in no order."""
    is_document = {".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"}.__contains__
    return {
        key: json.loads(value) if is_document(key.rpartition("/")[2]) else value
        for key, value in content.items()
    }


@pytest.mark.parametrize("case", [name for name in CASES if isinstance(CASES[name][3], list)])
def test_each_conflict_is_settled_by_either_side(case: str) -> None:
    bases, ours, theirs, _ = CASES[case]
    asked: list[Conflict] = []

    def resolve(conflict: Conflict) -> str:
        asked.append(conflict)
        return "theirs"

    found = merge_content(bases, ours, theirs, resolve)
    assert isinstance(found, dict)
    assert loaded(found) == loaded(merge_content(bases, ours, theirs, "theirs"))  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert all(conflict.why for conflict in asked)


def test_a_node_is_taken_whole_and_all_else_alone() -> None:
    base = CHUNKS | {"b/zarr.json": v3([4]), "b/c/0": b"0"}
    ours = without(base, *CHUNKS) | {"b/c/0": b"1", "b/c/1": b"1"}
    theirs = base | {"a/c/0": b"2", "b/c/0": b"2", "b/c/2": b"2"}
    b = {"b/zarr.json": v3([4]), "b/c/1": b"1", "b/c/2": b"2"}
    found = merge_content(base, ours, theirs, lambda c: "theirs" if c.kind == "node" else "ours")
    assert isinstance(found, dict)
    assert loaded(found) == loaded(CHUNKS | {"a/c/0": b"2"} | b | {"b/c/0": b"1"})
    found = merge_content(base, ours, theirs, lambda c: "ours" if c.kind == "node" else "theirs")
    assert isinstance(found, dict)
    assert loaded(found) == loaded(b | {"b/c/0": b"2"})
    found = merge_content(base, ours, theirs, lambda c: "ours" if c.kind == "node" else None)
    assert found == [("chunk", "b", "b/c/0", (0,))]


@pytest.mark.parametrize(
    ("case", "why", "swapped"),
    [
        ("grown differently", "both resized it", "both resized it"),
        ("two arrays, both new", "added by both", "added by both"),
        (
            "shrunk, and a chunk",
            "changed by ours, its chunks changed by theirs",
            "changed by theirs, its chunks changed by ours",
        ),
        (
            "a chunk deleted and written",
            "deleted by ours, changed by theirs",
            "deleted by theirs, changed by ours",
        ),
        (
            "an array deleted, a chunk changed",
            "deleted by ours, changed by theirs",
            "deleted by theirs, changed by ours",
        ),
        (
            "a directory deleted, a key added",
            "deleted by ours, changed by theirs",
            "deleted by theirs, changed by ours",
        ),
    ],
)
def test_why(case: str, why: str, swapped: str) -> None:
    base, ours, theirs, _ = CASES[case]
    merge = Merge()
    roots = merge.root(base), merge.root(ours), merge.root(theirs)
    assert [found.why for found in merge.run(roots[:1], *roots[1:], None).conflicts] == [why]
    reverse = merge.run(roots[:1], *roots[:0:-1], None)
    assert [found.why for found in reverse.conflicts] == [swapped]


def test_wrong_ways_to_resolve() -> None:
    for resolve in ("both", "", "Ours"):
        with pytest.raises(ValueError, match="expected 'ours' or 'theirs'"):
            merge_content({}, {}, {}, resolve)
    with pytest.raises(TypeError, match="resolve is of type int"):
        Merge().run([None], None, None, 1)
    merge = Merge()
    roots = [merge.root({"x": value}) for value in (b"1", b"2", b"3")]
    with pytest.raises(ValueError, match="resolve returned 'mine' for Conflict"):
        merge.run(roots[:1], *roots[1:], lambda conflict: "mine")
    with pytest.raises(TypeError, match="resolve returned True for Conflict"):
        merge.run(roots[:1], *roots[1:], lambda conflict: True)


@pytest.mark.parametrize("empty", [None, b"\xa0"])
def test_an_empty_hierarchy_has_a_root_or_none(empty: bytes | None) -> None:
    merge = Merge()
    root = None if empty is None else merge.blocks.put_raw(empty, "dag-cbor")
    one, other = merge.root({"x": b"1"}), merge.root({"y": b"2"})
    both = merge.root({"x": b"1", "y": b"2"})
    assert merge([root], one, other) == (both, [])
    assert merge([], one, other) == (both, [])
    assert merge([root], root, other) == (other, [])
    assert merge([one], root, one) == (merge.root({}), [])
    assert merge([root], root, None) == (merge.root({}), [])


def test_conflicts_in_words() -> None:
    chunks = [Conflict("chunk", "a", f"a/c/{n}", (n,), "changed by both") for n in (0, 1, 2, 5, 10)]
    places = [
        Conflict("chunk", "b", "", place, "added by both") for place in ((0, 1), (0, 2), (1, 3))
    ]
    scalar = Conflict("chunk", "s", "s/c", (), "changed by both")
    others = [
        Conflict("node", "g", why="both resized it"),
        Conflict("attribute", "a", "x", None, "changed by both"),
        Conflict("attribute", "a", "y", None, "changed by both"),
        Conflict("document", "", "zarr.json", None, "changed by both"),
    ]
    assert describe([*chunks, *places, *others]).splitlines() == [
        "the root: document 'zarr.json': changed by both",
        "'a': attributes 'x', 'y': changed by both",
        "'a': chunks 0-2, 5, 10 (5): changed by both",
        "'b': chunks (0, 1-2), (1, 3) (3): added by both",
        "'g': both resized it",
    ]
    assert describe([scalar]) == "'s': chunk (): changed by both"
    many = [Conflict("node", f"{n:03}" * 200, why="both resized it") for n in range(500)]
    lines = describe(many).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 490 more"
    assert max(map(len, lines)) < 150
    scattered = [Conflict("chunk", "a", "", (n,), "changed by both") for n in range(0, 100, 2)]
    assert describe(scattered) == (
        "'a': chunks 0, 2, 4, 6, 8, 10, 12, 14 and 42 more (50): changed by both"
    )
