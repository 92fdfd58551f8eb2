"""Copies that fail on the way: what is left of them, and what is said."""

import gc
import threading
import warnings
from importlib.metadata import version

import pytest
import zarr

import ipldstore
from ipldstore import (
    BackendError,
    DirectoryCAStore,
    InvalidKeyError,
    IPLDStore,
    MappingCAStore,
    MergeConflictError,
    ReadOnlyStoreError,
    UnfrozenChangesError,
)
from ipldstore.testing.faults import Fail, FaultyStore, at

ON_ZARR_2 = version("zarr").startswith("2.")
VALUES = {
    ".zgroup": b'{"zarr_format":2}',
    "a/.zarray": b"{}",
    **{f"a/{number}": b"%d" % number for number in range(50)},
}


class Failing(dict):
    """A store that fails at one key."""

    def __init__(self, values, key, error, at=("get", "set")):
        super().__init__(values)
        self.key, self.error, self.at = key, error, at

    def get(self, key, default=None):
        if key == self.key and "get" in self.at:
            raise self.error
        return super().get(key, default)

    def __setitem__(self, key, value):
        if key == self.key and "set" in self.at:
            raise self.error
        super().__setitem__(key, value)


@pytest.fixture
def target(tmp_path):
    """Return a frozen hierarchy with a key of its own, on a folder."""
    store = IPLDStore(DirectoryCAStore(tmp_path / "blocks"))
    store["mine"] = b"kept"
    store.freeze()
    return store


def stopped(values, size):
    if values == 20:
        raise KeyboardInterrupt


FAULTS = {
    "error": (Failing(VALUES, "a/7", RuntimeError("no line"), "get"), BackendError, {}),
    "system": (Failing(VALUES, "a/7", OSError(5, "no disk"), "get"), OSError, {}),
    "gone": (Failing({**VALUES, "a/x": None}, "", None), BackendError, {}),
    "type": ({**VALUES, "a/x": "text"}, TypeError, {}),
    "key": ({**VALUES, "a/7/8": b"below a value"}, InvalidKeyError, {}),
    "interrupt": (VALUES, KeyboardInterrupt, {"progress": stopped}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hierarchy_gets_all_or_nothing(target, fault):
    source, error, options = FAULTS[fault]
    before, keys = target.root_cid, dict(target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            ipldstore.copy(source, target, **options)
        del caught
        gc.collect()
    assert (target.root_cid, dict(target)) == (before, keys)
    ipldstore.copy(VALUES, target)
    assert dict(target) == {**VALUES, **keys}
    assert target.root_cid == target.freeze()


def test_whatever_call_of_the_block_store_fails():
    few = {key: VALUES[key] for key in list(VALUES)[:5]}
    origin = IPLDStore()
    origin["mine"] = b"kept"
    before, root = dict(origin), origin.freeze()
    complete, number = False, 0
    while not complete:
        number += 1
        blocks = FaultyStore(MappingCAStore(dict(origin.backend.mapping)))
        store = IPLDStore(blocks, root=root)
        assert dict(store) == before
        blocks.schedule = at(number, Fail(BackendError("the disk is full")))
        try:
            ipldstore.copy(few, store, workers=1)
            complete = True
            blocks.schedule = None
        except BackendError:
            blocks.schedule = None
            found = dict(store)
            assert found in (before, {**before, **few})
            assert found != before or store.root_cid == root
            ipldstore.copy(few, store)
        assert dict(store) == {**before, **few}
    assert number > 10


def test_a_group_of_a_hierarchy_gets_all_or_nothing(target):
    group = zarr.open_group(target, mode="a").create_group("in")
    target.freeze()
    before = dict(target)
    with pytest.raises(BackendError):
        ipldstore.copy(FAULTS["error"][0], group)
    assert dict(target) == before
    ipldstore.copy(VALUES, group)
    assert dict(target) == {**before, **{f"in/{key}": value for key, value in VALUES.items()}}


@pytest.mark.parametrize("fault", ["error", "system", "type"])
def test_what_failed_names_the_key(fault):
    source, error, _ = FAULTS[fault]
    with pytest.raises(error) as caught:
        ipldstore.copy(source, {})
    told = " ".join((str(caught.value), *getattr(caught.value, "__notes__", ())))
    assert "'a/x'" in told if fault == "type" else "cannot read 'a/7' of Failing" in told


def test_a_target_that_fails_names_the_key():
    with pytest.raises(BackendError, match="cannot write 'a/7' to Failing: no room") as caught:
        ipldstore.copy(VALUES, Failing({}, "a/7", RuntimeError("no room"), ("set",)))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_message_of_others_shows_no_password():
    error = RuntimeError("cannot reach https://me:secret@example.org/x?sig=hidden")
    with pytest.raises(BackendError, match=r"https://example\.org/x") as caught:
        ipldstore.copy(Failing(VALUES, "a/7", error), {})
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_others_may_write_meanwhile(target):
    def write(values, size):
        target[f"other/{values}"] = b"meanwhile"

    ipldstore.copy(VALUES, target, progress=write)
    others = {f"other/{number + 1}": b"meanwhile" for number in range(len(VALUES))}
    assert dict(target) == {"mine": b"kept", **VALUES, **others}


def test_two_copies_into_one_hierarchy(target):
    threads = [
        threading.Thread(
            target=ipldstore.copy, args=({f"{name}/{key}": VALUES[key] for key in VALUES}, target)
        )
        for name in "xyz"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(target) == 1 + 3 * len(VALUES)


def test_the_same_key_changed_meanwhile(target):
    def write(values, size):
        target["a/7"] = b"other"

    with pytest.raises(MergeConflictError) as caught:
        ipldstore.copy(VALUES, target, progress=write)
    assert caught.value.keys == ("a/7",)
    assert dict(target) == {"mine": b"kept", "a/7": b"other"}


def test_what_cannot_be_written_to_is_said_first(target):
    moved = []

    def progress(values, size):
        moved.append(values)

    source = IPLDStore()
    source["a/0"] = b"chunk"
    for only_reads in (target.with_read_only(True), IPLDStore(read_only=True)):
        for origin in (source, VALUES):
            with pytest.raises(ReadOnlyStoreError):
                ipldstore.copy(origin, only_reads, progress=progress)
    target["mine"] = b"changed"
    with pytest.raises(UnfrozenChangesError):
        ipldstore.copy(source, target, progress=progress)
    assert moved == []
    assert not target.backend.has(source.freeze())


@pytest.mark.skipif(not ON_ZARR_2, reason="stores of zarr-python 2")
def test_zarr_2_stores_that_only_read(tmp_path):
    pytest.importorskip("fsspec")
    with pytest.raises(ReadOnlyStoreError):
        ipldstore.copy(VALUES, zarr.storage.FSStore(str(tmp_path / "x"), mode="r"))


def test_without_a_fault_nothing_is_lost(target):
    assert ipldstore.copy(VALUES, target).blocks == len(VALUES)
    blocks = MappingCAStore()
    ipldstore.copy(target, blocks)
    assert dict(IPLDStore(blocks, root=target.root_cid)) == {**VALUES, "mine": b"kept"}
