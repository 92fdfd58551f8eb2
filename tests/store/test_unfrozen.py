"""What was written and never frozen: said when it is lost, and not given up by the way."""

import gc
import os
import pickle
import subprocess
import sys
import warnings

import pytest
import zarr

import ipldstore
from ipldstore import (
    BackendError,
    CARStore,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    UnfrozenChangesError,
    UnfrozenChangesWarning,
)

pytestmark = pytest.mark.filterwarnings("default::ipldstore.errors.UnfrozenChangesWarning")


def said_of(make):
    """Return what is said when a store that a function makes is garbage."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = make()
        del store
        gc.collect()
    assert all(entry.category is UnfrozenChangesWarning for entry in caught)
    return [str(entry.message) for entry in caught]


def written(backend, keys=("a/0", "a/1", "b"), **options):
    store = IPLDStore(backend, **options)
    for key in keys:
        store[key] = b"value"
    return store


@pytest.mark.parametrize("make", [DirectoryCAStore, lambda path: CARStore(path / "x.car")])
def test_garbage_with_changes_says_so(make, tmp_path):
    backend = make(tmp_path)
    (text,) = said_of(lambda: written(backend))
    assert text == (
        f"changes to 3 keys in a store on {backend!r} are lost: call store.freeze() once all is "
        "written, again if it failed, or write within `with store:`"
    )
    assert "1 key " in said_of(lambda: written(backend, ["a"]))[0]


def test_keys_are_counted_once_and_up_to_a_bound(tmp_path):
    backend = DirectoryCAStore(tmp_path)

    def many():
        store = written(backend, ["a", "a"])
        store["a"] = b"other"
        for index in range(count):
            store[f"c/{index}"] = b""
        return store

    count = 999
    assert "changes to 1,000 keys" in said_of(many)[0]
    count = 2_000
    assert "changes to more than 1,000 keys" in said_of(many)[0]


def test_deleting_is_a_change_too(tmp_path):
    backend = DirectoryCAStore(tmp_path)
    root = written(backend).freeze()

    def delete():
        store = IPLDStore(backend, root=root)
        del store["a/0"]
        return store

    assert "1 key " in said_of(delete)[0]


def frozen(store):
    store.freeze()
    return store


def exported(store):
    store.to_car()
    return store


def cleared(store):
    store.clear()
    return store


def discarded(store):
    root = IPLDStore(store.backend).freeze()
    store.set_root(root, discard=True)
    return store


def merged(store):
    fork = store.fork()
    store.freeze()
    fork["c"] = b"in the fork"
    store.merge(fork)
    store.freeze()
    return fork


def pickled(store):
    fork = store.fork()
    store.freeze()
    fork["c"] = b"in the fork"
    pickle.dumps(fork)
    return fork


def copied(store):
    return pickle.loads(pickle.dumps(frozen(store)))


def unchanged(store):
    root = store.freeze()
    store = IPLDStore(store.backend, root=root)
    store["b"] = b"value"
    return store


@pytest.mark.parametrize(
    "end",
    [frozen, exported, cleared, discarded, merged, pickled, copied, unchanged],
    ids=lambda end: end.__name__,
)
def test_nothing_is_said_where_nothing_is_lost(end, tmp_path):
    backend = DirectoryCAStore(tmp_path)
    assert said_of(lambda: end(written(backend))) == []


def test_nothing_is_said_of_blocks_in_memory():
    assert said_of(lambda: written(MappingCAStore({}))) == []
    assert said_of(lambda: written(None)) == []


def test_a_fork_that_nobody_merged_says_so(tmp_path):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    store["a"] = b"value"
    store.freeze()

    def fork():
        fork = store.fork()
        fork["b"] = b"value"
        return fork

    (text,) = said_of(fork)
    assert text.endswith("are lost: store.merge(fork) brings the changes of a fork into its store")


def test_a_freeze_that_failed_leaves_the_changes_to_be_lost(tmp_path):
    class Full(DirectoryCAStore):
        def flush(self):
            raise BackendError("disk full")

    def make():
        store = written(Full(tmp_path))
        with pytest.raises(BackendError):
            store.freeze()
        return store

    assert "changes to 3 keys" in said_of(make)[0]


SCRIPT = """
import sys, os, ipldstore
store = ipldstore.open(sys.argv[1], read_only=False)
store["a/0"] = store["a/1"] = b"chunk"
if sys.argv[2] == "fork":
    if os.fork() == 0:
        sys.exit()
    os.wait()
if sys.argv[2] != "forget":
    store.freeze()
"""


@pytest.mark.parametrize(("end", "said"), [("forget", 1), ("freeze", 0), ("fork", 0)])
def test_a_script_that_ends(end, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "blocks", end],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr.count("UnfrozenChangesWarning: changes to 2 keys") == said, done.stderr
    assert bool(done.stderr) == bool(said)


def test_with_freezes(tmp_path):
    with ipldstore.open(tmp_path / "blocks", read_only=False) as store:
        zarr.open_group(store, mode="w")
        store["a/0"] = b"chunk"
    root = store.root_cid
    assert root is not None
    assert ipldstore.open(root, tmp_path / "blocks")["a/0"] == b"chunk"


def test_with_freezes_an_archive_and_lets_go_of_it(tmp_path):
    path = tmp_path / "x.car"
    with ipldstore.open(path, read_only=False) as store:
        store["a/0"] = b"chunk"
    with ipldstore.open(path, read_only=False) as other:
        assert dict(other) == {"a/0": b"chunk"}
        other["a/1"] = b"more"
    assert dict(ipldstore.open(path)) == {"a/0": b"chunk", "a/1": b"more"}


def test_with_does_not_freeze_after_an_exception(tmp_path):
    path = tmp_path / "x.car"
    with ipldstore.open(path, read_only=False) as store:
        store["a/0"] = b"chunk"
    root = store.root_cid
    with pytest.raises(ZeroDivisionError), store:
        store["a/1"] = b"half"
        raise ZeroDivisionError
    assert store.root_cid is None
    assert ipldstore.open(path).root_cid == root
    store.clear()


def test_with_on_a_store_that_only_reads(tmp_path):
    root = frozen(written(DirectoryCAStore(tmp_path))).root_cid
    with ipldstore.open(root, tmp_path) as store:
        assert store["b"] == b"value"
    assert store["b"] == b"value"


def test_opening_another_root_keeps_changes(tmp_path):
    backend = DirectoryCAStore(tmp_path)
    store = written(backend)
    root = store.freeze()
    store.set_root(root)
    store["c"] = b"not frozen"
    with pytest.raises(UnfrozenChangesError, match="changes to 1 key would be lost: freeze"):
        store.set_root(root)
    assert store["c"] == b"not frozen"
    with pytest.raises(UnfrozenChangesError, match="discard=True"):
        store.import_car(IPLDStore().to_car())
    store["d"] = b"not frozen"
    store.set_root(root, discard=True)
    assert store.root_cid == root
    assert "c" not in store


def test_opening_another_root_after_clearing():
    store = written(None)
    root = store.freeze()
    store["c"] = b"not frozen"
    store.clear()
    store.set_root(root)
    assert store["b"] == b"value"


def test_pickles_of_before_and_after_a_change():
    """Each gives back what was there when it was made, once the store itself is gone."""
    blocks = MappingCAStore({})
    store = IPLDStore(blocks)
    store["a"] = b"old"
    early = pickle.dumps(store)
    store["a"] = b"new"
    late = pickle.dumps(store)
    assert pickle.loads(early)["a"] == pickle.loads(late)["a"] == b"new", "the store itself"
    del store
    gc.collect()
    first, second = pickle.loads(early), pickle.loads(late)
    assert (first["a"], second["a"]) == (b"old", b"new")
    again = pickle.loads(early)
    first["b"] = b"by another holder of the same pickle"
    assert again["b"] == b"by another holder of the same pickle"
    assert "b" not in second
    kept = pickle.dumps(first)
    del first, again
    gc.collect()
    assert pickle.loads(kept)["b"] == b"by another holder of the same pickle"
    assert "b" not in pickle.loads(early)


def test_a_process_that_is_gone_leaves_no_word(tmp_path):
    """A forked process that ends has nothing of its own to lose."""
    store = written(DirectoryCAStore(tmp_path))
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.dup2(write, 2)
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                del store
                gc.collect()
        finally:
            os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read, "rb") as stream:
        assert stream.read() == b""
    store.freeze()
