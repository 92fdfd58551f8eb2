"""Trees that nobody's software wrote: typed errors, in time and memory that are bounded."""

from __future__ import annotations

import json
from typing import Any

import dag_cbor
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.cid import Link
from ipldstore.errors import (
    BlockNotFoundError,
    InvalidNodeError,
    IPLDStoreError,
    LimitExceededError,
)
from ipldstore.model.merging import sides
from tests.model.merging.merges import Merge
from tests.tree.reference import cid_of


def put(merge: Merge, value: Any) -> Any:
    """Keep a value as a block by a second implementation, and return what links to it."""
    data = dag_cbor.encode(value)
    merge.blocks.put_raw(data, "dag-cbor")
    return cid_of("dag-cbor", data)


def link(cid: Any) -> Link:
    return Link(bytes(cid))


def test_documents_that_are_none() -> None:
    merge = Merge()
    broken = [put(merge, [1, number]) for number in range(3)]
    roots = [link(put(merge, {"zarr.json": document})) for document in broken]
    with pytest.raises(InvalidNodeError, match="holds no document"):
        merge.run(roots[:1], *roots[1:], None)


def test_blocks_that_are_not_there() -> None:
    merge = Merge()
    lost = cid_of("dag-cbor", dag_cbor.encode({"x": 1}))
    roots = [merge.root({"x": b"1"}), link(put(merge, {"d": lost})), merge.root({"x": b"2"})]
    with pytest.raises(BlockNotFoundError):
        merge.run(roots[:1], *roots[1:], None)
    value = merge.blocks.put_raw(b"x", "raw")
    with pytest.raises(InvalidNodeError, match="it is a chunk or another file"):
        merge.run([value], *roots[1:], None)


def test_directories_within_each_other_without_end() -> None:
    """Forty blocks stand for 2^40 keys."""
    merge = Merge()
    tops = []
    for begin in (b"1", b"2"):
        below = put(merge, {"x": cid_of("raw", begin)})
        for _ in range(40):
            below = put(merge, {"a": below, "b": below})
        tops.append(link(below))
    with pytest.raises(LimitExceededError):
        merge.run([None], *tops, None)


def test_more_keys_than_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    merge = Merge()
    one, other = ({f"{side}{n}": b"" for n in range(50)} for side in "ab")
    roots = merge.root(one), merge.root(other)
    assert merge.run([None], *roots, None).conflicts == []
    monkeypatch.setattr(sides, "MAX_HELD_KEYS", 99)
    with pytest.raises(LimitExceededError, match="more than 99 keys changed"):
        merge.run([None], *roots, None)
    monkeypatch.undo()
    monkeypatch.setattr(sides, "MAX_MERGED_KEY_LENGTH", 200)
    with pytest.raises(LimitExceededError, match="more than 200 characters changed"):
        merge.run([None], *roots, None)


def test_a_document_too_large_where_both_are_in_it() -> None:
    merge = Merge()
    half = "x" * 600_000
    base, ours, theirs = (
        merge.root({".zattrs": json.dumps(attributes).encode()})
        for attributes in ({}, {"a": half}, {"b": half})
    )
    root, conflicts = merge([base], ours, theirs)
    assert root is None
    assert [tuple(conflict) for conflict in conflicts] == [
        ("document", "", ".zattrs", None, "too large where both changes are in it")
    ]
    assert merge([base], ours, theirs, "theirs") == (theirs, [])


def group(members: dict[str, Any]) -> bytes:
    consolidated = {"kind": "inline", "must_understand": False, "metadata": members}
    document = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": consolidated}
    return json.dumps(document).encode()


def test_consolidated_metadata_too_large_goes() -> None:
    """Readers look at the members then."""
    merge = Merge()
    documents = {
        name: {"zarr_format": 3, "node_type": "group", "attributes": {"x": name * 600_000}}
        for name in "ab"
    }
    base, ours, theirs = (
        merge.root(
            {"zarr.json": group({name: documents[name] for name in names})}
            | {f"{name}/zarr.json": json.dumps(documents[name]).encode() for name in names}
        )
        for names in ("", "a", "b")
    )
    root, conflicts = merge([base], ours, theirs)
    assert conflicts == []
    assert root is not None
    content = merge.content(root)
    assert sorted(content) == ["a/zarr.json", "b/zarr.json", "zarr.json"]
    assert json.loads(content["zarr.json"]) == {"zarr_format": 3, "node_type": "group"}


def test_a_large_document_in_a_block_of_its_own() -> None:
    merge = Merge()
    long = "x" * 20_000
    base, ours, theirs = (
        merge.root({"g/.zattrs": json.dumps({"x": long} | more).encode(), "k": key})
        for more, key in (({}, b"1"), ({"a": 1}, b"1"), ({"b": 1}, b"2"))
    )
    root, _ = merge([base], ours, theirs)
    assert root is not None
    assert json.loads(merge.content(root)["g/.zattrs"]) == {"x": long, "a": 1, "b": 1}
    one, _ = merge([base], ours, merge.root({"k": b"3", **merge.content(base), "y": b"y"}))
    assert one is not None


def test_a_document_that_stands_in_a_block_though_it_is_small() -> None:
    """Taken over from the other side, it is written as it should be."""
    merge = Merge()
    document = {"x": 1}
    foreign = link(put(merge, {"a": {".zattrs": put(merge, document), "0": cid_of("raw", b"0")}}))
    base = merge.root({"a/0": b"0"})
    ours = merge.root({"a/0": b"0", "b": b"", "c": b""})
    root, conflicts = merge([base], ours, foreign)
    assert conflicts == []
    assert root == merge.root({"a/0": b"0", "a/.zattrs": b'{"x":1}', "b": b"", "c": b""})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("az./", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["shape", "node_type", "attributes", "metadata", "consolidated_metadata", "a", "x"]
            )
            | st.sampled_from(["a/.zarray", "../zarr.json", "", "/", "a//b", "a\0b"]),
            inner | st.sampled_from(["array", "group"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)
documents = st.dictionaries(
    st.sampled_from(["shape", "node_type", "attributes", "metadata", "consolidated_metadata"])
    | st.just("zarr_consolidated_format"),
    values | st.sampled_from(["array", "group", 1, {"metadata": {"a": {}}}]),
    max_size=4,
)
trees = st.dictionaries(
    st.sampled_from(["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"]),
    documents,
    max_size=4,
)
hierarchies = st.builds(lambda top, below: top | ({"a": below} if below else {}), trees, trees)


@settings(max_examples=examples(150), deadline=None)
@given(hierarchies, hierarchies, hierarchies, st.sampled_from([None, "ours", "theirs"]))
def test_any_documents(base: Any, ours: Any, theirs: Any, resolve: Any) -> None:
    merge = Merge()
    roots = [link(put(merge, tree)) for tree in (base, ours, theirs)]
    try:
        root, conflicts = merge(roots[:1], *roots[1:], resolve)
    except IPLDStoreError:
        return
    assert (root is None) == bool(conflicts)
    assert resolve is None or not conflicts
