"""Several stores as one: order, race, and which error says that none has a block."""

import asyncio
import pickle
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from layer_stores import CountingSource, FailingSource, GatedSource, LyingSource

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    InvalidCIDError,
    IPLDStore,
    MappingCAStore,
)
from ipldstore.backends.layers.union import UnionCAStore
from ipldstore.cid import as_link, make_link

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"


class BrokenSource(CountingSource):
    """Raises what no store should."""

    def get_raw(self, cid):
        raise OSError("surprise")

    async def get_raw_async(self, cid):
        raise OSError("surprise")


def good(kind=CountingSource):
    return kind({HELLO: b"hello"})


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("ipldstore.backends.health.time", SimpleNamespace(monotonic=clock))
    return clock


MAKERS = {
    "good": good,
    "missing": CountingSource,
    "lying": LyingSource,
    "failing": FailingSource,
    "broken": BrokenSource,
}


@pytest.fixture(params=["threads", "tasks"])
def read(request):
    if request.param == "threads":
        return lambda store, cid: store.get_block(cid)
    return lambda store, cid: asyncio.run(store.get_block_async(cid))


@pytest.fixture(params=[False, True], ids=["in order", "race"])
def race(request):
    return request.param


@pytest.mark.parametrize("order", [*permutations(["good", "missing", "lying", "failing"])])
def test_good_store_is_found_in_any_order(read, race, order):
    store = UnionCAStore(*(MAKERS[name]() for name in order), race=race)
    assert read(store, HELLO) == b"hello"


@pytest.mark.parametrize(
    ("names", "error", "retryable"),
    [
        (["missing"], BlockNotFoundError, None),
        (["missing", "missing"], BlockNotFoundError, None),
        (["lying"], CorruptBlockError, None),
        (["missing", "lying"], CorruptBlockError, None),
        (["failing"], BackendError, True),
        (["missing", "failing"], BackendError, True),
        (["lying", "failing"], BackendError, True),
        (["missing", "lying", "failing"], BackendError, True),
        (["missing", "broken"], BackendError, False),
        (["failing", "broken"], BackendError, True),
    ],
)
def test_error_says_what_is_known(read, race, names, error, retryable):
    for order in permutations(names):
        store = UnionCAStore(*(MAKERS[name]() for name in order), race=race)
        with pytest.raises(error) as caught:
            read(store, HELLO)
        assert type(caught.value) is error
        assert getattr(caught.value, "retryable", None) is retryable
        assert HELLO in str(caught.value)
        assert not isinstance(caught.value, KeyError)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (type(copy), str(copy)) == (error, str(caught.value))


def test_error_names_each_store_and_reason(tmp_path):
    folder = DirectoryCAStore(tmp_path / "blocks")
    store = UnionCAStore(folder, LyingSource(), FailingSource(retryable=False))
    with pytest.raises(BackendError) as caught:
        store.get_block(HELLO)
    assert str(caught.value) == (
        f"block {HELLO} cannot be had from any of 3 stores: "
        f"{folder!r}: BlockNotFoundError: no block {HELLO} in {folder!r}; "
        f"MappingCAStore(dict): CorruptBlockError: block {HELLO}: "
        "its 4 bytes hash to another CID; "
        "MappingCAStore(dict): BackendError: out of reach"
    )
    assert not caught.value.retryable
    assert str(caught.value.__cause__) == "out of reach"


def test_own_error_of_the_store_that_decides_is_the_cause(read):
    for names, text in [(["missing", "lying"], "hash to another"), (["missing"], "no block")]:
        with pytest.raises((CorruptBlockError, BlockNotFoundError)) as caught:
            read(UnionCAStore(*(MAKERS[name]() for name in names)), HELLO)
        assert text in str(caught.value.__cause__)


def test_cause_is_retryable_as_the_error_is(read):
    with pytest.raises(BackendError) as caught:
        read(UnionCAStore(BrokenSource(), FailingSource()), HELLO)
    assert caught.value.retryable
    assert caught.value.__cause__.retryable


def test_hash_that_cannot_be_verified_is_the_callers_fault(read):
    link = as_link(bytes.fromhex("0155" + "d41a" + "20") + bytes(32))
    sources = [MappingCAStore({str(link): b"hello"}), FailingSource()]
    with pytest.raises(InvalidCIDError, match="unknown hash function"):
        read(UnionCAStore(*sources), link)


def test_later_stores_are_not_asked_without_need(read):
    first, second = good(), good()
    read(UnionCAStore(first, second), HELLO)
    assert len(first.gets + first.async_gets) == 1
    assert second.gets + second.async_gets == []


def test_each_face_uses_its_own_of_the_stores(race):
    source = good()
    store = UnionCAStore(CountingSource(), source, race=race)
    asyncio.run(store.get_block_async(HELLO))
    assert (source.gets, source.async_gets) == ([], [HELLO])
    store.get_block(HELLO)
    assert source.gets == [HELLO]


@pytest.mark.parametrize("bad", [FailingSource, LyingSource])
def test_store_that_failed_is_asked_last_for_some_time(bad, clock):
    first, second = bad(), good()
    store = UnionCAStore(first, second)

    def asked_first():
        before = len(first.gets)
        assert store.get_block(HELLO) == b"hello"
        return len(first.gets) > before

    assert asked_first()
    for rest in (1, 2, 4, 8, 16, 32, 60, 60):
        assert not asked_first()
        clock.now += rest - 0.001
        assert not asked_first()
        clock.now += 0.001
        assert asked_first()


def test_store_that_recovered_rests_no_longer_than_at_first(clock):
    first, second = FailingSource(), good()
    store = UnionCAStore(first, second)
    store.get_block(HELLO)
    clock.now += 1
    store.get_block(HELLO)
    clock.now += 2
    first.get_raw = lambda cid: b"hello"
    store.get_block(HELLO)
    del first.get_raw
    store.get_block(HELLO)
    asked = len(first.gets)
    clock.now += 1
    store.get_block(HELLO)
    assert len(first.gets) == asked + 1


def test_resting_store_is_still_asked_when_no_other_has_the_block(read, race):
    first, second = FailingSource(), good()
    store = UnionCAStore(first, second, race=race)
    with pytest.raises(BackendError):
        read(store, make_link(b"other"))
    first.get_raw = lambda cid: b"other"
    first.get_raw_async = lambda cid: asyncio.sleep(0, b"other")
    assert read(store, make_link(b"other")) == b"other"


def test_missing_block_is_no_failure():
    first, second = CountingSource(), good()
    store = UnionCAStore(first, second)
    store.get_block(HELLO)
    store.get_block(HELLO)
    assert first.gets == [HELLO, HELLO]


def test_threads_do_not_wait_for_the_slow_one():
    slow = good(GatedSource)
    store = UnionCAStore(slow, good(), race=True)
    assert [store.get_block(HELLO) for _ in range(3)] == [b"hello"] * 3
    assert not slow.gate.is_set()
    slow.gate.set()


def test_stalled_store_is_left_out_of_races():
    slow = good(GatedSource)
    store = UnionCAStore(slow, good(), race=True)
    for _ in range(100):
        assert store.get_block(HELLO) == b"hello"
    assert 1 <= len(slow.gets) < 50
    slow.gate.set()


async def test_tasks_cancel_the_slow_one():
    slow, quick = good(GatedSource), good(GatedSource)
    store = UnionCAStore(slow, quick, race=True)
    task = asyncio.create_task(store.get_block_async(HELLO))
    await slow.async_asked.wait()
    quick.async_gate.set()
    assert await task == b"hello"
    while not slow.cancelled:
        await asyncio.sleep(0)


async def test_cancelled_race_cancels_all():
    stores = [good(GatedSource), good(GatedSource)]
    task = asyncio.create_task(UnionCAStore(*stores, race=True).get_block_async(HELLO))
    for store in stores:
        await store.async_asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while not all(store.cancelled for store in stores):
        await asyncio.sleep(0)


def test_writes_go_into_the_first(race):
    first, second = CountingSource(), CountingSource()
    store = UnionCAStore(first, second, race=race)
    store.put_raw(b"1", "raw")
    store.put_block(make_link(b"2"), b"2")
    store.put_many([(make_link(b"3"), b"3")])
    asyncio.run(store.put_raw_async(b"4", "raw"))
    assert sorted(first.mapping.values()) == [b"1", b"2", b"3", b"4"]
    assert second.mapping == {}
    with store:
        store.flush()
    assert (first.flushes, first.closes, second.flushes, second.closes) == (1, 1, 0, 1)


def test_all_are_closed_even_if_one_fails():
    class Unclosable(CountingSource):
        def close(self):
            raise BackendError("not yet")

    last = CountingSource()
    with pytest.raises(BackendError, match="not yet"):
        UnionCAStore(Unclosable(), last).close()
    assert last.closes == 1


def test_first_names_new_blocks():
    store = UnionCAStore(MappingCAStore(default_hash="blake2b-256"), MappingCAStore())
    assert store.default_hash == "blake2b-256"
    assert store.put(b"hello").hashfun.name == "blake2b-256"


def test_has_needs_one_that_says_so():
    assert UnionCAStore(FailingSource(), good()).has(HELLO)
    assert not UnionCAStore(CountingSource(), CountingSource()).has(HELLO)
    with pytest.raises(BackendError, match="out of reach"):
        UnionCAStore(CountingSource(), FailingSource()).has(HELLO)
    assert UnionCAStore(FailingSource(), good()).size_of(as_link(HELLO)) == 5
    assert UnionCAStore(FailingSource(), CountingSource()).size_of(as_link(HELLO)) is None


def test_name_is_resolved_by_the_first_that_can():
    class Named(CountingSource):
        def resolve(self, name):
            return as_link(HELLO) if name == "ipns://example" else super().resolve(name)

    assert UnionCAStore(CountingSource(), Named()).resolve("ipns://example") == as_link(HELLO)
    for stores in permutations([CountingSource(), FailingSource()]):
        with pytest.raises(BackendError, match="out of reach"):
            UnionCAStore(*stores).resolve("ipns://example")
    with pytest.raises(InvalidCIDError):
        UnionCAStore(CountingSource(), CountingSource()).resolve("ipns://example")


def test_no_store_is_refused():
    with pytest.raises(TypeError, match="expected at least one ContentAddressableStore, got none"):
        UnionCAStore()


def test_equal_when_the_stores_are(tmp_path):
    folders = [DirectoryCAStore(tmp_path / name) for name in "ab"]
    store = UnionCAStore(*folders, race=True)
    copy = pickle.loads(pickle.dumps(store))
    assert (copy, hash(copy), repr(copy)) == (store, hash(store), repr(store))
    assert copy.is_shared
    assert not UnionCAStore(MappingCAStore(), *folders).is_shared
    assert store != UnionCAStore(*reversed(folders))


def test_dataset_is_read_from_parts_in_several_stores(race):
    dataset = xr.Dataset({"a": (("y", "x"), np.arange(400).reshape(20, 20))})
    origin = IPLDStore(MappingCAStore())
    dataset.to_zarr(origin, encoding={"a": {"chunks": (5, 5)}})
    root = origin.freeze()
    parts = [MappingCAStore(), MappingCAStore()]
    for number, (cid, data) in enumerate(sorted(origin.backend.mapping.items())):
        parts[number % 2].mapping[cid] = data
    union = UnionCAStore(LyingSource(), FailingSource(), *parts, race=race)
    union.resolve = as_link
    store = IPLDStore(union, root=root)
    xr.testing.assert_identical(xr.open_zarr(store, chunks=None).load(), dataset)
