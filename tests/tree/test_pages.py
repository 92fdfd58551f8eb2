"""Paged directories: the cuts are the format's, and no history shows in them."""

from __future__ import annotations

import functools
import random
from typing import Any

import dag_cbor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import make_link
from ipldstore.errors import InvalidNodeError
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.nodes import Page, PageList
from ipldstore.tree.pages import pages_ahead
from tests.tree.counting import CountingCAStore
from tests.tree.reference import PAGE, cid_of, in_order, root_of

pytestmark = pytest.mark.once

POOL = [f"{row}.{column}" for row in range(160) for column in range(100)]


def written(chunks: dict[str, bytes]) -> Hierarchy:
    store = Hierarchy()
    for segment, data in chunks.items():
        store[f"a/{segment}"] = data
    store.freeze()
    return store


def chunks_of(count: int) -> dict[str, bytes]:
    return dict.fromkeys(POOL[:count], b"x")


@pytest.mark.parametrize("count", [0, 1, 178, 179, 5000, 5600, 5700, 5800, 12000])
def test_roots_are_those_of_the_format(count: int) -> None:
    root, nodes = root_of(chunks_of(count))
    store = written(chunks_of(count))
    assert str(store.root_cid) == root
    assert {cid_of("dag-cbor", node) for node in nodes} <= set(map(_cid, store.backend.mapping))
    assert list(store) == [f"a/{segment}" for segment in in_order(chunks_of(count))]


def _cid(text: str) -> object:
    from multiformats import CID

    return CID.decode(text)


def test_several_levels() -> None:
    """Long names make long lists: two levels of them with few enough pages for a test."""
    chunks = {f"{number}-{'n' * 1000}": b"x" for number in range(17000)}
    root, nodes = root_of(chunks)
    assert sum(isinstance(dag_cbor.decode(node), list) for node in nodes) > 1
    assert max(map(len, nodes)) <= PAGE
    store = written(chunks)
    assert str(store.root_cid) == root
    again = Hierarchy(store.backend, root=root)
    last = list(chunks)[-1]
    assert again[f"a/{last}"] == b"x"
    del again[f"a/{last}"]
    del chunks[last]
    assert str(again.freeze()) == root_of(chunks)[0]


class History(RuleBasedStateMachine):
    """Runs of inserts, appends, overwrites and deletes, with freezes and reloads between."""

    @initialize(count=st.sampled_from([0, 5000, 9000]))
    def begin(self, count: int) -> None:
        self.chunks = chunks_of(count)
        self.store = Hierarchy(MappingCAStore())
        for segment in self.chunks:
            self.store[f"a/{segment}"] = b"x"

    @rule(start=st.integers(0, len(POOL) - 1), count=st.sampled_from([1, 30, 4000]))
    def insert(self, start: int, count: int) -> None:
        for segment in POOL[start : start + count]:
            self.store[f"a/{segment}"] = self.chunks[segment] = b"x"

    @rule(seed=st.integers(0, 9), value=st.binary(max_size=2))
    def scatter(self, seed: int, value: bytes) -> None:
        for segment in random.Random(seed).sample(POOL, 20):
            self.store[f"a/{segment}"] = self.chunks[segment] = value

    @rule(start=st.floats(0, 1), count=st.sampled_from([1, 30, 4000]))
    def delete(self, start: float, count: int) -> None:
        ordered = in_order(self.chunks)
        first = int(start * len(ordered))
        for segment in ordered[first : first + count]:
            del self.store[f"a/{segment}"]
            del self.chunks[segment]

    @rule()
    def reload(self) -> None:
        self.store = Hierarchy(self.store.backend, root=self.store.freeze())

    @rule()
    def freeze(self) -> None:
        assert str(self.store.freeze()) == root_of(self.chunks)[0]

    @invariant()
    def holds_the_chunks(self) -> None:
        assert len(self.store) == len(self.chunks)


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=5, stateful_step_count=8, deadline=None)


def test_history_of_groups_in_pages() -> None:
    """A paged directory of subdirectories: changes below it reach its pages."""
    keys = [f"g{number}/c/{chunk}" for number in range(3000) for chunk in range(2)]
    plain = Hierarchy()
    for key in keys:
        plain[key] = key.encode()
    store = Hierarchy(MappingCAStore())
    for key in random.Random(1).sample(keys, len(keys)):
        store[key] = b"other"
    store = Hierarchy(store.backend, root=store.freeze())
    for key in random.Random(2).sample(keys, len(keys)):
        store[key] = key.encode()
    assert store.freeze() == plain.freeze()
    assert dict(store) == dict(plain)


@functools.cache
def pool() -> Hierarchy:
    return written(dict.fromkeys(POOL, b"x"))


def counting_pool() -> tuple[CountingCAStore, Any]:
    """Return a block store of its own that holds the pool, and the root."""
    backend = CountingCAStore()
    backend.mapping.update(pool().backend.mapping)
    return backend, pool().root_cid


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_few_nodes_are_loaded_and_put(seed: int) -> None:
    backend, root = counting_pool()
    row = random.Random(seed).randrange(100)

    store = Hierarchy(backend, root=root)
    backend.reset()
    _ = store[f"a/{row}.7"]
    assert backend.loads <= 4

    store[f"a/{row}.7"] = b"other"
    backend.reset()
    store.freeze()
    assert backend.puts <= 4
    assert backend.put_bytes <= 600 << 10

    store = Hierarchy(backend, root=root)
    for column in range(1000):
        store[f"a/160.{column}"] = b"new"
    backend.reset()
    store.freeze()
    assert backend.puts <= 12

    store = Hierarchy(backend, root=root)
    backend.reset()
    for column in range(100):
        _ = store[f"a/{row}.{column}"]
    assert backend.loads - 100 <= 6

    store = Hierarchy(backend, root=root)
    backend.reset()
    for line in range(10):
        for column in range(10):
            _ = store[f"a/{row + line}.{column}"]
    assert backend.loads - 100 <= 16


def test_reading_holds_little() -> None:
    backend, root = counting_pool()
    store = Hierarchy(backend, root=root, cache_bytes=0)
    assert len(store) == len(POOL)
    _ = store["a/0.0"]
    backend.reset()
    _ = store["a/0.1"]
    assert backend.loads == 2, "the page was dropped, and loaded again, and the chunk"


LINK = cid_of("raw", b"x")


def _hierarchy(value: object, *pages: object) -> Hierarchy:
    backend = MappingCAStore()
    for page in pages:
        backend.put(page)
    return Hierarchy(backend, root=backend.put(value))


def _page(value: object) -> object:
    return cid_of("dag-cbor", dag_cbor.encode(value))


ONE, TWO = {"1": LINK}, {"2": LINK, "3": LINK}


@pytest.mark.parametrize(
    "value",
    [
        [],
        [["1", LINK]],
        [["1", _page(ONE), 3]],
        [[1, _page(ONE)]],
        ["1", _page(ONE)],
        [["2", _page(TWO)], ["1", _page(ONE)]],
        [["1", _page(ONE)], ["1", _page(ONE)]],
    ],
    ids=["empty", "raw", "triple", "number", "flat", "disorder", "repeated"],
)
def test_lists_that_are_none(value: object) -> None:
    with pytest.raises(InvalidNodeError):
        _hierarchy(value, ONE, TWO)


@pytest.mark.parametrize(
    ("value", "pages"),
    [
        ([["1", _page(TWO)]], [TWO]),
        ([["1", _page(ONE)], ["2", _page(ONE)]], [ONE]),
        ([["2", _page(TWO)], ["3", _page({"3": LINK})]], [TWO, {"3": LINK}]),
        ([["1", _page({})]], [{}]),
        ([["1", _page(7)]], [7]),
        ([["1", _page(ONE)], ["2", _page([["2", _page(TWO)]])]], [ONE, TWO, [["2", _page(TWO)]]]),
    ],
    ids=["other first", "same page", "overlap", "empty page", "scalar", "maps and lists"],
)
def test_pages_that_are_not_as_their_list_says(value: object, pages: list[object]) -> None:
    store = _hierarchy(value, *pages)
    with pytest.raises(InvalidNodeError):
        dict(store)


def test_lists_nested_too_deep() -> None:
    backend = MappingCAStore()
    backend.put(b"x")
    value: object = backend.put(ONE)
    for _ in range(20):
        value = backend.put([["1", value]])
    store = Hierarchy(backend, root=value)
    with pytest.raises(InvalidNodeError, match="levels"):
        _ = store["1"]
    with pytest.raises(InvalidNodeError, match="levels"):
        list(store)


PAGES = [make_link(b"%d" % number, "dag-cbor") for number in range(100)]


def pages_with(loaded: set[int]) -> PageList:
    children = [Page({}, link, 0) if at in loaded else link for at, link in enumerate(PAGES)]
    return PageList([str(10 * at) for at in range(100)], children)


@pytest.mark.parametrize(
    ("loaded", "at", "ahead"),
    [
        ({0, 1}, 2, 0),
        ({0, 1, 2}, 3, 32),
        (set(range(0, 60, 4)), 60, 32),
        (set(range(0, 60, 5)), 60, 0),
        (set(range(70)), 60, 23),
        (set(range(100)), 60, 0),
        (set(range(90)), 95, 4),
    ],
)
def test_pages_ahead_are_those_after_many_that_were_wanted(
    loaded: set[int], at: int, ahead: int
) -> None:
    found = pages_ahead(pages_with(loaded), str(10 * at + 5), ())
    after = [number for number in range(at + 1, 100) if number not in loaded]
    assert found == [PAGES[number] for number in after[:ahead]]


def test_pages_under_way_were_wanted_too() -> None:
    assert pages_ahead(pages_with({0}), "35", PAGES[1:3]) == PAGES[4:36]
    assert pages_ahead(pages_with({0}), "35", PAGES[1:2]) == []


def test_pages_ahead_are_of_one_list() -> None:
    inner = pages_with({0, 1, 2, 3})
    outer = PageList(["0", "1000"], [inner, PAGES[0]])
    assert pages_ahead(outer, "45", ()) == PAGES[5:37]
    assert pages_ahead(outer, "1001", ()) == []
