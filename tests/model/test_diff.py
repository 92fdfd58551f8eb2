"""Diff: exactly the keys that differ, their CIDs and chunks, at the cost of what differs."""

from __future__ import annotations

import json
from typing import Any

import dag_cbor
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import ipldstore
from ipldstore import (
    BlockNotFoundError,
    BlockStoreURLError,
    Change,
    InvalidCIDError,
    MappingCAStore,
    diff,
)
from ipldstore.store.hierarchy import Hierarchy
from tests.tree.counting import CountingCAStore
from tests.tree.reference import PAGE, cid_of, in_order

METADATA = (".zattrs", ".zarray", "zarr.json")


def cid_at(store: Hierarchy, key: str) -> str:
    if key.rpartition("/")[2] in METADATA:
        return str(cid_of("dag-cbor", dag_cbor.encode(json.loads(store[key]))))
    return str(cid_of("raw", store[key]))


def brute_force(a: Hierarchy, b: Hierarchy) -> list[tuple[Any, ...]]:
    old, new = dict(a), dict(b)
    found = []
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            kind = "added" if key not in old else "removed" if key not in new else "changed"
            before = cid_at(a, key) if key in old else None
            after = cid_at(b, key) if key in new else None
            found.append((key, kind, before, after))
    return sorted(found, key=lambda change: change[0])


def found_by(a: Any, b: Any, **options: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(c[:4]) for c in diff(a, b, **options)), key=lambda change: change[0])


def test_each_kind_of_change_in_natural_order() -> None:
    a, b = Hierarchy(), Hierarchy()
    same = {"a/2.9": b"same", ".zgroup": b'{"zarr_format":2}', "g/h/0": b"deep"}
    a.update(same | {"a/2.10": b"old", "a/10.0": b"gone", "t": b"value", "z/.zattrs": b'{"x":1}'})
    b.update(same | {"a/2.10": b"new", "a/1": b"came", "t/1": b"below", "z/.zattrs": b'{"x":2}'})
    changes = list(diff(a, b))
    assert [(change.key, change.kind) for change in changes] == [
        ("a/1", "added"),
        ("a/2.10", "changed"),
        ("a/10.0", "removed"),
        ("t", "removed"),
        ("t/1", "added"),
        ("z/.zattrs", "changed"),
    ]
    assert sorted(tuple(c[:4]) for c in changes) == brute_force(a, b)
    assert [change.key for change in diff(b, a)] == [change.key for change in changes]
    assert list(diff(a, a)) == []


def test_stores_and_roots_in_any_form() -> None:
    store = Hierarchy()
    store["0"] = b"old"
    old = store.freeze()
    store["0"] = b"new"
    expected = [
        Change("0", "changed", cid_at_old := str(cid_of("raw", b"old")), cid_at(store, "0"))
    ]
    assert cid_at_old != cid_at(store, "0")
    for root in (old, str(old), bytes(old)):
        assert list(diff(root, store)) == expected
    assert store.root_cid is None, "diff froze the store"
    new = store.freeze()
    assert list(diff(old, new, blocks=store.backend)) == expected
    assert list(ipldstore.diff(old, store)) == expected
    assert list(diff(Hierarchy(), Hierarchy())) == []
    with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
        diff(old, new)
    with pytest.raises(TypeError, match="block store, not dict"):
        diff(old, new, blocks={})  # type: ignore[arg-type]
    with pytest.raises(InvalidCIDError):
        diff("nonsense", store)
    with pytest.raises(BlockNotFoundError):
        list(diff(old, Hierarchy()))


def test_two_block_stores() -> None:
    a, b = Hierarchy(), Hierarchy(MappingCAStore())
    a.update({"x/0": b"1", "y/0": b"2"})
    b.update({"x/0": b"1", "y/0": b"3"})
    a.freeze()
    b.freeze()
    assert found_by(a, b) == brute_force(a, b)


def test_inline_and_linked_document_do_not_differ() -> None:
    store = Hierarchy()
    store["a/.zattrs"] = b'{"x":1}'
    inline = store.freeze()
    document = store.backend.put({"x": 1})
    linked = store.backend.put({"a": {".zattrs": document}})
    assert inline != linked
    assert list(diff(inline, linked, blocks=store.backend)) == []
    empty = Hierarchy(store.backend)
    expected = [Change("a/.zattrs", "added", None, str(document))]
    assert list(diff(empty, inline)) == list(diff(empty, linked)) == expected


def v3(shape: list[int], encoding: Any) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "array", "shape": shape, "chunk_key_encoding": encoding}


@pytest.mark.parametrize(
    ("name", "metadata", "key", "chunk"),
    [
        (".zarray", {"shape": [9, 9]}, "2.10", (2, 10)),
        (".zarray", {"shape": [9, 9], "dimension_separator": "/"}, "2/10", (2, 10)),
        (".zarray", {"shape": [9], "dimension_separator": "/"}, "3", (3,)),
        (".zarray", {"shape": []}, "0", ()),
        (".zarray", {"shape": []}, "1", None),
        (".zarray", {"shape": [9, 9]}, "2", None),
        (".zarray", {"shape": [9, 9]}, "2/10", None),
        (".zarray", {"shape": [9, 9]}, "02.1", None),
        (".zarray", {"shape": [9, 9]}, "٢.1", None),
        (".zarray", {"shape": 3}, "0", None),
        (".zarray", {"shape": [9], "dimension_separator": ["."]}, "0", None),
        (".zarray", [1], "0", None),
        ("zarr.json", v3([9, 9], {"name": "default"}), "c/0/1", (0, 1)),
        ("zarr.json", v3([9, 9], "default"), "c/0/1", (0, 1)),
        (
            "zarr.json",
            v3([9, 9], {"name": "default", "configuration": {"separator": "."}}),
            "c.0.1",
            (0, 1),
        ),
        ("zarr.json", v3([], {"name": "default"}), "c", ()),
        ("zarr.json", v3([9, 9], {"name": "v2"}), "0.1", (0, 1)),
        (
            "zarr.json",
            v3([9, 9], {"name": "v2", "configuration": {"separator": "/"}}),
            "0/1",
            (0, 1),
        ),
        ("zarr.json", v3([], {"name": "v2"}), "0", ()),
        ("zarr.json", v3([9], {"name": "default"}), "0", None),
        ("zarr.json", v3([9], {"name": "other"}), "c/0", None),
        ("zarr.json", v3([9], {"name": ["v2"]}), "0", None),
        ("zarr.json", v3([9], 7), "c/0", None),
        ("zarr.json", v3([9], {"name": "v2", "configuration": 7}), "0", None),
        ("zarr.json", {"node_type": "group", "shape": [9]}, "c/0", None),
    ],
)
@pytest.mark.parametrize("path", ["", "g/a"])
def test_chunk_coordinates(name: str, metadata: Any, key: str, chunk: Any, path: str) -> None:
    prefix = path and path + "/"
    store = Hierarchy()
    store[prefix + name] = json.dumps(metadata).encode()
    bare = store.freeze()
    store[prefix + key] = b"chunk"
    array = None if chunk is None else path
    cid = str(cid_of("raw", b"chunk"))
    assert list(diff(bare, store)) == [Change(prefix + key, "added", None, cid, array, chunk)]
    whole = Hierarchy(store.backend, root=bare)
    whole[prefix + key] = b"chunk"
    gone = {change.key: change for change in diff(whole, Hierarchy())}
    assert (gone[prefix + key].array, gone[prefix + key].chunk) == (array, chunk)


def test_metadata_that_is_no_json() -> None:
    store = Hierarchy()
    store["a/.zarray"] = b"{"
    store["b/.zarray"] = b'{"shape":[1],"fill_value":NaN}'
    store.update({"a/0": b"x", "b/0": b"x"})
    found = {change.key: change.chunk for change in diff(Hierarchy(), store)}
    assert found == {"a/.zarray": None, "a/0": None, "b/.zarray": None, "b/0": (0,)}


SIDE = 316
"""99,856 chunks in two dimensions."""


@pytest.fixture(scope="module")
def large() -> tuple[CountingCAStore, str]:
    backend = CountingCAStore()
    store = Hierarchy(backend)
    store["a/.zarray"] = b'{"shape":[316,316]}'
    for row in range(SIDE):
        for column in range(SIDE):
            store[f"a/{row}.{column}"] = b"x"
    return backend, str(store.freeze())


def test_few_blocks_are_loaded(large: tuple[CountingCAStore, str]) -> None:
    backend, root = large
    store = Hierarchy(backend, root=root)
    changed = [(number * 31, number * 29) for number in range(10)]
    for row, column in changed:
        store[f"a/{row}.{column}"] = b"y"
    unfrozen = diff(root, store)
    backend.reset()
    assert [change.chunk for change in unfrozen] == changed
    assert backend.puts == 0
    assert backend.loads <= 2 + 10 + 1, "root, list, a page per change, that of the metadata"
    new = store.freeze()
    backend.reset()
    assert [change.chunk for change in diff(root, new, blocks=backend)] == changed
    assert backend.loads <= 2 * (2 + 10) + 1


def test_moved_page_boundaries_load_few_blocks(large: tuple[CountingCAStore, str]) -> None:
    backend, root = large
    store = Hierarchy(backend, root=root)
    for row in range(100, 110):
        for column in range(SIDE):
            del store[f"a/{row}.{column}"]
    for column in range(2000):
        store[f"a/200.{column + SIDE}"] = b"x"
    new = store.freeze()
    backend.reset()
    kinds = [change.kind for change in diff(root, new, blocks=backend)]
    assert kinds.count("removed") == 10 * SIDE
    assert kinds.count("added") == len(kinds) - 10 * SIDE == 2000
    assert backend.loads <= 60
    backend.reset()
    assert list(diff(new, str(new), blocks=backend)) == []
    assert backend.loads == 0


def test_shared_subtrees_are_not_loaded() -> None:
    backend = CountingCAStore()
    store = Hierarchy(backend)
    for group in range(20):
        for chunk in range(300):
            store[f"g{group}/{chunk}"] = b"x"
    old = store.freeze()
    store["g7/5"] = b"y"
    new = store.freeze()
    backend.reset()
    assert [change.key for change in diff(old, new, blocks=backend)] == ["g7/5"]
    assert backend.loads == 4


def test_lists_of_different_height() -> None:
    """Names long enough that a second level of lists is reached with few pages."""
    backend = CountingCAStore()
    store = Hierarchy(backend)
    names = [f"{number}-{'n' * 1000}" for number in range(22000)]
    for name in names[:8000]:
        store[f"a/{name}"] = b"x"
    low = store.freeze()
    for name in names[8000:]:
        store[f"a/{name}"] = b"x"
    high = store.freeze()
    for a, b, kind in ((low, high, "added"), (high, low, "removed")):
        changes = list(diff(a, b, blocks=backend))
        assert [change.key for change in changes] == [f"a/{name}" for name in names[8000:]]
        assert {change.kind for change in changes} == {kind}
    store[f"a/{names[5]}"] = b"y"
    new = store.freeze()
    assert max(len(backend.get_block(cid)) for cid in (low, high, new)) <= PAGE
    backend.reset()
    assert [change.key for change in diff(high, new, blocks=backend)] == [f"a/{names[5]}"]
    assert backend.loads <= 2 * 5 + 4


POOL = [f"d/{row}.{column}{'n' * 900}" for row in range(30) for column in range(30)]
"""Names so long that 276 of them are a directory with pages."""

SMALL = ["d/s/1", "d/s/1.0", "e", "e/0", "e/0/1", ".zattrs", "d/.zarray"]

edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "freeze", "small", "reload"]),
        st.integers(0, len(POOL) - 1),
        st.sampled_from([1, 20, 600]),
        st.sampled_from([b"x", b"y", b'{"shape":[8,8]}', b'{"n":1}']),
    ),
    max_size=6,
)


def edit(store: Hierarchy, steps: list[tuple[str, int, int, bytes]]) -> Hierarchy:
    for action, start, count, value in steps:
        if action == "freeze":
            store.freeze()
        elif action == "reload":
            store = Hierarchy(store.backend, root=store.freeze())
        elif action == "small":
            key = SMALL[start % len(SMALL)]
            for other in list(store):
                if other.startswith(f"{key}/") or key.startswith(f"{other}/"):
                    del store[other]
            store[key] = value if not key.endswith(METADATA) else b'{"shape":[%d]}' % start
        else:
            for key in POOL[start : start + count]:
                if action == "set":
                    store[key] = value
                elif key in store:
                    del store[key]
    return store


@settings(max_examples=examples(60), deadline=None)
@given(count=st.sampled_from([0, 100, 290, 800]), left=edits, right=edits)
def test_any_two_hierarchies(count: int, left: Any, right: Any) -> None:
    """Deletes, moved page boundaries, directories that become paged or not, frozen or not."""
    a = Hierarchy()
    for key in POOL[:count]:
        a[key] = b"x"
    b = Hierarchy(a.backend, root=a.freeze())
    a, b = edit(a, left), edit(b, right)
    frozen = a.root_cid, b.root_cid
    expected = brute_force(a, b)
    changes = list(diff(a, b))
    assert sorted((tuple(c[:4]) for c in changes), key=lambda c: c[0]) == expected
    assert (a.root_cid, b.root_cid) == frozen
    in_d = [c.key[2:] for c in changes if c.key.startswith("d/") and c.key.count("/") == 1]
    assert in_d == in_order(in_d)
    roots = a.freeze(), b.freeze()
    assert list(diff(*roots, blocks=a.backend)) == changes
