"""Archives of many blocks pass through a process that holds one of them at a time."""

import tracemalloc
from contextlib import contextmanager

import pytest

from ipldstore import DirectoryCAStore, IPLDStore

BLOCK = 1 << 20
BLOCKS = 64
MOST = 8 * BLOCK


@contextmanager
def bounded_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = IPLDStore(DirectoryCAStore(tmp_path_factory.mktemp("memory") / "blocks"))
    for i in range(BLOCKS):
        store[f"a/{i}"] = bytes([i]) * BLOCK
    store.freeze()
    return store


def test_export_and_import(store, tmp_path):
    path = tmp_path / "a.car"
    with bounded_memory():
        size = store.to_car(path)
    assert BLOCKS * BLOCK < size == path.stat().st_size < BLOCKS * (BLOCK + 100)
    copy = IPLDStore(DirectoryCAStore(tmp_path / "copy"))
    with bounded_memory():
        assert copy.import_car(path) == store.root_cid
    assert copy["a/63"] == b"\x3f" * BLOCK


def test_export_of_more_links_than_blocks(tmp_path):
    store = IPLDStore()
    for i in range(20_000):
        store[f"a/{i}"] = b"the same"
    store.freeze()
    with bounded_memory():
        assert store.to_car(tmp_path / "a.car") < 2 * BLOCK
