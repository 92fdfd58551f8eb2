"""Commits by revision from a block store, and the roots that CIDs lead to."""

import pytest

from ipldstore import CID, MappingCAStore
from ipldstore.cid import make_link
from ipldstore.errors import (
    BlockNotFoundError,
    InvalidNodeError,
    RepositoryNotFoundError,
    RevisionError,
)
from ipldstore.refs.commits import find_commit, make_graph, root_of
from tests.histories import EMPTY, History, make_state, put_state


@pytest.fixture
def blocks():
    blocks = MappingCAStore()
    blocks.put_raw(b"\xa0", "dag-cbor")
    return blocks


@pytest.fixture
def links(blocks):
    links = History(blocks).chain(3)
    put_state(blocks, make_state({"main": links[2]}, {"v1": links[0]}, shallow=links[:1]))
    return links


def test_find_commit(blocks, links):
    for revision, at in [("main", 2), ("~2", 0), ("v1", 0), (f"{links[2]}^", 1)]:
        assert find_commit(blocks, revision)[0] == links[at]
    found, commit = find_commit(blocks, "main~")
    assert (found, commit.root, commit.parents) == (links[1], EMPTY, (links[0],))
    with pytest.raises(RevisionError, match="no branch or tag 'mian': did you mean 'main'"):
        find_commit(blocks, "mian")
    with pytest.raises(RepositoryNotFoundError, match="'other'"):
        find_commit(blocks, "main", "other")


def test_a_commit_by_its_cid_needs_no_repository(blocks):
    link = History(blocks).commit()
    for cid in (link, bytes(link), str(link), CID(link)):
        assert find_commit(blocks, cid)[0] == link
    with pytest.raises(RepositoryNotFoundError):
        find_commit(blocks, f"{link}~0")
    with pytest.raises(InvalidNodeError, match="holds no commit"):
        find_commit(blocks, EMPTY)


def test_the_graph_knows_what_was_let_go(blocks, links):
    graph = make_graph(blocks, make_state({}, shallow=links[1:2]))
    assert [link for link, _ in graph.iter_ancestors(links[2:])] == [links[2], links[1]]


class Counting(MappingCAStore):
    reads = 0

    def get_raw(self, cid):
        self.reads += 1
        return super().get_raw(cid)


def test_root_of():
    blocks = Counting()
    root = blocks.put_raw(b"\xa0", "dag-cbor")
    history = History(blocks)
    tip = history.commit(history.commit())
    state = blocks.put_raw(make_state({"main": tip}).encode(), "dag-cbor")
    raw = blocks.put_raw(b"\xa0", "raw")
    for link, found, reads in [(root, root, 1), (tip, root, 1), (state, root, 2), (raw, raw, 0)]:
        blocks.reads = 0
        assert root_of(blocks, link) == found
        assert blocks.reads == reads


def test_no_root(blocks):
    state = blocks.put_raw(make_state({}, default="trunk").encode(), "dag-cbor")
    with pytest.raises(RevisionError, match="'trunk' has no commit yet"):
        root_of(blocks, state)
    lost = make_link(b"\xa1aa\0", "dag-cbor")
    with pytest.raises(BlockNotFoundError):
        root_of(blocks, lost)
