"""The read-through cache: what it asks the source for, mends, keeps, and does without."""

import asyncio
import pickle
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import pytest
import xarray as xr
from layer_stores import DEADLINE, CountingSource, FailingSource, GatedSource, LyingSource

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    ReentrantCallError,
)
from ipldstore.backends.layers.cache import CachingCAStore
from ipldstore.backends.layers.flights import Flights
from ipldstore.cid import as_link, make_link

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
HELLO_FILE = "QJ/CIQCZ4SNXJP3BIYOE3UDWKWFXHRJ4GYWDZOB7J2CLZZQIM3CSOFZQJA.data"


@pytest.fixture
def cache(tmp_path):
    return DirectoryCAStore(tmp_path / "cache")


@pytest.fixture(params=["threads", "tasks"])
def read(request):
    """Read a block by one of the two faces."""
    if request.param == "threads":
        return lambda store, cid: store.get_block(cid)
    return lambda store, cid: asyncio.run(store.get_block_async(cid))


def source_of(*datas, kind=CountingSource):
    return kind({str(make_link(data)): data for data in datas})


def asked(source):
    return source.gets + source.async_gets


def test_second_read_comes_from_the_cache(cache, read):
    source = source_of(b"hello")
    store = CachingCAStore(source, cache)
    assert [read(store, HELLO) for _ in range(3)] == [b"hello"] * 3
    assert asked(source) == [HELLO]
    assert (cache.path / HELLO_FILE).read_bytes() == b"hello"


def test_each_face_uses_its_own_of_the_source(cache):
    source = source_of(b"hello")
    store = CachingCAStore(source, cache)
    asyncio.run(store.get_block_async(HELLO))
    assert (source.gets, source.async_gets) == ([], [HELLO])
    asyncio.run(store.put_raw_async(b"new", "raw"))
    assert (source.puts, len(source.async_puts)) == ([], 1)
    store.put_raw(b"newer", "raw")
    assert (len(source.puts), len(source.async_puts)) == (1, 1)


def test_large_blocks_come_through_on_an_event_loop(cache):
    data = b"x" * (1 << 20)
    source = source_of(data)
    store = CachingCAStore(source, cache)
    for _ in range(2):
        assert asyncio.run(store.get_block_async(make_link(data))) == data
    assert len(source.async_gets) == 1


@pytest.mark.parametrize("damage", [b"", b"hell", b"hellO", b"hello!"])
def test_damaged_entry_is_mended(cache, read, damage):
    cache.put(b"hello")
    (cache.path / HELLO_FILE).write_bytes(damage)
    source = source_of(b"hello")
    assert read(CachingCAStore(source, cache), HELLO) == b"hello"
    assert asked(source) == [HELLO]
    assert (cache.path / HELLO_FILE).read_bytes() == b"hello"


def test_damaged_entry_is_mended_by_get_many(cache):
    cache.put(b"hello")
    cache.put(b"sound")
    (cache.path / HELLO_FILE).write_bytes(b"damaged")
    source = source_of(b"hello", b"third")
    cids = [make_link(data) for data in (b"sound", b"hello", b"third")]
    got = dict(CachingCAStore(source, cache).get_many(cids))
    assert sorted(got.values()) == [b"hello", b"sound", b"third"]
    assert len(source.gets) == 2
    assert (cache.path / HELLO_FILE).read_bytes() == b"hello"


def test_wrong_bytes_of_the_source_are_refused_and_not_kept(cache, read):
    with pytest.raises(CorruptBlockError, match=HELLO):
        read(CachingCAStore(LyingSource(), cache), HELLO)
    assert list(cache.iter_blocks()) == []


def test_errors_of_the_source_are_its_own(cache, read):
    with pytest.raises(BackendError, match="out of reach") as caught:
        read(CachingCAStore(FailingSource(), cache), HELLO)
    assert caught.value.retryable
    with pytest.raises(BlockNotFoundError, match=HELLO):
        read(CachingCAStore(CountingSource(), cache), HELLO)


def test_damaged_entry_without_a_source_is_no_missing_block(cache, read):
    cache.put(b"hello")
    (cache.path / HELLO_FILE).write_bytes(b"damaged")
    with pytest.raises(BackendError, match="out of reach"):
        read(CachingCAStore(FailingSource(), cache), HELLO)


def test_writes_reach_both(cache):
    source = CountingSource()
    store = CachingCAStore(source, cache)
    datas = [b"raw", b"block", b"many"]
    store.put_raw(datas[0], "raw")
    store.put_block(make_link(datas[1]), datas[1])
    store.put_many([(make_link(datas[2]), datas[2])])
    for data in datas:
        assert source.mapping[str(make_link(data))] == data
        assert cache.get_block(make_link(data)) == data
    assert source.gets == []


def test_what_the_source_refuses_is_not_kept(cache):
    store = CachingCAStore(FailingSource(), cache)
    with pytest.raises(BackendError, match="out of reach"):
        store.put_raw(b"hello", "raw")
    assert list(cache.iter_blocks()) == []


def test_the_source_is_asked_what_is_there(cache):
    cache.put(b"hello")
    store = CachingCAStore(CountingSource(), cache)
    assert not store.has(HELLO)
    assert store.size_of(as_link(HELLO)) is None
    assert store.get_block(HELLO) == b"hello"


def test_flush_close_and_resolve_are_the_sources(cache):
    source = CountingSource()
    store = CachingCAStore(source, cache)
    store.flush()
    assert (source.flushes, source.closes) == (1, 0)
    with store:
        pass
    assert source.closes == 1
    with pytest.raises(BackendError, match="out of reach"):
        CachingCAStore(FailingSource(), cache).resolve(HELLO)


def test_names_of_new_blocks_are_the_sources(cache):
    store = CachingCAStore(MappingCAStore(default_hash="blake2b-256"), cache)
    assert store.default_hash == "blake2b-256"
    cid = store.put(b"hello")
    assert cid.hashfun.name == "blake2b-256"
    assert cache.get_block(cid) == b"hello"


def test_cache_that_cannot_be_written_warns_once(cache, read):
    source = source_of(b"hello", b"more")
    store = CachingCAStore(source, cache)
    shutil.rmtree(cache.path)
    with pytest.warns(RuntimeWarning, match="cannot be written.*emptied or removed") as caught:
        assert read(store, HELLO) == b"hello"
        assert read(store, make_link(b"more")) == b"more"
        store.put_raw(b"third", "raw")
    assert len(caught) == 1
    assert source.mapping[str(make_link(b"third"))] == b"third"


def test_bounded_cache_that_cannot_be_written_warns_once(cache, read):
    store = CachingCAStore(source_of(b"hello", b"more"), cache, max_bytes=1000)
    shutil.rmtree(cache.path)
    with pytest.warns(RuntimeWarning, match="cannot be written") as caught:
        assert read(store, HELLO) == b"hello"
        assert read(store, make_link(b"more")) == b"more"
    assert len(caught) == 1


def test_cache_that_cannot_be_read_warns(cache, read):
    (cache.path / "QJ").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="cannot be read.*Not a directory") as caught:
        assert read(CachingCAStore(source_of(b"hello"), cache), HELLO) == b"hello"
    assert len(caught) == 1


def test_threads_fetch_a_block_once(cache):
    source = source_of(b"hello", kind=GatedSource)
    store = CachingCAStore(source, cache)
    ready = threading.Barrier(9)

    def get():
        ready.wait(DEADLINE)
        return store.get_block(HELLO)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(get) for _ in range(8)]
        ready.wait(DEADLINE)
        assert source.asked.wait(DEADLINE)
        source.gate.set()
        assert [future.result() for future in futures] == [b"hello"] * 8
    assert source.gets == [HELLO]


class SharedFlights(dict):
    """Says when a second thread has taken part in a flight."""

    def __init__(self):
        super().__init__()
        self.takers = 0
        self.is_shared = threading.Event()

    def setdefault(self, key, default):
        flight = super().setdefault(key, default)
        self.takers += 1
        if self.takers > 1:
            self.is_shared.set()
        return flight


def test_refusal_of_a_signal_handler_is_not_the_answer_of_others():
    flights = Flights()
    flights._threads = shared = SharedFlights()

    def refuse(_):
        futures.append(pool.submit(flights.run, HELLO, lambda _: b"hello"))
        assert shared.is_shared.wait(DEADLINE)
        raise ReentrantCallError("in a signal handler")

    futures = []
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ReentrantCallError):
            flights.run(HELLO, refuse)
        assert futures[0].result(DEADLINE) == b"hello"
    assert not shared


async def test_refusal_of_a_signal_handler_is_not_the_answer_of_other_tasks():
    async def refuse(_):
        await asyncio.sleep(0)
        raise ReentrantCallError("in a signal handler")

    async def fetch(_):
        return b"hello"

    flights = Flights()
    tasks = [asyncio.create_task(flights.run_async(HELLO, one)) for one in (refuse, fetch)]
    refused, answer = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, ReentrantCallError)
    assert answer == b"hello"


async def test_tasks_fetch_a_block_once(cache):
    source = source_of(b"hello", kind=GatedSource)
    store = CachingCAStore(source, cache)
    tasks = [asyncio.create_task(store.get_block_async(HELLO)) for _ in range(50)]
    await source.async_asked.wait()
    source.async_gate.set()
    assert await asyncio.gather(*tasks) == [b"hello"] * 50
    assert source.async_gets == [HELLO]


async def test_all_tasks_get_the_error(cache):
    source = GatedSource()
    store = CachingCAStore(source, cache)
    tasks = [asyncio.create_task(store.get_block_async(HELLO)) for _ in range(5)]
    await source.async_asked.wait()
    source.async_gate.set()
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(error, BlockNotFoundError)
    assert source.async_gets == [HELLO]
    source.mapping[HELLO] = b"hello"
    assert await store.get_block_async(HELLO) == b"hello"


async def test_cancelled_task_leaves_the_fetch_to_another(cache):
    source = source_of(b"hello", kind=GatedSource)
    store = CachingCAStore(source, cache)
    first = asyncio.create_task(store.get_block_async(HELLO))
    await source.async_asked.wait()
    others = [asyncio.create_task(store.get_block_async(HELLO)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    others[0].cancel()
    source.async_gate.set()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2:] == [b"hello"] * 2
    assert source.async_gets == [HELLO, HELLO]


async def test_thread_of_the_loop_does_not_wait_for_a_task(cache):
    source = source_of(b"hello", kind=GatedSource)
    store = CachingCAStore(source, cache)
    task = asyncio.create_task(store.get_block_async(HELLO))
    await source.async_asked.wait()
    source.gate.set()
    assert store.get_block(HELLO) == b"hello"
    source.async_gate.set()
    assert await task == b"hello"


async def test_loop_runs_on_while_the_source_is_waited_for(cache):
    source = source_of(b"hello", b"other", kind=GatedSource)
    store = CachingCAStore(source, cache)
    cache.put(b"other")
    task = asyncio.create_task(store.get_block_async(HELLO))
    await source.async_asked.wait()
    assert await store.get_block_async(make_link(b"other")) == b"other"
    assert not task.done()
    source.async_gate.set()
    assert await task == b"hello"


def test_pickled_store_reads_and_keeps_its_bound(cache, tmp_path):
    source = DirectoryCAStore(tmp_path / "source")
    store = CachingCAStore(source, cache, max_bytes=1000)
    cid = store.put(b"hello")
    copy = pickle.loads(pickle.dumps(store))
    assert (copy, hash(copy), copy.max_bytes) == (store, hash(store), 1000)
    assert copy.get(cid) == b"hello"
    assert store != CachingCAStore(MappingCAStore(), cache)


def test_is_shared_as_the_source_is(cache):
    assert CachingCAStore(cache, MappingCAStore()).is_shared
    assert not CachingCAStore(MappingCAStore(), cache).is_shared


def test_mapping_face_reads_all_from_the_cache(cache):
    plain = IPLDStore(MappingCAStore())
    values = {f"a/{number}": b"value %d" % number for number in range(500)}
    plain.update(values)
    root = plain.freeze()
    assert dict(IPLDStore(CachingCAStore(plain.backend, cache), root=root)) == values
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = FailingSource()
        source.resolve = as_link
        assert dict(IPLDStore(CachingCAStore(source, cache), root=root)) == values
    assert source.gets == []


@pytest.mark.parametrize("chunks", [None, {}])
def test_dataset_is_read_again_without_the_source(cache, chunks):
    if chunks == {}:
        pytest.importorskip("dask")
    dataset = xr.Dataset({"a": (("y", "x"), np.arange(400).reshape(20, 20))})
    origin = IPLDStore(MappingCAStore())
    dataset.to_zarr(origin, encoding={"a": {"chunks": (5, 5)}})
    root = origin.freeze()
    first = IPLDStore(CachingCAStore(origin.backend, cache), root=root)
    xr.testing.assert_identical(xr.open_zarr(first, chunks=chunks).load(), dataset)
    source = FailingSource()
    source.resolve = as_link
    second = IPLDStore(CachingCAStore(source, cache), root=root)
    xr.testing.assert_identical(xr.open_zarr(second, chunks=chunks).load(), dataset)
    assert source.gets == []
    shutil.rmtree(cache.path)
    third = IPLDStore(CachingCAStore(source, DirectoryCAStore(cache.path)))
    with pytest.raises(BackendError, match="out of reach"):
        third.set_root(root)


@pytest.mark.skipif(version("zarr").startswith("2."), reason="zarr-python 2.18 is synchronous")
def test_dataset_is_written_through_the_cache(cache):
    source = MappingCAStore()
    dataset = xr.Dataset({"a": ("x", np.arange(100))})
    store = IPLDStore(CachingCAStore(source, cache))
    dataset.to_zarr(store)
    root = store.freeze()
    xr.testing.assert_identical(xr.open_zarr(IPLDStore(source, root=root)).load(), dataset)
    xr.testing.assert_identical(xr.open_zarr(IPLDStore(cache, root=root)).load(), dataset)
