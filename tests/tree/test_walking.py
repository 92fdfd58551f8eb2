"""The walk over the blocks of a DAG: order, seen-set, and what two DAGs share."""

import dag_cbor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID, multihash

from ipldstore.cid import Link, as_link, make_link
from ipldstore.dag import iter_dag, links_held
from ipldstore.errors import BlockNotFoundError

pytestmark = pytest.mark.once


class Blocks(dict):
    """Blocks by CID, made with the dag-cbor package; loading one is noted."""

    def __init__(self):
        super().__init__()
        self.loaded = []

    def add(self, value):
        codec, data = ("raw", value) if isinstance(value, bytes) else ("dag-cbor", None)
        data = dag_cbor.encode(value) if data is None else data
        cid = CID("base32", 1, codec, multihash.digest(data, "sha2-256"))
        self[as_link(cid)] = data
        return cid

    def load(self, link):
        self.loaded.append(link)
        if link not in self:
            raise BlockNotFoundError(str(link))
        return self[link]


@pytest.fixture
def blocks():
    return Blocks()


def walk(root, blocks, **options):
    return [link for link, _ in iter_dag(as_link(root), blocks.load, **options)]


def diamond(blocks):
    leaf, other = blocks.add(b"leaf"), blocks.add(b"other")
    left, right = blocks.add({"0": leaf}), blocks.add([other, leaf])
    root = blocks.add({"left": left, "right": right, "zzzzzz": leaf})
    return [as_link(cid) for cid in (root, left, leaf, right, other)]


def test_parents_first(blocks):
    root, left, leaf, right, other = diamond(blocks)
    assert walk(root, blocks) == [root, left, leaf, right, other]
    assert blocks.loaded == [root, left, right]


def test_children_first(blocks):
    root, left, leaf, right, other = diamond(blocks)
    assert walk(root, blocks, children_first=True) == [leaf, left, other, right, root]
    assert blocks.loaded == [root, left, right]


@pytest.mark.parametrize("children_first", [False, True])
def test_data_of_loaded_blocks_only(blocks, children_first):
    root, left, leaf, right, other = diamond(blocks)
    data = dict(iter_dag(root, blocks.load, children_first=children_first))
    assert data == {leaf: None, other: None, **{k: blocks[k] for k in (root, left, right)}}


def test_what_was_seen_is_left_out_and_what_is_seen_is_added(blocks):
    root, left, leaf, right, _ = diamond(blocks)
    seen = {right}
    assert walk(root, blocks, seen=seen) == [root, left, leaf]
    assert seen == {root, left, leaf, right}
    assert right not in blocks.loaded


def test_a_root_that_was_seen(blocks):
    root = diamond(blocks)[0]
    assert walk(root, blocks, seen={root}) == []
    assert blocks.loaded == []


def test_identity_cids_are_followed_but_are_no_blocks(blocks):
    leaf = blocks.add(b"leaf")
    data = dag_cbor.encode([leaf])
    inline = CID("base32", 1, "dag-cbor", multihash.digest(data, "identity"))
    root = blocks.add({"a": inline})
    expected = [as_link(root), as_link(leaf)]
    assert walk(root, blocks) == expected
    assert walk(root, blocks, children_first=True) == expected[::-1]


def chain(blocks, length):
    cid = blocks.add(b"end")
    for _ in range(length):
        cid = blocks.add([cid])
    return as_link(cid)


def test_depth_beyond_any_recursion(blocks):
    root = chain(blocks, 3000)
    assert len(walk(root, blocks)) == 3001


def test_held_does_not_look_under_what_both_share(blocks):
    shared = blocks.add([blocks.add(b"a"), blocks.add(b"b")])
    old_leaf, new_leaf = blocks.add(b"old"), blocks.add(b"new")
    old, new = blocks.add([shared, old_leaf]), blocks.add([shared, new_leaf])
    held = links_held(as_link(old), as_link(new), blocks.load)
    assert held == {as_link(cid) for cid in (old, shared, old_leaf)}
    assert sorted(blocks.loaded) == sorted(as_link(cid) for cid in (old, new))


def test_held_of_the_same_root_loads_nothing(blocks):
    root = diamond(blocks)[0]
    assert links_held(root, root, blocks.load) == {root}
    assert blocks.loaded == []


def test_held_at_another_depth(blocks):
    deep = blocks.add([blocks.add(b"a")])
    old = blocks.add([blocks.add([blocks.add([deep])])])
    assert as_link(deep) in links_held(as_link(old), as_link(deep), blocks.load)
    new = blocks.add({"moved": deep})
    assert as_link(deep) in links_held(as_link(old), as_link(new), blocks.load)


def test_held_where_the_older_dag_has_gaps(blocks):
    gap = blocks.add([blocks.add(b"a")])
    old, new = as_link(blocks.add([gap, blocks.add(b"b")])), as_link(blocks.add([]))
    del blocks[as_link(gap)]
    assert as_link(gap) in links_held(old, new, blocks.load)


def test_held_where_a_root_is_missing(blocks):
    root, missing = diamond(blocks)[0], make_link(b"\xa0", "dag-cbor")
    with pytest.raises(BlockNotFoundError):
        links_held(missing, root, blocks.load)
    with pytest.raises(BlockNotFoundError):
        links_held(root, missing, blocks.load)


def reachable(blocks, root):
    """What lies under a root, by values of the dag-cbor package."""
    found, ahead = set(), [root]
    while ahead:
        link = ahead.pop()
        if link not in found and link[1] == 0x71:
            ahead += map(as_link, dag_cbor.decode(blocks[link]))
        found.add(link)
    return found


@st.composite
def two_roots(draw):
    blocks = Blocks()
    made = [blocks.add(bytes([i])) for i in range(4)]
    for _ in range(draw(st.integers(2, 12))):
        made.append(blocks.add(draw(st.lists(st.sampled_from(made), max_size=4))))
    nodes = made[4:]
    return blocks, *(as_link(draw(st.sampled_from(nodes))) for _ in range(2))


@settings(max_examples=150, deadline=None)
@given(two_roots())
def test_held_and_walked_are_all_of_the_new_dag(case):
    blocks, old, new = case
    held = links_held(old, new, blocks.load)
    assert held <= reachable(blocks, old)
    sent = set(walk(new, blocks, seen=set(held)))
    assert reachable(blocks, new) <= sent | reachable(blocks, old)
    assert not sent & held


@settings(max_examples=100, deadline=None)
@given(two_roots(), st.booleans())
def test_every_block_once_in_order(case, children_first):
    blocks, root, _ = case
    order = walk(root, blocks, children_first=children_first)
    assert len(order) == len(set(order))
    assert set(order) == reachable(blocks, root)
    assert all(type(link) is Link for link in order)
    if children_first:
        for i, link in enumerate(order):
            assert reachable(blocks, link) <= set(order[: i + 1])
