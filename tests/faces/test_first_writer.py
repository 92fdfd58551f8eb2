"""`set_if_not_exists`: of those who set a key at once, the first one wins, and stays."""

import asyncio
import threading
from collections import UserDict, defaultdict
from contextlib import suppress

import pytest

pytest.importorskip("zarr", minversion="3", reason="the face of zarr-python 3")

import zarr
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.errors import ContainsGroupError

from ipldstore import DirectoryCAStore, InvalidKeyError, IPLDStore, MappingCAStore

PROTOTYPE = default_buffer_prototype()
KEYS = ["a/c/0", "a/zarr.json", ".zattrs"]


class FarAway(MappingCAStore):
    """Behind a network on which whoever puts a block waits until all have looked."""

    def __init__(self, writers: int = 1) -> None:
        super().__init__(UserDict())
        self.puts = 0
        self._writers = writers

    def put_block(self, cid, data):
        self.puts += 1
        super().put_block(cid, data)

    async def put_block_async(self, cid, data):
        self._writers -= 1
        while self._writers > 0:
            await asyncio.sleep(0)
        self.put_block(cid, data)


def buffer(data: bytes) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(data)


@pytest.fixture(params=["mapping", "directory", "far away"])
def store(request, tmp_path) -> IPLDStore:
    if request.param == "directory":
        return IPLDStore(DirectoryCAStore(tmp_path))
    return IPLDStore(MappingCAStore() if request.param == "mapping" else FarAway())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("size", [0, 70_000, 3_000_000])
async def test_the_value_that_was_seen_first_stays(store, key, size):
    """Large values go through threads, and those that JSON documents have through the tree."""
    values = [b'{"a":"%d%s"}' % (index, bytes([48 + index]) * size) for index in range(4)]
    seen = set()

    async def write(value: bytes) -> None:
        await store.set_if_not_exists(key, buffer(value))
        seen.add((await store.get(key, PROTOTYPE)).to_bytes())

    await asyncio.gather(*map(write, values))
    assert len(seen) == 1
    assert seen <= set(values)
    assert {store[key]} == seen


async def test_one_of_those_who_all_found_nothing_wins():
    backend = FarAway(writers=5)
    store = IPLDStore(backend)
    await asyncio.gather(
        *(store.set_if_not_exists("a/c/0", buffer(b"%d" % index)) for index in range(5))
    )
    assert backend.puts == 5, "all had looked before the first one put its block"
    first = store["a/c/0"]
    await store.set_if_not_exists("a/c/0", buffer(b"late"))
    assert store["a/c/0"] == first
    await store.set("a/c/0", buffer(b"set"))
    assert store["a/c/0"] == b"set"


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_nothing_is_put_for_a_key_that_is_there(is_loaded):
    backend = FarAway()
    store = IPLDStore(backend)
    store.update({"a/c/0": b"value", "a/zarr.json": b'{"a":1}'})
    root = store.freeze()
    if not is_loaded:
        store = IPLDStore(backend, root=root)
    puts = backend.puts
    await store.set_if_not_exists("a/c/0", buffer(b"other"))
    await store.set_if_not_exists("a/zarr.json", buffer(b'{"a":2}'))
    assert backend.puts == puts
    assert store.root_cid == root
    assert dict(store) == {"a/c/0": b"value", "a/zarr.json": b'{"a":1}'}


async def test_beside_a_plain_set_it_never_undoes_what_was_set():
    """As zarr does: a group with attributes, and the implicit groups above an array, at once."""
    for _ in range(20):
        backend = FarAway(writers=2)
        store = IPLDStore(backend)
        await asyncio.gather(
            store.set_if_not_exists("a/zarr.json", buffer(b'{"implicit":true}')),
            store.set("a/zarr.json", buffer(b'{"attributes":1}')),
        )
        assert store["a/zarr.json"] == b'{"attributes":1}'


def test_groups_keep_their_attributes_beside_arrays_that_are_made_below_them():
    store = IPLDStore(FarAway())
    zarr.create_group(store)
    start = threading.Barrier(8)
    expected: dict[int, dict[str, int]] = defaultdict(dict)

    def make(index: int) -> None:
        start.wait()
        group = zarr.open_group(store)
        if index % 2:
            group.create_array(f"g{index // 2}/x", shape=(2,), chunks=(1,), dtype="i4")[:] = index
        else:
            # refused where the array made the group before
            with suppress(ContainsGroupError):
                group.create_group(f"g{index // 2}", attributes={"index": index})
                expected[index] = {"index": index}

    threads = [threading.Thread(target=make, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(0, 8, 2):
        group = zarr.open_group(store, path=f"g{index // 2}", mode="r")
        assert dict(group.attrs) == expected[index]
        assert list(group["x"][:]) == [index + 1] * 2


@pytest.mark.parametrize("key", ["", "a//b", "zarr.json/a", "there/below", "direct"])
async def test_a_key_that_cannot_be_set_is_refused(store, key):
    store.update({"there": b"value", "direct/0": b"value"})
    with pytest.raises(InvalidKeyError):
        await store.set_if_not_exists(key, buffer(b"x"))
    assert dict(store) == {"there": b"value", "direct/0": b"value"}
