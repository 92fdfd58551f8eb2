"""The points of the zarr-python 3 face that are this package's own."""

import asyncio
import inspect
from collections import UserDict

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3", reason="the face of zarr-python 3")

import zarr
from zarr.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
    SupportsDeleteSync,
    SupportsGetSync,
    SupportsSetSync,
)
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.storage import MemoryStore

from ipldstore import (
    ContentAddressableStore,
    DirectoryCAStore,
    InvalidKeyError,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
)

PROTOTYPE = default_buffer_prototype()
FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"


def buffer(data: bytes) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(data)


def far_away() -> MappingCAStore:
    """Make a backend that an event loop must not wait for, such as one behind a network."""
    return MappingCAStore(UserDict())


@pytest.fixture(params=["mapping", "directory", "far away"])
def backend(request, tmp_path) -> ContentAddressableStore:
    if request.param == "mapping":
        return MappingCAStore()
    return DirectoryCAStore(tmp_path) if request.param == "directory" else far_away()


def test_get_of_the_mapping_answers_at_once():
    store = IPLDStore()
    store["a/0"] = b"chunk"
    assert store.get("a/0") == b"chunk"
    assert store.get("a/1") is None
    assert store.get("a/1", b"default") == b"default"
    assert store.get("a/1", default=7) == 7


@pytest.mark.parametrize("how", ["by position", "by name"])
async def test_get_of_zarr_is_awaited(how):
    store = IPLDStore()
    store["a/0"] = b"chunk"

    def get(key: str, **options):
        if how == "by position":
            return store.get(key, PROTOTYPE, **options)
        return store.get(key, prototype=PROTOTYPE, **options)

    assert inspect.isawaitable(answer := get("a/0"))
    assert (await answer).to_bytes() == b"chunk"
    assert await get("a/1") is None
    assert (await get("a/0", byte_range=SuffixByteRequest(2))).to_bytes() == b"nk"


def test_clear_works_without_being_awaited():
    store = IPLDStore()
    store["a/0"] = b"chunk"
    store.clear()
    assert not store
    assert list(store) == []


async def test_clear_may_be_awaited_and_run_as_a_task():
    store = IPLDStore()
    store["a/0"] = b"chunk"
    assert await store.clear() is None
    assert not store

    async def clear():
        await store.clear()

    store["a/0"] = b"chunk"
    await asyncio.gather(clear(), clear())
    assert not store


BYTE_RANGES = [
    None,
    *(RangeByteRequest(start, stop) for start in (0, 2, 5, 9) for stop in (0, 3, 5, 9)),
    *(OffsetByteRequest(offset) for offset in (0, 2, 5, 9)),
    *(SuffixByteRequest(suffix) for suffix in (0, 2, 5)),
]


@pytest.mark.parametrize("byte_range", BYTE_RANGES, ids=repr)
async def test_byte_ranges_are_those_of_zarrs_memory_store(backend, byte_range):
    store, memory = IPLDStore(backend), MemoryStore()
    for each in store, memory:
        await each.set("c/0", buffer(b"chunk"))
    expected = (await memory.get("c/0", PROTOTYPE, byte_range)).to_bytes()
    assert (await store.get("c/0", PROTOTYPE, byte_range)).to_bytes() == expected
    partial = await store.get_partial_values(PROTOTYPE, [("c/0", byte_range), ("c/1", byte_range)])
    assert partial[0].to_bytes() == expected
    assert partial[1] is None
    assert store.get_sync("c/0", prototype=PROTOTYPE, byte_range=byte_range).to_bytes() == expected


async def test_a_suffix_longer_than_the_value_is_the_value(backend):
    """The memory store of zarr 3.1 gets this wrong; zarr 3.4 has it so."""
    store = IPLDStore(backend)
    await store.set("c/0", buffer(b"chunk"))
    assert (await store.get("c/0", PROTOTYPE, SuffixByteRequest(9))).to_bytes() == b"chunk"


async def test_byte_ranges_of_a_metadata_document_are_of_what_is_read_back():
    store = IPLDStore()
    await store.set("zarr.json", buffer(b'{ "b": 1, "a": 2 }'))
    assert store["zarr.json"] == b'{"a":2,"b":1}'
    part = await store.get("zarr.json", PROTOTYPE, RangeByteRequest(1, 4))
    assert part.to_bytes() == b'"a"'
    assert await store.getsize("zarr.json") == 13


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "a/b/c/0", "z"])
async def test_listings_are_those_of_zarrs_memory_store(prefix):
    store, memory = IPLDStore(), MemoryStore()
    for key in ("zarr.json", "a/zarr.json", "a/b/zarr.json", "a/b/c/0", "a/b/c/1", "ab/c/0", "b"):
        for each in store, memory:
            await each.set(key, buffer(b"{}"))

    async def listed(each: Store) -> dict[str, object]:
        return {
            "list": sorted([key async for key in each.list()]),
            "list_prefix": sorted([key async for key in each.list_prefix(prefix)]),
            "list_dir": sorted([name async for name in each.list_dir(prefix)]),
            "is_empty": await each.is_empty(prefix),
        }

    assert await listed(store) == await listed(memory)


def test_the_synchronous_methods_are_zarrs_protocols():
    assert issubclass(IPLDStore, SupportsGetSync | SupportsSetSync | SupportsDeleteSync)


@pytest.mark.parametrize("kind", [MappingCAStore, far_away])
def test_synchronous_methods_work_on_every_backend(kind):
    store = IPLDStore(kind())
    store.set_sync("a/0", buffer(b"chunk"))
    assert store.get_sync("a/0").to_bytes() == b"chunk"
    assert store["a/0"] == b"chunk"
    store.delete_sync("a/0")
    store.delete_sync("a/0")
    assert store.get_sync("a/0") is None


def test_zarr_is_not_to_use_them_on_what_is_far_away():
    assert not IPLDStore(far_away())._supports_sync_io
    assert IPLDStore(MappingCAStore())._supports_sync_io


async def test_a_value_must_be_a_buffer():
    with pytest.raises(TypeError, match="expected a zarr Buffer for key 'c/0', not bytes"):
        await IPLDStore().set("c/0", b"chunk")


async def test_a_value_is_kept_as_it_was_when_set():
    store, data = IPLDStore(), np.zeros(4, "B")
    await store.set("c/0", cpu.Buffer.from_array_like(data))
    data[:] = 1
    assert store["c/0"] == bytes(4)


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", ".", "a\0b", "zarr.json/c"])
async def test_a_key_that_cannot_be_is_not_there_and_cannot_be_set(backend, key):
    store = IPLDStore(backend)
    with pytest.raises(InvalidKeyError):
        await store.set(key, buffer(b"chunk"))
    with pytest.raises(InvalidKeyError):
        await store.set_if_not_exists(key, buffer(b"chunk"))
    with pytest.raises(InvalidKeyError):
        store.set_sync(key, buffer(b"chunk"))
    assert await store.get(key, PROTOTYPE) is None
    assert store.get_sync(key) is None
    assert not await store.exists(key)
    with pytest.raises(FileNotFoundError):
        await store.getsize(key)
    with pytest.raises(ReadOnlyStoreError):
        await store.with_read_only(True).delete(key)


def test_views_share_what_is_written_and_frozen():
    store = IPLDStore()
    reader = store.with_read_only(True)
    writer = reader.with_read_only(False)
    assert (store.read_only, reader.read_only, writer.read_only) == (False, True, False)
    writer["a/0"] = b"chunk"
    assert reader["a/0"] == store["a/0"] == b"chunk"
    assert reader.root_cid is None
    root = store.freeze()
    assert reader.root_cid == writer.root_cid == root
    assert reader == writer == store


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.__setitem__("a/0", b"x"),
        lambda store: store.__delitem__("a/0"),
        lambda store: store.pop("a/0"),
        lambda store: store.update({"a/1": b"x"}),
        lambda store: store.clear(),
        lambda store: store.set_root(store.root_cid),
        lambda store: store.import_car(b""),
        lambda store: store.set_sync("a/0", buffer(b"x")),
        lambda store: store.delete_sync("a/0"),
        lambda store: asyncio.run(store.set("a/0", buffer(b"x"))),
        lambda store: asyncio.run(store.set_if_not_exists("a/0", buffer(b"x"))),
        lambda store: asyncio.run(store.delete("a/0")),
        lambda store: asyncio.run(store.delete_dir("a")),
    ],
)
def test_a_read_only_view_refuses_every_way_to_write(write):
    store = IPLDStore()
    store["a/0"] = b"chunk"
    root = store.freeze()
    with pytest.raises(ReadOnlyStoreError):
        write(store.with_read_only(True))
    assert store.root_cid == root
    assert dict(store) == {"a/0": b"chunk"}


def test_opening_with_mode_r_gives_a_read_only_array():
    store = IPLDStore()
    zarr.create_array(store, shape=4, chunks=2, dtype="i4")[:] = 1
    array = zarr.open_array(store, mode="r")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2
    assert list(array[:]) == [1, 1, 1, 1]
    assert not store.read_only


@pytest.mark.parametrize("kind", [MappingCAStore, far_away])
def test_the_fused_codec_pipeline_reads_and_writes(kind):
    if not hasattr(zarr.core.codec_pipeline, "FusedCodecPipeline"):
        pytest.skip("zarr-python before 3.4 has no FusedCodecPipeline")
    data = np.arange(60, dtype="i4").reshape(6, 10)
    with zarr.config.set({"codec_pipeline.path": FUSED}):
        store = IPLDStore(kind())
        array = zarr.create_array(store, shape=data.shape, chunks=(4, 4), dtype=data.dtype)
        assert type(array._async_array.codec_pipeline).__name__ == "FusedCodecPipeline"
        array[:] = data
        array[1:3, 2:5] = -1
        again = zarr.open_array(IPLDStore(store.backend, root=store.freeze()), mode="r")
        fused = again[:]
    data[1:3, 2:5] = -1
    np.testing.assert_array_equal(fused, data)
    np.testing.assert_array_equal(zarr.open_array(store)[:], data)


def test_a_sharded_array_reads_parts_of_its_shards():
    data = np.arange(64, dtype="i2").reshape(8, 8)
    store = IPLDStore()
    array = zarr.create_array(store, shape=(8, 8), shards=(4, 8), chunks=(2, 2), dtype="i2")
    array[:] = data
    again = zarr.open_array(IPLDStore(store.backend, root=store.freeze()), mode="r")
    np.testing.assert_array_equal(again[3:5, 1:7], data[3:5, 1:7])
    np.testing.assert_array_equal(again[:], data)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups_keep_their_members_when_consolidated(zarr_format):
    """In DAG-CBOR order, shorter names first, zarr 3.1 lost ``fine/t`` to ``fine/mask``."""
    members = []
    for store in IPLDStore(), MemoryStore():
        root = zarr.create_group(store, zarr_format=zarr_format)
        for name in "fine/t", "fine/mask", "coarse/t", "coarse/mask", "coarse/a/b":
            root.create_array(name, shape=(), dtype="i4")
        zarr.consolidate_metadata(store)
        opened = zarr.open_group(store, mode="r", use_consolidated=True)
        members.append(sorted(name for name, _ in opened.members(max_depth=None)))
    assert members[0] == members[1]
    assert "fine/t" in members[0]
