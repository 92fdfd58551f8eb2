"""Forks in other processes: what they write comes back and is merged."""

import multiprocessing
import pickle
from collections import UserDict
from concurrent.futures import ProcessPoolExecutor

import pytest
from fork_work import change, fork_and_change, write_chunks

from ipldstore import (
    DirectoryCAStore,
    IPLDStore,
    IPLDStoreError,
    MappingCAStore,
    ReadOnlyStoreError,
)

PROCESSES = 8
CHUNKS = 500


@pytest.fixture(scope="module")
def pool():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fork_work"])
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        yield pool


@pytest.fixture
def store(tmp_path) -> IPLDStore:
    return IPLDStore(DirectoryCAStore(tmp_path / "blocks"))


def test_eight_processes_write_as_one_does(store, pool):
    store["a/.zarray"] = b'{"zarr_format":2}'
    forks = [store.fork() for _ in range(PROCESSES)]
    firsts = [number * CHUNKS for number in range(PROCESSES)]
    store.merge(*pool.map(write_chunks, forks, firsts, [CHUNKS] * PROCESSES))
    assert store.root_cid is None
    root = store.freeze()

    alone = IPLDStore()
    alone["a/.zarray"] = b'{"zarr_format":2}'
    assert root == write_chunks(alone, 0, PROCESSES * CHUNKS).freeze()

    opened = IPLDStore(DirectoryCAStore(store.backend.path), root=root)
    assert len(opened) == PROCESSES * CHUNKS + 1
    for number in range(PROCESSES * CHUNKS):
        assert opened[f"a/{number}"] == b"chunk %d" % number


def test_a_fork_sees_what_the_store_held_when_it_was_made(store, pool):
    store["a/0"] = b"old"
    fork = store.fork()
    store["a/0"] = b"new"
    del store["a/0"]
    back = pool.submit(change, fork, {"a/1": b"one"}, ["a/0"]).result()
    assert dict(fork) == {"a/0": b"old"}
    assert dict(back) == {"a/1": b"one"}


def test_deletes_come_back(store, pool):
    store.update({"a/0": b"0", "a/1": b"1", "b/0": b"b"})
    back = pool.submit(change, store.fork(), {}, ["a/0", "b/0"]).result()
    store.merge(back)
    assert dict(store) == {"a/1": b"1"}


def test_a_copy_of_the_store_cannot_be_written_but_forked(store, pool):
    store["a/0"] = b"0"
    with pytest.raises(ReadOnlyStoreError, match=r"fork\(\).*merge\(\).*distributed\.to_zarr"):
        pool.submit(change, store, {"a/1": b"1"}, []).result()
    store.merge(pool.submit(fork_and_change, store, {"a/1": b"1"}).result())
    assert dict(store) == {"a/0": b"0", "a/1": b"1"}


@pytest.mark.parametrize("mapping", [dict, UserDict])
def test_a_fork_on_blocks_in_memory_refuses_to_write_elsewhere(mapping, pool):
    store = IPLDStore(MappingCAStore(mapping()))
    store["a/0"] = b"0"
    for fork in store.fork(), store:
        task = change if fork is not store else fork_and_change
        arguments = [{"a/1": b"1"}, []] if task is change else [{"a/1": b"1"}]
        with pytest.raises(ReadOnlyStoreError, match="on a block store that only that one"):
            pool.submit(task, fork, *arguments).result()


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_pickled_fork_of_the_same_process_keeps_its_blocks(where, tmp_path):
    store = IPLDStore(MappingCAStore() if where == "memory" else DirectoryCAStore(tmp_path))
    store["a/0"] = b"0"
    fork = store.fork()
    copy = pickle.loads(pickle.dumps(fork))
    copy["a/1"] = b"1"
    assert "a/1" not in fork
    store.merge(copy)
    assert IPLDStore(store.backend, root=store.freeze())["a/1"] == b"1"


@pytest.mark.parametrize("use", ["written", "read"])
def test_a_fork_that_was_used_travels_to_be_merged_only(use, store, pool):
    fork = store.fork()
    if use == "written":
        fork["a/0"] = b"0"
    expected = {"a/0": b"0"} if "a/0" in fork else {}
    with pytest.raises(ReadOnlyStoreError, match="used before it came here"):
        pool.submit(change, fork, {"a/1": b"1"}, []).result()
    part = pool.submit(fork_and_change, fork, {"a/1": b"1"}).result()
    store.merge(fork, part)
    assert dict(store) == expected | {"a/1": b"1"}
    copy = pickle.loads(pickle.dumps(fork))
    assert copy.read_only
    assert dict(copy) == expected
    assert copy.freeze() == fork.freeze()


def test_a_fork_keeps_to_its_root(store):
    store["a/0"] = b"0"
    root = store.freeze()
    fork = store.fork()
    with pytest.raises(IPLDStoreError, match="keeps to the root"):
        fork.set_root(root)
    with pytest.raises(IPLDStoreError, match="keeps to the root"):
        fork.import_car(store.to_car())
    assert fork.root_cid == root
