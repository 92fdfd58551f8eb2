"""zarr-python 3 on S3: its suite for stores, and how many chunks are waited for at once."""

import asyncio

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

from zarr.core.buffer import default_buffer_prototype

from ipldstore import IPLDStore
from ipldstore.backends.objects.store import ObjectCAStore
from tests.faces.test_store_suite import IPLDStoreTests


class TestOnS3(IPLDStoreTests):
    @pytest.fixture
    def store_kwargs(self, s3):
        with ObjectCAStore(s3.make_bucket(), **s3.make_options()) as backend:
            yield {"blocks": backend}

    def test_store_repr(self, store):
        assert repr(store) == f"<IPLDStore not frozen on {store.backend!r}>"


class Watched(ObjectCAStore):
    waiting = most = 0

    async def get_raw_async(self, cid):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            return await super().get_raw_async(cid)
        finally:
            self.waiting -= 1


async def test_event_loops_wait_for_many_chunks_at_once(s3):
    values = {f"a/c/{i}": b"%d" % i for i in range(60)}
    backend = Watched(s3.make_bucket(), **s3.make_options())
    store = IPLDStore(backend)
    for key, data in values.items():
        store[key] = data
    store = IPLDStore(backend, root=store.freeze())
    prototype = default_buffer_prototype()
    found = await asyncio.gather(*(store.get(key, prototype) for key in values))
    assert [buffer.to_bytes() for buffer in found] == list(values.values())
    assert backend.most > 10
