"""Whatever is put, read, damaged and removed: no wrong bytes, and the content of a dict."""

import asyncio
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore import BlockNotFoundError, DirectoryCAStore, MappingCAStore
from ipldstore.backends.layers.cache import CachingCAStore
from ipldstore.backends.layers.union import UnionCAStore
from ipldstore.cid import make_link

DATAS = [bytes([number]) * (40 * number) for number in range(8)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "get_async", "get_many", "evict", "damage", "arrive"]),
        st.sampled_from(DATAS),
    ),
    max_size=30,
)


def check_read(store, model, cid, read):
    if cid in model:
        assert read(cid) == model[cid]
    else:
        with pytest.raises(BlockNotFoundError):
            read(cid)


def read_async(store):
    return lambda cid: asyncio.run(store.get_block_async(cid))


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, max_bytes=st.sampled_from([None, 1, 300, 800]), over_union=st.booleans())
def test_cache_equals_a_dict(steps, max_bytes, over_union):
    model = {}
    with tempfile.TemporaryDirectory() as folder:
        origin = MappingCAStore()
        source = UnionCAStore(MappingCAStore(), origin) if over_union else origin
        cache = DirectoryCAStore(folder)
        store = CachingCAStore(source, cache, max_bytes=max_bytes)
        for step, data in steps:
            cid = make_link(data)
            if step == "put":
                store.put_raw(data, "raw")
                model[cid] = data
            elif step == "arrive":
                origin.put_block(cid, data)
                model[cid] = data
            elif step == "get":
                check_read(store, model, cid, store.get_block)
            elif step == "get_async":
                check_read(store, model, cid, read_async(store))
            elif step == "get_many":
                assert dict(store.get_many(list(model))) == model
            elif step == "evict":
                cache.remove_block(cid)
            elif cid in cache:
                cache.remove_block(cid)
                cache.put_block(cid, data + b"!")
            if max_bytes is not None and step != "damage":
                assert sum(found.size for found in cache.iter_blocks()) <= max_bytes + 8
        assert {cid: store.get_block(cid) for cid in model} == model
