"""How much is loaded to read, and how much is put to freeze."""

import pytest
from watched import CountingStore

from ipldstore import IPLDStore


@pytest.fixture
def store():
    """Three directories of 300 keys in blocks of their own, below one that is a block too."""
    store = IPLDStore(CountingStore())
    for name in "abc":
        for index in range(300):
            store[f"top/{name}/{index}"] = f"{name}{index}".encode()
    store["top/.zattrs"] = b'{"text":"' + b"x" * 8_100 + b'"}'
    store["small/0"] = b"small"
    store.freeze()
    store.backend.reset()
    return store


@pytest.fixture
def reopened(store):
    fresh = IPLDStore(store.backend, root=store.root_cid)
    assert store.backend.gets == [str(store.root_cid)]
    store.backend.reset()
    return fresh


def test_a_new_store_puts_one_root():
    store = IPLDStore(CountingStore())
    store["a/b/c"] = b"value"
    assert store.backend.puts == ["raw"]
    store.freeze()
    assert store.backend.puts == ["raw", "dag-cbor"]
    assert not store.backend.gets


def test_reading_a_key_loads_the_nodes_on_its_way(reopened):
    gets = reopened.backend.gets
    assert reopened["small/0"] == b"small"
    assert len(gets) == 1, "the value; its directory is inlined in the root"
    assert reopened["top/a/7"] == b"a7"
    assert len(gets) == 4, "top, a and the value"
    assert reopened["top/a/8"] == b"a8"
    assert len(gets) == 5, "the value"


def test_looking_for_keys_loads_no_value(reopened):
    gets = reopened.backend.gets
    assert bool(reopened)
    assert "nothing" not in reopened
    assert "small/1" not in reopened
    assert not gets
    assert "top/a/7" in reopened
    assert len(gets) == 2
    assert len(reopened) == 902
    assert len(list(reopened)) == 902
    assert len(gets) == len(set(gets)) == 4, "top, a, b and c, once each"


def test_a_loaded_store_freezes_without_work(reopened):
    root = reopened.root_cid
    assert len(list(reopened.items())) == 902
    assert reopened.freeze() == root
    assert not reopened.backend.puts


def test_opening_loads_the_root_only(store):
    store.set_root(store.root_cid)
    assert store.backend.gets == [str(store.root_cid)]


@pytest.mark.parametrize(
    ("key", "nodes"), [("new", 1), ("small/0", 1), ("top/new", 2), ("top/b/7", 3), ("top/d/0", 2)]
)
def test_a_freeze_puts_the_nodes_on_the_way_of_a_change(reopened, key, nodes):
    reopened[key] = b"changed"
    reopened.backend.reset()
    root = reopened.freeze()
    assert reopened.backend.puts == ["dag-cbor"] * nodes
    assert not reopened.backend.gets
    reopened.freeze()
    assert len(reopened.backend.puts) == nodes
    assert IPLDStore(reopened.backend, root=root)[key] == b"changed"


def test_a_write_that_changes_nothing_freezes_nothing(reopened):
    root = reopened.root_cid
    reopened["top/a/7"] = b"a7"
    assert reopened.root_cid == root
    reopened.backend.reset()
    assert reopened.freeze() == root
    assert not reopened.backend.puts


def test_a_value_is_put_when_it_is_written(store):
    store["top/a/7"] = b"new"
    assert store.backend.puts == ["raw"]
    store["top/.zgroup"] = b"{}"
    assert store.backend.puts == ["raw"]


def test_a_change_among_pages_puts_its_pages_only():
    store = IPLDStore(CountingStore())
    for index in range(7_000):
        store[f"v/{index}"] = b"same"
    store.freeze()
    pages = store.backend.puts.count("dag-cbor") - 1
    assert pages >= 5
    reopened = IPLDStore(store.backend, root=store.root_cid)
    store.backend.reset()
    assert reopened["v/3500"] == b"same"
    assert len(store.backend.gets) == 2, "the page and the value"
    reopened["v/3500"] = b"changed"
    store.backend.reset()
    reopened.freeze()
    assert 2 <= len(store.backend.puts) <= 3
