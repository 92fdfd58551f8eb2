"""Stores that are pickled, in their own process and to others, which only read."""

import pickle
from multiprocessing import get_context

import pytest
from watched import CountingStore
from writers import use_copy

from ipldstore import DirectoryCAStore, IPLDStore, MappingCAStore

CONTENT = {"a/0": b"zero", "a/.zattrs": b'{"b":1}', "b": b""}


@pytest.fixture(params=["dict", "folder"])
def store(request, tmp_path):
    backend = MappingCAStore() if request.param == "dict" else DirectoryCAStore(tmp_path)
    store = IPLDStore(backend)
    store.update(CONTENT)
    return store


def test_in_the_same_process_it_is_the_same_store(store):
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store
    assert copy is not store
    copy["c"] = b"through the copy"
    assert store["c"] == b"through the copy"
    store["d"] = b"through the store"
    assert copy["d"] == b"through the store"
    assert copy.freeze() == store.root_cid
    assert copy.backend is store.backend


def test_a_view_stays_read_only(store):
    copy = pickle.loads(pickle.dumps(store.with_read_only(True)))
    assert copy.read_only
    assert not store.read_only


def test_what_is_not_frozen_is_in_the_pickle(store):
    assert store.root_cid is None
    pickle.dumps(store)
    assert dict(store.items()) == CONTENT
    store["c"] = b"later"
    copy = pickle.loads(pickle.dumps(store))
    assert copy["c"] == b"later"


def test_pickling_an_empty_store_puts_nothing():
    store = IPLDStore(CountingStore())
    copy = pickle.loads(pickle.dumps(store))
    assert not copy
    assert not store.backend.puts


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("frozen", [False, True])
def test_another_process_reads_and_does_not_write(store, method, frozen):
    if frozen:
        store.freeze()
    context = get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=use_copy, args=(there, store))
    process.start()
    there.close()
    content, tries = here.recv()
    read_only, root, content_after = here.recv()
    process.join()
    assert content == content_after == CONTENT
    assert read_only
    assert all(tries.values()), tries
    for name, (error, message) in tries.items():
        assert error == "DetachedStoreError", name
        assert "store.fork()" in message
    assert dict(store.items()) == CONTENT
    assert not store.read_only
    assert str(store.freeze()) == root
    store["c"] = b"still writable"
