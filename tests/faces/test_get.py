"""`get`, which is the mapping's and zarr's: which of the two a call means."""

import asyncio
import copy
import gc
import inspect
import json
import pickle
import warnings

import pytest

pytest.importorskip("zarr", minversion="3", reason="the face of zarr-python 3")

import zarr
from zarr.abc.store import RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore, WrapperStore

from ipldstore import IPLDStore

PROTOTYPE = default_buffer_prototype()
DOCUMENT = b'{"node_type":"group","zarr_format":3}'
CONTENT = {"a/c/0": b"0123456789", "zarr.json": DOCUMENT, "b/.zarray": b'{"shape":NaN}'}


@pytest.fixture
def store() -> IPLDStore:
    store = IPLDStore()
    store.update(CONTENT)
    return store


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore({key: PROTOTYPE.buffer.from_bytes(data) for key, data in CONTENT.items()})


CUT = RangeByteRequest(2, 4)
ZARRS = {
    "prototype by position": lambda s, key: s.get(key, PROTOTYPE),
    "prototype by name": lambda s, key: s.get(key, prototype=PROTOTYPE),
    "no prototype by name": lambda s, key: s.get(key, prototype=None),
    "no prototype and a range by position": lambda s, key: s.get(key, None, CUT),
    "no prototype and no range by position": lambda s, key: s.get(key, None, None),
    "prototype and a range by position": lambda s, key: s.get(key, PROTOTYPE, CUT),
    "prototype and no range by position": lambda s, key: s.get(key, PROTOTYPE, None),
    "a range by name": lambda s, key: s.get(key, byte_range=CUT),
    "no range by name": lambda s, key: s.get(key, byte_range=None),
    "prototype by position, range by name": lambda s, key: s.get(key, PROTOTYPE, byte_range=CUT),
    "both by name": lambda s, key: s.get(key, prototype=None, byte_range=SuffixByteRequest(3)),
}


@pytest.mark.parametrize("key", [*CONTENT, "a/c/1", "", "a//b"])
@pytest.mark.parametrize("get", ZARRS.values(), ids=ZARRS)
async def test_what_is_zarrs_gives_what_zarrs_own_store_gives(store, memory, get, key):
    answer = get(store, key)
    assert inspect.iscoroutine(answer)
    found, expected = await answer, await get(memory, key)
    if expected is None:
        assert found is None
    else:
        assert type(found) is type(expected)
        assert found.to_bytes() == expected.to_bytes()


async def test_a_wrapper_passes_through_what_its_caller_gave(store):
    wrapped = WrapperStore(store)
    assert (await wrapped.get("a/c/0", None, CUT)).to_bytes() == b"23"
    if hasattr(Store, "_get_bytes"):  # zarr 3.1
        assert await store._get_bytes("a/c/0", prototype=None) == b"0123456789"


@pytest.mark.parametrize("default", [None, b"default", 7, "text", CUT, ()])
def test_what_is_the_mappings_is_answered_at_once(store, default):
    assert store.get("a/c/0", default) == b"0123456789"
    assert type(store.get("a/c/0", default)) is bytes
    assert store.get("a/c/0") == b"0123456789"
    assert store.get("a/c/0", default=default) == b"0123456789"
    for missing in "a/c/1", "a/zarr.json", "a", "", "zarr.json/a", 7:
        assert store.get(missing, default) is default
        assert store.get(missing, default=default) is default
        assert store.get(missing) is None


async def test_what_is_no_prototype_is_named(store):
    with pytest.raises(TypeError, match="expected a BufferPrototype, not bytes"):
        await store.get("a/c/0", b"default", CUT)
    with pytest.raises(TypeError, match="expected a BufferPrototype, not int"):
        await store.get("a/c/0", prototype=7)


@pytest.mark.parametrize("key", ["zarr.json", "b/.zarray"])
@pytest.mark.parametrize("debug", [False, True])
def test_the_bytes_of_a_document_are_a_coroutine_as_well(store, key, debug):
    value = store.get(key)
    assert value == CONTENT[key]
    assert isinstance(value, bytes)
    assert asyncio.run(value, debug=debug).to_bytes() == CONTENT[key]
    assert asyncio.run(value, debug=debug).to_bytes() == CONTENT[key], "again"

    async def both():
        return [each.to_bytes() for each in await asyncio.gather(value, asyncio.create_task(value))]

    assert asyncio.run(both()) == [CONTENT[key]] * 2
    assert zarr.core.sync.sync(value).to_bytes() == CONTENT[key]


def test_the_bytes_of_a_document_are_bytes(store):
    value = store.get("zarr.json")
    assert json.loads(value)["node_type"] == "group"
    assert value == DOCUMENT
    assert hash(value) == hash(DOCUMENT)
    assert {value: 1}[DOCUMENT] == 1
    assert repr(value) == repr(DOCUMENT)
    assert bytes(memoryview(value)) == DOCUMENT
    for plain in (
        bytes(value),
        value[:],
        value + b"",
        value.strip(),
        copy.copy(value),
        copy.deepcopy(value),
        *(pickle.loads(pickle.dumps(value, protocol)) for protocol in range(6)),
        store["zarr.json"],
        dict(store)["zarr.json"],
    ):
        assert type(plain) is bytes
        assert plain == DOCUMENT
    other = IPLDStore()
    other["zarr.json"] = value
    assert dict(other) == {"zarr.json": DOCUMENT}


async def test_the_coroutine_of_a_document_ends_as_others_do(store):
    value = store.get("zarr.json")
    value.close()
    for error in ValueError("no"), ValueError:
        with pytest.raises(ValueError):
            value.throw(error)
    task = asyncio.create_task(store.get("zarr.json"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_nothing_is_said_of_bytes_that_nobody_awaits(store):
    gc.collect()  # what other tests left may have something to say
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.get("zarr.json")
        gc.collect()
