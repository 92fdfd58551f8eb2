"""Merging forks: conflicts, rules, deletes, and that nothing changes when it fails."""

import pickle
from collections.abc import Callable

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    DirectoryCAStore,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
    MergeConflictError,
    ReadOnlyStoreError,
)

BASE = {"a/.zarray": b'{"a":1}', "a/0": b"0", "a/1": b"1", "b/c/0": b"c"}
BIG = b'{"long":"%s"}' % (b"x" * 9000)
KEYS = st.sampled_from(["a/0", "a/1", "a/2", "b/c/0", "b/d", "e", "a/.zarray", ".zattrs"])
VALUES = st.one_of(st.none(), st.sampled_from([b"0", b"1", b"new", b'{"a":1}', BIG]))


@pytest.fixture
def store() -> IPLDStore:
    store = IPLDStore()
    store.update(BASE)
    return store


def write(fork: IPLDStore, changes: dict[str, bytes | None]) -> IPLDStore:
    for key, value in changes.items():
        if value is None:
            fork.pop(key, None)
        else:
            fork[key] = value
    return fork


def two(store: IPLDStore, one: dict, other: dict) -> list[IPLDStore]:
    return [write(store.fork(), changes) for changes in (one, other)]


DISAGREEING = {
    "two values": ({"a/0": b"x"}, {"a/0": b"y"}, ("a/0",)),
    "set and deleted": ({"a/0": b"x"}, {"a/0": None}, ("a/0",)),
    "new in both": ({"n": b"x", "m": b"x"}, {"n": b"y", "m": b"y"}, ("m", "n")),
    "documents": ({"a/.zarray": b'{"a":2}'}, {"a/.zarray": b'{"a":3}'}, ("a/.zarray",)),
    "value and directory": ({"n": b"x"}, {"n/0": b"y"}, ("n", "n/0")),
    "directory and value": ({"n/o/0": b"y"}, {"n": b"x"}, ("n", "n/o/0")),
    "value for a directory": ({"a/5": b"y"}, dict.fromkeys(BASE) | {"a": b"x"}, ("a", "a/5")),
}


@pytest.mark.parametrize("case", DISAGREEING)
def test_forks_that_disagree(store, case):
    one, other, keys = DISAGREEING[case]
    with pytest.raises(MergeConflictError) as caught:
        store.merge(*two(store, one, other))
    assert caught.value.keys == keys
    assert all(repr(key) in str(caught.value) for key in caught.value.keys)
    assert dict(store) == BASE
    assert store.freeze() == IPLDStore(store.backend, root=store.root_cid).freeze()


def test_many_conflicts_are_counted_and_the_first_named(store):
    keys = [f"n/{number}" for number in range(9)]
    with pytest.raises(MergeConflictError, match=r"9 keys .*'n/0', .*'n/4' and 4 more") as caught:
        store.merge(*two(store, dict.fromkeys(keys, b"x"), dict.fromkeys(keys, b"y")))
    assert caught.value.keys == tuple(keys)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.keys) == (MergeConflictError, str(caught.value), copy.keys)
    assert copy.keys == caught.value.keys


AGREEING = {
    "the same value": ({"a/0": b"x"}, {"a/0": b"x"}, BASE | {"a/0": b"x"}),
    "the same delete": ({"a/0": None}, {"a/0": None}, {k: BASE[k] for k in BASE if k != "a/0"}),
    "back to the old value": ({"a/0": b"0"}, {"a/0": b"y"}, BASE | {"a/0": b"y"}),
    "the same document": ({"a/.zarray": b'{ "a": 1 }'}, {}, BASE),
    "a big document": ({"e/.zattrs": BIG}, {"e/.zattrs": BIG}, BASE | {"e/.zattrs": BIG}),
}


@pytest.mark.parametrize("case", AGREEING)
def test_forks_that_agree(store, case):
    one, other, expected = AGREEING[case]
    store.merge(*two(store, one, other))
    assert dict(store) == expected


def test_a_change_in_the_store_since_is_a_conflict(store):
    fork = write(store.fork(), {"a/0": b"x"})
    store["a/0"] = b"y"
    with pytest.raises(MergeConflictError, match="'a/0'"):
        store.merge(fork)
    store["a/0"] = b"x"
    store.merge(fork)
    assert store["a/0"] == b"x"


def test_a_new_value_in_the_store_where_a_fork_made_a_directory(store):
    fork = write(store.fork(), {"n/0": b"x", "a/9": b"9"})
    store["n"] = b"y"
    with pytest.raises(MergeConflictError) as caught:
        store.merge(fork)
    assert caught.value.keys == ("n/0",)
    assert dict(store) == BASE | {"n": b"y"}


def test_a_rule_settles_conflicts(store):
    asked: list[tuple[str, list[bytes | None]]] = []

    def last(key: str, values: list[bytes | None]) -> bytes | None:
        asked.append((key, values))
        return values[-1]

    forks = two(store, {"a/0": b"x", "a/1": b"x", "n": b"x"}, {"a/0": b"y", "a/1": None})
    store["a/0"] = b"mine"
    store.merge(*forks, on_conflict=last)
    assert dict(asked) == {"a/0": [b"mine", b"x", b"y"], "a/1": [b"x", None]}
    assert dict(store) == {k: BASE[k] for k in BASE if k != "a/1"} | {"a/0": b"y", "n": b"x"}


def test_a_rule_that_raises_changes_nothing(store):
    def refuse(key: str, values: list[bytes | None]) -> bytes | None:
        raise RuntimeError(key)

    forks = two(store, {"a/0": b"x", "n": b"x"}, {"a/0": b"y"})
    with pytest.raises(RuntimeError, match="a/0"):
        store.merge(*forks, on_conflict=refuse)
    assert dict(store) == BASE


def test_merging_again_does_no_harm(store):
    fork = write(store.fork(), {"a/0": b"x", "a/1": None, "e/.zattrs": BIG})
    store.merge(fork, fork)
    root = store.freeze()
    store.merge(fork)
    assert store.freeze() == root
    again = IPLDStore(store.backend, root=root)
    again.merge(fork)
    assert again.freeze() == root


def clear(fork: IPLDStore) -> None:
    fork.clear()


def delete_directory(fork: IPLDStore) -> None:
    fork._remove_directory("a")


def delete_by_zarr(fork: IPLDStore) -> None:
    if hasattr(fork, "rmdir"):
        fork.rmdir("a")
    else:
        from zarr.core.sync import sync

        sync(fork.delete_dir("a"))


@pytest.mark.parametrize("delete", [clear, delete_directory, delete_by_zarr])
def test_deleted_directories_are_remembered(store, delete: Callable[[IPLDStore], None]):
    fork = store.fork()
    delete(fork)
    fork["a/1"] = b"1"
    store["a/7"] = b"since"
    kept = {"a/1": b"1", "a/7": b"since"}
    store.merge(fork)
    assert dict(store) == (kept if delete is clear else kept | {"b/c/0": b"c"})


def test_forks_of_forks(store):
    fork = write(store.fork(), {"a/0": b"x"})
    fork.merge(*two(fork, {"a/2": b"2"}, {"a/3": b"3", "a/0": None}))
    before = dict(fork)
    for one, other in ({"e": b"1"}, {"e": b"2"}), ({"n": b"x", "a/3": None}, {"n/0": b"y"}):
        with pytest.raises(MergeConflictError):
            fork.merge(*two(fork, one, other))
        assert dict(fork) == before
    store.merge(fork)
    rest = {k: BASE[k] for k in BASE if k != "a/0"}
    assert dict(store) == rest | {"a/2": b"2", "a/3": b"3"}


def test_only_forks_are_merged_and_only_writable_stores_forked(store):
    for other in IPLDStore(), {}:
        with pytest.raises(TypeError, match=r"fork\(\)"):
            store.merge(other)
    with pytest.raises(ReadOnlyStoreError):
        store.with_read_only(True).fork()
    with pytest.raises(ReadOnlyStoreError):
        store.with_read_only(True).merge(store.fork())


def test_a_fork_with_its_blocks_elsewhere_is_refused(store, tmp_path):
    other = IPLDStore(DirectoryCAStore(tmp_path))
    with pytest.raises(BlockNotFoundError, match="a/5"):
        store.merge(write(other.fork(), {"a/5": b"far away"}))
    assert dict(store) == BASE


class Failing(MappingCAStore):
    """Fails to read when told to."""

    fails = False

    def get_raw(self, cid):
        if self.fails:
            raise BackendError("no answer", retryable=True)
        return super().get_raw(cid)


def test_a_backend_that_fails_changes_nothing():
    store = IPLDStore(Failing())
    store.update({f"a/{number}": bytes(40) + b"%d" % number for number in range(20_000)})
    root = store.freeze()
    forks = two(store, {"a/7": None}, {"a/19999": b"x"})
    store.set_root(root)
    assert "a/7" in store
    store.backend.fails = True
    with pytest.raises(BackendError):
        store.merge(*forks)
    store.backend.fails = False
    assert store.root_cid == root
    assert store["a/7"] == bytes(40) + b"7"
    store.merge(*forks)
    assert "a/7" not in store
    assert store["a/19999"] == b"x"


@settings(max_examples=examples(60), deadline=None)
@given(
    base=st.dictionaries(KEYS, VALUES, max_size=6),
    changes=st.dictionaries(KEYS, st.tuples(VALUES, st.integers(0, 2)), max_size=8),
    pickled=st.booleans(),
)
def test_changes_split_over_forks_are_as_those_of_one_store(base, changes, pickled):
    store = write(IPLDStore(), base)
    alone = write(IPLDStore(), base)
    forks = [store.fork() for _ in range(3)]
    for key, (value, number) in changes.items():
        write(forks[number], {key: value})
        write(alone, {key: value})
    if pickled:
        forks = [pickle.loads(pickle.dumps(fork)) for fork in forks]
    for fork in forks:
        reopened = IPLDStore(fork.backend, root=fork.freeze())
        assert dict(reopened) == dict(fork)
    store.merge(*forks)
    assert dict(store) == dict(alone)
    assert store.freeze() == alone.freeze()


def test_a_fork_holds_no_more_keys_than_it_may():
    """It notes each key that it deletes; three blocks can stand for a million millions."""
    backend = MappingCAStore({})
    cid = backend.put(b"chunk")
    for _ in range(4):
        cid = backend.put({str(number): cid for number in range(1000)})
    fork = IPLDStore(backend, root=cid).fork()
    with pytest.raises(LimitExceededError, match="stand for 1,000,000,000,000 keys"):
        fork.clear()
    assert fork["1/2/3/4"] == b"chunk"


def test_a_rule_may_look_into_the_store(store):
    first, second = store.fork(), store.fork()
    first["b/c/0"], second["b/c/0"] = b"one", b"two"
    store.merge(first, second, on_conflict=lambda key, values: store[key] + values[0])
    assert store["b/c/0"] == b"cone"


def test_a_conflict_that_changes_while_a_rule_is_asked_is_asked_again(store):
    first, second = store.fork(), store.fork()
    first["b/c/0"], second["b/c/0"] = b"one", b"two"
    asked = []

    def rule(key, values):
        asked.append(values)
        store[key] = b"meanwhile"
        return b"settled"

    store.merge(first, second, on_conflict=rule)
    assert asked == [[b"one", b"two"], [b"meanwhile", b"one", b"two"]]
    assert store["b/c/0"] == b"settled"


def test_changes_are_merged_without_the_fork(store):
    fork = write(store.fork(), {"a/5": b"new"})
    changes = pickle.loads(pickle.dumps(fork.take_changes()))
    fork.abandon()
    store.merge(changes)
    assert dict(store) == BASE | {"a/5": b"new"}
    with pytest.raises(TypeError, match=r"fork\(\)"):
        store.take_changes()
