"""Several parts of a value at once: what is read for them, in which order they come, and errors."""

import asyncio
import random
from collections import Counter, UserDict

import numpy as np
import pytest

pytest.importorskip("zarr", minversion="3", reason="the face of zarr-python 3")

import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import cpu, default_buffer_prototype

from ipldstore import (
    BlockNotFoundError,
    ContentAddressableStore,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
)

PROTOTYPE = default_buffer_prototype()
MiB = 1 << 20
LARGE = random.Random(1).randbytes(3 * MiB + 1000)
VALUES = {"large": LARGE, "small": LARGE[:1000], "zarr.json": b'{"a":1}', "empty": b""}
FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"


class Watched(MappingCAStore):
    """Counts the blocks that are read, and how many are at once; far away if it is told so."""

    def __init__(self, *, is_far: bool) -> None:
        super().__init__(UserDict() if is_far else {})
        self.reset()

    def reset(self) -> None:
        self.reads: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0

    def get_raw(self, cid):
        self.reads[str(cid)] += 1
        return super().get_raw(cid)

    async def get_raw_async(self, cid):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        for _ in range(3 + self.at_once):
            await asyncio.sleep(0)
        self.at_once -= 1
        return self.get_raw(cid)


@pytest.fixture(params=["mapping", "directory", "far away"])
def backend(request, tmp_path) -> ContentAddressableStore:
    if request.param == "directory":
        return DirectoryCAStore(tmp_path)
    return Watched(is_far=request.param == "far away")


@pytest.fixture
def store(backend) -> IPLDStore:
    store = IPLDStore(backend)
    store.update(VALUES)
    return IPLDStore(backend, root=store.freeze())


def cut(data: bytes, byte_range) -> bytes:
    """Cut out what a byte range says, as zarr's documentation has it."""
    match byte_range:
        case None:
            return data
        case RangeByteRequest(start, end):
            return data[start:end]
        case OffsetByteRequest(offset):
            return data[offset:]
        case SuffixByteRequest(suffix):
            return data[max(0, len(data) - suffix) :]


def draw(seed: int) -> list:
    """Draw ranges, many of which meet, overlap, are empty or end beyond the value."""
    chance = random.Random(seed)
    near = [0, 1, 500, 999, 1000, MiB - 1, MiB, MiB + 1, 2 * MiB, len(LARGE) - 1, len(LARGE)]
    bounds = [*near, *(chance.randrange(len(LARGE) + 2000) for _ in range(9)), 5 * MiB]
    ranges = [
        None,
        OffsetByteRequest(chance.choice(bounds)),
        SuffixByteRequest(chance.choice(near)),
    ]
    for _ in range(chance.randrange(30)):
        start = chance.choice(bounds)
        ranges.append(RangeByteRequest(start, start + chance.choice([0, 1, 10, 1000, MiB])))
    chance.shuffle(ranges)
    return ranges


async def read_ranges(store, key, ranges, **options) -> dict[int, bytes]:
    found = {}
    async for parts in store.get_ranges(key, ranges, prototype=PROTOTYPE, **options):
        for index, part in parts:
            assert index not in found
            found[index] = part.to_bytes()
    return found


@pytest.mark.parametrize("key", VALUES)
async def test_parts_are_what_their_ranges_say(store, key):
    for seed in range(20):
        ranges = draw(seed)
        expected = {index: cut(VALUES[key], each) for index, each in enumerate(ranges)}
        assert await read_ranges(store, key, ranges) == expected
        assert await read_ranges(store, key, ranges, max_coalesced_bytes=1500) == expected
        found = store.get_ranges_sync(key, ranges, prototype=PROTOTYPE)
        assert {index: part.to_bytes() for index, part in found} == expected
        assert len(found) == len(ranges)
        partial = await store.get_partial_values(PROTOTYPE, ((key, each) for each in ranges))
        assert [part.to_bytes() for part in partial] == list(expected.values())


@pytest.mark.skipif(not hasattr(Store, "get_ranges"), reason="came with zarr-python 3.4")
async def test_parts_are_those_that_zarr_itself_reads(store):
    for seed in range(5):
        ranges = draw(seed)
        inherited = {}
        async for parts in Store.get_ranges(store, "large", ranges, prototype=PROTOTYPE):
            inherited |= {index: part.to_bytes() for index, part in parts}
        assert await read_ranges(store, "large", ranges) == inherited


def test_the_methods_are_this_packages_own():
    for name in "get_ranges", "get_ranges_sync", "_get_many", "get_sync", "set_sync", "delete_sync":
        assert name in vars(IPLDStore), name


@pytest.mark.parametrize("is_far", [False, True])
@pytest.mark.parametrize(("key", "blocks"), [("small", 1), ("large", 5)])
async def test_each_block_is_read_once_for_all_parts(is_far, key, blocks):
    backend = Watched(is_far=is_far)
    writer = IPLDStore(backend)
    writer.update(VALUES)
    root = writer.freeze()
    # in each mebibyte, beside and upon each other
    ranges = [
        RangeByteRequest(start + offset, start + offset + 100)
        for offset in (0, 50, 300, 700)
        for start in range(0, len(VALUES[key]), MiB)
    ]
    for read in (
        lambda store: read_ranges(store, key, ranges),
        lambda store: asyncio.to_thread(store.get_ranges_sync, key, ranges, prototype=PROTOTYPE),
        lambda store: store.get_partial_values(PROTOTYPE, [(key, each) for each in ranges]),
    ):
        store = IPLDStore(backend, root=root)
        assert list(store)
        backend.reset()
        await read(store)
        assert len(backend.reads) == blocks
        assert set(backend.reads.values()) == {1}


async def test_only_blocks_that_hold_a_part_are_read():
    backend = Watched(is_far=True)
    store = IPLDStore(backend)
    store["large"] = LARGE
    backend.reset()
    ranges = [RangeByteRequest(10, 20), RangeByteRequest(2 * MiB + 5, 2 * MiB + 6)]
    expected = {0: LARGE[10:20], 1: LARGE[2 * MiB + 5 :][:1]}
    assert await read_ranges(store, "large", ranges) == expected
    assert sum(backend.reads.values()) == 3


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_no_more_is_read_at_once_than_may_be(limit):
    backend = Watched(is_far=True)
    store = IPLDStore(backend)
    store["large"] = LARGE * 4
    backend.reset()
    ranges = [RangeByteRequest(start, start + 9) for start in range(0, 12 * MiB, MiB)]
    options = {"max_concurrency": limit, "max_coalesced_bytes": 1}
    assert len(await read_ranges(store, "large", ranges, **options)) == 12
    assert backend.most_at_once == limit


async def test_many_values_are_read_side_by_side_but_not_all_at_once():
    backend = Watched(is_far=True)
    store = IPLDStore(backend)
    content = {f"c/{index}": b"chunk %d" % index for index in range(60)}
    store.update(content)
    taken = []

    def requests():
        for key in (*content, "c/60", "c//1"):
            taken.append(key)
            yield key, PROTOTYPE, RangeByteRequest(0, 100)

    with zarr.config.set({"async.concurrency": 7}):
        backend.reset()
        found = store._get_many(requests())
        first = await anext(found)
        assert len(taken) == 7, "no more requests are taken than are read"
        rest = [each async for each in found]
        assert backend.most_at_once == 7
        store = IPLDStore(backend, root=store.freeze())
        assert list(store)
        backend.reset()
        wanted = [(key, None) for key in content]
        await store.get_partial_values(PROTOTYPE, wanted)
        assert backend.most_at_once == 7
    values = {key: part and part.to_bytes() for key, part in [first, *rest]}
    assert values == content | {"c/60": None, "c//1": None}
    assert len(rest) == 61


async def test_what_is_read_first_comes_first():
    class Uneven(Watched):
        async def get_raw_async(self, cid):
            if super().get_raw(cid) == b"slow":
                await released.wait()
            return super().get_raw(cid)

    released = asyncio.Event()
    store = IPLDStore(Uneven(is_far=True))
    store.update({"slow": b"slow", "quick": b"quick"})
    order = []
    async for key, _ in store._get_many([("slow", PROTOTYPE, None), ("quick", PROTOTYPE, None)]):
        order.append(key)
        released.set()
    assert order == ["quick", "slow"]


@pytest.mark.parametrize("key", ["absent", "", "a//b", "zarr.json/a", "a\0"])
async def test_a_key_that_is_not_there(store, key):
    with pytest.raises(BaseExceptionGroup) as caught:
        await read_ranges(store, key, [None])
    assert caught.group_contains(FileNotFoundError, match="")
    with pytest.raises(BaseExceptionGroup) as caught:
        store.get_ranges_sync(key, [None], prototype=PROTOTYPE)
    assert caught.group_contains(FileNotFoundError)
    assert await read_ranges(store, key, []) == {}
    assert list(store.get_ranges_sync(key, [], prototype=PROTOTYPE)) == []
    assert await store.get_partial_values(
        PROTOTYPE, [(key, None), ("small", None), (key, None)]
    ) == [
        None,
        cpu.Buffer.from_bytes(VALUES["small"]),
        None,
    ]
    assert [each async for each in store._get_many([(key, PROTOTYPE, None)])] == [(key, None)]


@pytest.mark.parametrize("key", ["large", "small"])
@pytest.mark.parametrize("is_far", [False, True])
@pytest.mark.parametrize("fault", ["missing", "damaged"])
async def test_a_block_that_cannot_be_had_is_no_missing_key(key, is_far, fault):
    """What zarr takes for a key that went is a `FileNotFoundError` alone."""
    backend = Watched(is_far=is_far)
    store = IPLDStore(backend)
    store[key] = VALUES[key]
    leaf = str(backend.make_cid(VALUES[key][:MiB], "raw"))
    if fault == "missing":
        del backend.mapping[leaf]
    else:
        backend.mapping[leaf] = b"damaged"
    expected = BlockNotFoundError if fault == "missing" else CorruptBlockError
    ranges = [RangeByteRequest(0, 5), RangeByteRequest(7, 9)]
    with pytest.raises(BaseExceptionGroup) as caught:
        await read_ranges(store, key, ranges)
    (error,) = caught.value.exceptions
    assert type(error) is expected
    assert error.__notes__ == [f"while reading key {key!r}"]
    for read in (
        lambda: asyncio.to_thread(store.get_ranges_sync, key, ranges, prototype=PROTOTYPE),
        lambda: store.get_partial_values(PROTOTYPE, [(key, each) for each in ranges]),
        lambda: anext(store._get_many([(key, PROTOTYPE, ranges[0])])),
    ):
        with pytest.raises(expected) as plain:
            await read()
        assert plain.value.__notes__ == [f"while reading key {key!r}"]


async def test_what_is_no_byte_range_is_refused(store):
    for key in "small", "large":
        with pytest.raises(BaseExceptionGroup) as caught:
            await read_ranges(store, key, [(0, 1)])
        assert caught.group_contains(TypeError)
        with pytest.raises(TypeError, match="byte_range"):
            store.get_ranges_sync(key, [(0, 1)], prototype=PROTOTYPE)


@pytest.mark.parametrize("read", ["ranges", "many"])
async def test_who_stops_early_leaves_nothing_under_way(read):
    backend = Watched(is_far=True)
    store = IPLDStore(backend)
    store["large"] = LARGE * 4
    ranges = [RangeByteRequest(start, start + 9) for start in range(0, 12 * MiB, MiB)]
    if read == "ranges":
        found = store.get_ranges("large", ranges, prototype=PROTOTYPE, max_coalesced_bytes=1)
    else:
        found = store._get_many([("large", PROTOTYPE, each) for each in ranges])
    await anext(found)
    assert len(asyncio.all_tasks()) > 1
    await found.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("pipeline", [None, FUSED])
@pytest.mark.parametrize("is_far", [False, True])
def test_a_part_of_a_shard_takes_its_index_and_one_look_at_each_block(is_far, pipeline):
    """zarr 3.4 reads the parts of a shard that it needs by `get_ranges` and `get_ranges_sync`."""
    if pipeline and not hasattr(zarr.core.codec_pipeline, "FusedCodecPipeline"):
        pytest.skip("zarr-python before 3.4 has no FusedCodecPipeline")
    data = np.random.default_rng(0).integers(0, 2**60, (512, 512))
    backend = Watched(is_far=is_far)
    with zarr.config.set({"codec_pipeline.path": pipeline} if pipeline else {}):
        writer = IPLDStore(backend)
        array = zarr.create_array(
            writer,
            shape=data.shape,
            shards=data.shape,
            chunks=(32, 32),
            dtype="i8",
            compressors=None,
        )
        array[:] = data
        again = zarr.open_array(IPLDStore(backend, root=writer.freeze()), mode="r")
        backend.reset()
        np.testing.assert_array_equal(again[:, 40:60], data[:, 40:60])
    if hasattr(Store, "get_ranges"):
        # the file's node and its last leaf are read for the shard's index as well
        assert max(backend.reads.values()) <= 2
        assert sum(backend.reads.values()) <= 6
