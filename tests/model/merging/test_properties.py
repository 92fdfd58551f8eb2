"""Merges of random hierarchies: against a model on dicts, and what holds for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.model.merging import Conflict
from tests import small_pages
from tests.model.merging.merges import Content, Merge, plain

KEYS = ["x", "x/a", "x/b", "x/a/c", "x/a/d", "x/b/1", "x/b/2", "y", "y/1", "y/2", "y/10", "z"]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Let a few keys make pages and blocks."""
    with pytest.MonkeyPatch.context() as patched:
        small_pages.shrink(patched)
        yield


def put(content: Content, key: str, value: bytes | None) -> Content:
    """Set or delete a key, with what stands in its way."""
    kept = {
        other: present
        for other, present in content.items()
        if not (f"{other}/".startswith(f"{key}/") or f"{key}/".startswith(f"{other}/"))
    }
    return kept if value is None else kept | {key: value}


def edited(keys: list[str], values: Any, most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.tuples(st.sampled_from(keys), values), max_size=most)


def edit(content: Content, edits: list[Any]) -> Content:
    for key, value in edits:
        if value is None:
            content = {other: present for other, present in content.items() if other != key}
        else:
            content = put(content, key, value)
    return content


VALUES = st.sampled_from([None, b"1", b"2"])
PLAIN = edited(KEYS, VALUES, 8)


def model(bases: list[Content], ours: Content, theirs: Content) -> Content | set[tuple[str, str]]:
    """Merge plain keys, or return conflicts by kind and path or key."""
    merged: Content = {}
    disputed: set[str] = set()
    for key in {key for content in (*bases, ours, theirs) for key in content}:
        before = {base.get(key) for base in bases}
        a, b = ours.get(key), theirs.get(key)
        if a != b and before not in ({a}, {b}):
            disputed.add(key)
        elif (value := b if before == {a} else a) is not None:
            merged[key] = value
    present = merged.keys() | disputed
    nodes = {path for path in present if any(key.startswith(f"{path}/") for key in present)}
    nodes |= emptied(bases, ours, theirs) | emptied(bases, theirs, ours)
    top = {path for path in nodes if not any(path.startswith(f"{other}/") for other in nodes)}
    found = {("node", path) for path in top}
    for key in disputed:
        if not any(f"{key}/".startswith(f"{path}/") for path in top):
            found.add(("document", key))
    return found or merged


def emptied(bases: list[Content], one: Content, other: Content) -> set[str]:
    def has(content: Content, path: str) -> bool:
        return any(key.startswith(f"{path}/") for key in content)

    paths = {key[:at] for key in KEYS for at, char in enumerate(key) if char == "/"}
    return {
        path
        for path in paths
        if any(has(base, path) for base in bases)
        and not has(one, path)
        and any(
            key.startswith(f"{path}/") and any(base.get(key) != value for base in bases)
            for key, value in other.items()
        )
    }


@settings(max_examples=examples(150), deadline=None)
@given(PLAIN, st.lists(PLAIN, min_size=1, max_size=2), PLAIN, PLAIN)
def test_plain_keys(begin: Any, more: Any, ours: Any, theirs: Any) -> None:
    start = edit({}, begin)
    bases = [start, *(edit(start, edits) for edits in more[1:])]
    a, b = edit(start, ours), edit(start, theirs)
    expected = model(bases, a, b)
    merge = Merge()
    root, conflicts = merge([merge.root(base) for base in bases], merge.root(a), merge.root(b))
    if root is not None:
        assert merge.content(root) == expected
    else:
        assert {(c.kind, c.path if c.kind == "node" else c.name) for c in conflicts} == expected


def text(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def array(size: int, kind: str, **attributes: Any) -> bytes:
    return text(
        zarr_format=3,
        node_type="array",
        shape=[size],
        data_type=kind,
        attributes=attributes,
        chunk_key_encoding={"name": "default"},
    )


def group(members: Any = None, **attributes: Any) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    if members is not None:
        held = {name: json.loads(array(size, "u1")) for name, size in members}
        document["consolidated_metadata"] = {"kind": "inline", "metadata": held}
    return text(**document)


sizes = st.integers(1, 3)
attributes = st.dictionaries(st.sampled_from("uv"), st.sampled_from([1, 1.0, "t", [2]]))
arrays = st.builds(
    lambda n, k, a: array(n, k, **a), sizes, st.sampled_from(["u1", "u2"]), attributes
)
members = st.none() | st.lists(st.tuples(st.sampled_from(["a", "b", "g/a", "g"]), sizes))
groups = st.builds(lambda m, a: group(m, **a), members, attributes)
arrays_2 = st.builds(lambda n: text(zarr_format=2, shape=[n]), sizes)
consolidated_2 = st.lists(st.sampled_from(["a/.zarray", "a/.zattrs", ".zgroup"])).map(
    lambda names: text(metadata={name: {"n": 1} for name in names}, zarr_consolidated_format=1)
)
odd = st.sampled_from([b"[]", b"{}", b"{", text(node_type="group", attributes=1)])

EDITS = st.lists(
    st.tuples(st.sampled_from(["a/zarr.json", "g/a/zarr.json", "b/zarr.json"]), arrays | groups)
    | st.tuples(st.sampled_from(["zarr.json", "g/zarr.json"]), groups)
    | st.tuples(st.sampled_from(["a/c/0", "a/c/1", "g/a/c/0", "a/0", "a/x", "g", "a"]), VALUES)
    | st.tuples(st.just("a/.zarray"), arrays_2)
    | st.tuples(st.just("a/.zattrs"), attributes.map(lambda found: text(**found)))
    | st.tuples(st.just(".zmetadata"), consolidated_2)
    | st.tuples(st.sampled_from(["zarr.json", "a/zarr.json", ".zmetadata", ".zgroup"]), odd)
    | st.tuples(st.sampled_from(["a", "g", "a/c"]), st.none()),
    max_size=8,
)


def change(content: Content, edits: list[Any]) -> Content:
    for key, value in edits:
        content = put(content, key, value)
    return content


@settings(max_examples=examples(100), deadline=None)
@given(EDITS, st.lists(EDITS, max_size=1), EDITS, EDITS, st.integers(0, 3))
def test_hierarchies(begin: Any, more: Any, ours: Any, theirs: Any, seed: int) -> None:
    """Swapping the sides gives the same, which is what its content written anew gives."""
    start = change({}, begin)
    bases = [start, *(change(start, edits) for edits in more)]
    merge = Merge()
    roots = [merge.root(base) for base in bases]
    a, b = merge.root(change(start, ours)), merge.root(change(start, theirs))
    asked: list[Conflict] = []

    def resolve(conflict: Conflict) -> str:
        asked.append(conflict)
        return "ours" if (sum(map(ord, conflict.name + conflict.path)) + seed) % 2 else "theirs"

    root, conflicts = merge(roots, a, b)
    settled, left = merge(roots, a, b, resolve)
    assert left == []
    if root is None:
        assert set(plain(asked)) == set(plain(conflicts))
    else:
        assert (settled, asked) == (root, [])
    assert merge(roots[:1], a, roots[0]) == (a, [])
    assert merge(roots[:1], a, a) == (a, [])
    assert merge([a], a, b) == (b, [])
