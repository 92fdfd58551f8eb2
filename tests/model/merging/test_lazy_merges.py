"""What a merge loads is what differs."""

from __future__ import annotations

import json

import pytest

from ipldstore.cid import Link, make_link
from ipldstore.tree.documents import parse_json
from ipldstore.tree.tree import Tree
from tests.model.merging.merges import Merge
from tests.tree.counting import CountingCAStore

SIDE = 300
DOCUMENT = json.dumps({"zarr_format": 2, "shape": [SIDE, SIDE], "chunks": [1, 1]}).encode()
GROWN = json.dumps({"zarr_format": 2, "shape": [SIDE, SIDE + 1], "chunks": [1, 1]}).encode()


class Large(Merge):
    """An array of many chunks, none of which is ever stored."""

    def __init__(self) -> None:
        super().__init__(CountingCAStore())
        self.base = self.changed(
            None, {f"{i}.{j}": f"{i}.{j}" for i in range(SIDE) for j in range(SIDE)}
        )

    def changed(
        self, root: Link | None, chunks: dict[str, str | None], document: bytes = DOCUMENT
    ) -> Link:
        tree = Tree(self.blocks.get_block, root)
        entry = parse_json(document)
        assert entry is not None
        tree.insert(["g", "a", ".zarray"], entry)
        for key, value in chunks.items():
            if value is None:
                tree.remove(["g", "a", key])
            else:
                tree.insert(["g", "a", key], make_link(value.encode()))
        return tree.freeze(lambda data: self.blocks.put_raw(data, "dag-cbor"))


@pytest.fixture(scope="module")
def large() -> Large:
    return Large()


@pytest.mark.parametrize("document", [DOCUMENT, GROWN])
@pytest.mark.parametrize("value", ["new", None])
def test_one_chunk_on_each_side(large: Large, value: str | None, document: bytes) -> None:
    ours = large.changed(large.base, {"3.5": value}, document)
    theirs = large.changed(large.base, {"200.7": "new"})
    large.blocks.reset()
    merged = large.run([large.base], ours, theirs, None)
    assert merged.conflicts == []
    root = large.apply(merged, ours, theirs)
    assert large.blocks.loads < 40, "of some 35 pages in each of three trees"
    assert large.blocks.puts < 8
    assert root == large.changed(ours, {"200.7": "new"}, document)


def test_the_side_with_more_changes_stays_as_it_is(large: Large) -> None:
    few = large.changed(large.base, {"3.5": "few"})
    many = large.changed(large.base, {f"{i}.7": "many" for i in range(SIDE)})
    assert large.run([large.base], few, many, None).onto == "theirs"
    merged = large.run([large.base], many, few, None)
    assert merged.onto == "ours"
    assert list(merged.changes) == ["g/a/3.5"]


def test_a_side_that_is_the_base_is_not_looked_into(large: Large) -> None:
    other = large.changed(large.base, {"3.5": "few"})
    large.blocks.reset()
    assert large.run([large.base], large.base, other, None) == ("theirs", {}, [])
    assert large.run([large.base, other], other, other, None) == ("ours", {}, [])
    assert large.blocks.loads == 0
