"""zarr-python 3 on a node: its suite for stores, and how much waits at once."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer

from ipldstore import BackendError, IPFSStore, IPLDStore
from tests.faces.test_store_suite import IPLDStoreTests

PROTOTYPE = default_buffer_prototype()
KIB = 1 << 10


class TestOnNode(IPLDStoreTests):
    @pytest.fixture
    def store_kwargs(self, node):
        with IPFSStore(node.url, offline=True) as backend:
            yield {"blocks": backend}

    def test_store_repr(self, store):
        assert repr(store) == f"<IPLDStore not frozen on {store.backend!r}>"


class TestOnNodeOneByOne(TestOnNode):
    @pytest.fixture
    def store_kwargs(self, node):
        with IPFSStore(node.url, offline=True, buffer_bytes=0) as backend:
            yield {"blocks": backend}


class Watched(IPFSStore):
    """Counts the blocks that are asked for, by face, and how many were waited for at once."""

    def __init__(self, url):
        super().__init__(url, offline=True)
        self.sync = self.asynchronous = self.waiting = self.most = 0

    def get_raw(self, cid):
        self.sync += 1
        return super().get_raw(cid)

    async def get_raw_async(self, cid):
        self.asynchronous += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            return await super().get_raw_async(cid)
        finally:
            self.waiting -= 1


@pytest.fixture
def backend(node):
    with Watched(node.url) as backend:
        yield backend


def write(backend, values):
    store = IPLDStore(backend)
    for key, data in values.items():
        store[key] = data
    return IPLDStore(backend, root=store.freeze())


async def test_event_loops_wait_for_many_chunks_at_once(backend):
    values = {f"a/c/{i}": b"%d" % i for i in range(100)}
    store = write(backend, values)
    found = await asyncio.gather(*(store.get(key, PROTOTYPE) for key in values))
    assert [buffer.to_bytes() for buffer in found] == list(values.values())
    assert backend.asynchronous == 100
    assert backend.most > 10
    assert backend.sync <= 2, "the root, and the directory, once"


async def test_all_blocks_of_a_large_value_are_waited_for_at_once(backend):
    data = np.random.default_rng(3).bytes(5 << 20)
    store = write(backend, {"a/c/0": data})
    assert (await store.get("a/c/0", PROTOTYPE)).to_bytes() == data
    assert backend.most == 5
    assert await store.getsize("a/c/0") == len(data)


async def test_ranges_of_a_large_value_load_what_holds_them(backend):
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

    mib = 1 << 20
    data = np.random.default_rng(4).bytes(3 * mib + 5)
    store = write(backend, {"a/c/0": data})
    for request, part, leaves in (
        (RangeByteRequest(mib - 1, mib + 1), slice(mib - 1, mib + 1), 2),
        (OffsetByteRequest(3 * mib), slice(3 * mib, None), 1),
        (SuffixByteRequest(1), slice(-1, None), 1),
        (RangeByteRequest(9 * mib, 10 * mib), slice(9 * mib, None), 0),
    ):
        store = IPLDStore(backend, root=store.freeze())
        assert list(store)
        backend.asynchronous = 0
        found = await store.get("a/c/0", PROTOTYPE, request)
        assert found.to_bytes() == data[part]
        assert backend.asynchronous == leaves + 1


async def test_listing_loads_directories_off_the_loop(backend):
    keys = {f"a/c/{i}": b"" for i in range(2500)}
    store = write(backend, keys)
    assert [key async for key in store.list()] == list(keys)
    assert {key async for key in store.list_prefix("a/c/24")} == {
        key for key in keys if key.startswith("a/c/24")
    }
    assert [name async for name in store.list_dir("a")] == ["c"]
    assert not await store.is_empty("a")
    await store.delete("a/c/7")
    assert not await store.exists("a/c/7")
    await store.set_if_not_exists("a/c/7", Buffer.from_bytes(b"x"))
    await store.set_if_not_exists("a/c/8", Buffer.from_bytes(b"x"))
    assert (store["a/c/7"], store["a/c/8"]) == (b"x", b"")


async def test_errors_name_the_key(start_node):
    mortal = start_node("mortal", offline=True)
    with IPFSStore(mortal.url, timeout=3) as backend:
        store = write(backend, {"a/c/0": b"chunk"})
        assert await store.exists("a/c/0")
        mortal.kill()
        with pytest.raises(BackendError) as caught:
            await store.get("a/c/0", PROTOTYPE)
        assert caught.value.__notes__[-1] == "while reading key 'a/c/0'"
        mortal.start()


def test_an_array_of_many_chunks(backend):
    data = np.random.default_rng(5).integers(0, 255, (64, 16 * KIB), np.uint8)
    store = IPLDStore(backend)
    array = zarr.create_array(store, name="a", shape=data.shape, chunks=(1, 16 * KIB), dtype="u1")
    array[:] = data
    opened = zarr.open_array(IPLDStore(backend, root=store.freeze()), path="a")
    assert np.array_equal(opened[:], data)
    assert backend.most > 1
