"""Directories over a network: each read waits for what it needs, and for nothing else."""

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest
import zarr

from ipldstore import BackendError, BlockNotFoundError, IPLDStore, MappingCAStore
from ipldstore.cid import RAW, as_link, codec_of
from ipldstore.store import recent
from ipldstore.store.recent import RecentBlocks

DEADLINE = 60

needs_zarr3 = pytest.mark.skipif(zarr.__version__ < "3", reason="zarr-python 2 has no event loop")
WANTED = ["a/0", "a/7000", "a/13000", "a/19999"]
"""Keys on four pages."""


class Distant(MappingCAStore):
    """Blocks that seem to be on a network; of pages, so many have to be asked for at once."""

    together = 1

    def __init__(self, mapping):
        super().__init__(mapping)
        self.inline_limit = 0
        self.asked = Counter()
        self.arrived = threading.Semaphore(0)
        self.all_are_there = threading.Event()
        self.waiting = 0
        self.lock = threading.Lock()

    def is_page(self, cid):
        return codec_of(cid) != RAW and len(self.mapping[str(cid)]) > 20_000

    def note(self, cid):
        with self.lock:
            self.asked[cid] += 1
            self.waiting += self.is_page(cid)
            if self.waiting >= self.together:
                self.all_are_there.set()

    def get_raw(self, cid):
        self.note(cid)
        if self.is_page(cid):
            assert self.all_are_there.wait(DEADLINE), "pages are loaded one after another"
        return super().get_raw(cid)

    async def get_raw_async(self, cid):
        self.note(cid)
        while self.is_page(cid) and not self.all_are_there.is_set():
            await asyncio.sleep(0)
        return super().get_raw(cid)


@pytest.fixture(scope="module")
def paged():
    store = IPLDStore(MappingCAStore())
    for index in range(20_000):
        store[f"a/{index}"] = b"%d" % index
    return store.freeze(), store.blocks.mapping


@pytest.fixture
def distant(paged):
    root, mapping = paged
    blocks = Distant(mapping)
    blocks.together = len(WANTED)
    return IPLDStore(blocks, root=root)


@needs_zarr3
def test_tasks_load_pages_side_by_side(distant):
    async def read():
        prototype = zarr.core.buffer.default_buffer_prototype()
        reads = (distant.get(key, prototype) for key in WANTED)
        return await asyncio.wait_for(asyncio.gather(*reads), DEADLINE)

    found = [value.to_bytes() for value in asyncio.run(read())]
    assert found == [b"0", b"7000", b"13000", b"19999"]


def test_threads_load_pages_side_by_side(distant):
    found = {}

    def read(key):
        found[key] = distant[key]

    threads = [threading.Thread(target=read, args=(key,)) for key in WANTED]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {key: key[2:].encode() for key in WANTED}


@needs_zarr3
def test_equal_requests_under_way_are_one(distant):
    distant.blocks.together = 1

    async def read():
        prototype = zarr.core.buffer.default_buffer_prototype()
        await asyncio.gather(*(distant.get(f"a/{i}", prototype) for i in range(200)))

    asyncio.run(read())
    assert set(distant.blocks.asked.values()) == {1}


def pages_of(mapping):
    return {as_link(cid) for cid, data in mapping.items() if len(data) > 2000}


async def get_in_order(store, keys):
    prototype = zarr.core.buffer.default_buffer_prototype()
    for key in keys:
        yield (await store.get(key, prototype)).to_bytes()
        for _ in range(10):
            await asyncio.sleep(0)  # what was begun is done


@needs_zarr3
def test_pages_that_come_soon_are_loaded_ahead(paged):
    root, mapping = paged
    store = IPLDStore(Distant(mapping), root=root)

    pages = pages_of(mapping)

    async def read():
        keys = [f"a/{index}" for index in range(0, 20_000, 50)]
        return [len(store.blocks.asked.keys() & pages) async for _ in get_in_order(store, keys)]

    asked = asyncio.run(read())
    assert asked[0] == 1
    assert asked[200] == len(pages)
    assert set(store.blocks.asked.values()) == {1}


@needs_zarr3
def test_pages_far_from_each_other_are_loaded_alone(paged):
    root, mapping = paged
    store = IPLDStore(Distant(mapping), root=root)

    async def read():
        return [value async for value in get_in_order(store, reversed(WANTED))]

    assert asyncio.run(read()) == [b"19999", b"13000", b"7000", b"0"]
    assert len(store.blocks.asked.keys() & pages_of(mapping)) == len(WANTED)


@needs_zarr3
def test_a_page_that_is_missing_is_missed_by_who_needs_it(paged):
    root, mapping = paged
    lacking = dict(mapping)
    blocks = Distant(lacking)
    store = IPLDStore(blocks, root=root)
    whole = IPLDStore(MappingCAStore(mapping), root=root)
    pages = whole.reader.tree.find_directory(["a"]).pages
    del lacking[str(pages.children[-1])]
    before = [key for key in map(str, range(20_000)) if int(key) < int(pages.firsts[-1])]
    before = before[::50]

    async def read(keys):
        return [value async for value in get_in_order(store, (f"a/{key}" for key in keys))]

    assert asyncio.run(read(before)) == [key.encode() for key in before]
    with pytest.raises(BlockNotFoundError):
        asyncio.run(read([pages.firsts[-1]]))


def test_what_cannot_be_loaded_is_an_error_and_asked_for_again(paged):
    root, mapping = paged
    lacking = {cid: data for cid, data in mapping.items() if not len(data) > 20_000}
    blocks = Distant(dict(mapping))
    store = IPLDStore(blocks, root=root)
    blocks.mapping = lacking
    for _ in range(2):
        with pytest.raises((BlockNotFoundError, BackendError, KeyError)) as caught:
            store["a/7000"]
        assert isinstance(caught.value, BlockNotFoundError)
    blocks.mapping = mapping
    assert store["a/7000"] == b"7000"
    assert store.get("a/none") is None


def test_writing_loads_what_it_needs_beforehand(distant):
    def write(key):
        distant[key] = b"new"

    threads = [threading.Thread(target=write, args=(key,)) for key in WANTED]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [distant[key] for key in WANTED] == [b"new"] * 4
    assert len(distant) == 20_000


@needs_zarr3
def test_parts_of_a_file_are_read_once():
    store = IPLDStore(MappingCAStore())
    array = zarr.create_array(
        store, name="a", shape=(4 << 20,), chunks=(1 << 14,), shards=(4 << 20,), dtype="u1",
        compressors=None, filters=None,
    )  # fmt: skip
    array[:] = np.random.default_rng(0).integers(0, 256, 4 << 20, "u1")
    root = store.freeze()
    blocks = Distant(store.blocks.mapping)
    read = zarr.open_array(IPLDStore(blocks, root=root), path="a", mode="r")
    for start in range(0, 4 << 20, 1 << 18):
        assert (read[start : start + 100] == array[start : start + 100]).all()
    assert set(blocks.asked.values()) == {1}


def test_recent_blocks_are_bounded(monkeypatch):
    monkeypatch.setattr(recent, "_KEPT_BYTES", 1000)
    monkeypatch.setattr(recent, "_LEFT_BYTES", 700)
    blocks = Distant({})
    cids = [blocks.make_cid(bytes([i]) * 300, "raw") for i in range(10)]
    for i, cid in enumerate(cids):
        MappingCAStore(blocks.mapping).put_block(cid, bytes([i]) * 300)
    kept = RecentBlocks(blocks)
    for cid in cids:
        kept.get_block(cid)
    assert kept.get_block(cids[-1]) == bytes([9]) * 300
    assert blocks.asked[cids[-1]] == 1
    kept.get_block(cids[0])
    assert blocks.asked[cids[0]] == 2
    assert sum(map(len, kept._kept.values())) <= 1000


def test_a_stranger_is_read_ahead_of_a_little(monkeypatch):
    """Of links that lead to large blocks, few are followed that nobody asked for."""
    blocks = Distant({})
    blocks.together = 0
    cids = [blocks.make_cid(bytes([i]) * 300_000, "raw") for i in range(40)]
    for i, cid in enumerate(cids):
        MappingCAStore(blocks.mapping).put_block(cid, bytes([i]) * 300_000)
    kept = RecentBlocks(blocks)

    async def begin():
        for _ in range(5):
            kept.begin(cids)
            for _ in range(10):
                await asyncio.sleep(0)

    asyncio.run(begin())
    assert blocks.asked.total() == 8


def test_reading_ahead_goes_on_after_a_loop_was_closed(paged):
    _, mapping = paged
    kept = RecentBlocks(Distant(mapping))
    pages = sorted(pages_of(mapping))

    async def begin():
        kept.begin(pages)

    asyncio.run(begin())  # which cancels what was begun

    async def wait():
        assert not kept._begun
        kept.begin(pages[:4])
        await asyncio.gather(*kept._begun.values())

    asyncio.run(wait())
    assert set(pages[:4]) <= kept._kept.keys()
