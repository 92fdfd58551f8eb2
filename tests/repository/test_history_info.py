"""How much a repository stores: each block once, and what only earlier versions have."""

from dataclasses import replace

import pytest

from ipldstore import BlockNotFoundError, MappingCAStore, Repository
from ipldstore.cid import Link, to_text
from ipldstore.inventory import history_info
from tests.histories import History, make_state, put_state


def test_versions_that_share_blocks():
    blocks = MappingCAStore()
    repo = Repository.create(blocks)
    for value in (b"first", b"second"):
        with repo.writable(message="set") as store:
            store["a/0"] = value * 1000
            store["b/0"] = b"same" * 1000
    found = repo.info()
    assert (found.branches, found.tags, found.commits) == (1, 0, 2)
    commits = [repo.show(revision) for revision in ("main", "main~1")]
    nodes = [Link(bytes(cid)) for version in commits for cid in (version.cid, version.root)]
    sizes = [len(blocks.get_block(link)) for link in nodes]
    state = len(blocks.get_block(Link(bytes(repo.cid))))
    assert found.state == str(repo.cid)
    assert found.blocks == 1 + 4 + 3
    assert found.bytes == state + sum(sizes) + 5000 + 6000 + 4000
    assert found.old_bytes == sum(sizes[2:]) + 5000
    repo.tag("v1", "main~1")
    assert repo.info().old_bytes == 0
    assert repo.info().commits == 2


def test_an_empty_repository():
    repo = Repository.create(MappingCAStore())
    found = repo.info()
    assert (found.blocks, found.commits, found.old_bytes) == (1, 0, 0)


def test_what_is_let_go_is_not_asked_for():
    blocks = MappingCAStore()
    blocks.put_raw(b"\xa0", "dag-cbor")
    history = History(blocks)
    gone, kept, tip = history.chain(3)
    del blocks.mapping[to_text(gone)]
    state = make_state({"main": tip})
    with pytest.raises(BlockNotFoundError):
        history_info(put_state(blocks, state), state, blocks)
    state = replace(state, shallow=frozenset([kept]))
    assert history_info(put_state(blocks, state), state, blocks).commits == 2
    state = replace(state, branches={"main": kept})
    assert history_info(put_state(blocks, state), state, blocks).commits == 1
