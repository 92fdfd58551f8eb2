"""zarr-python's suite for stores, on a cache in front of a source and on several stores as one."""

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

from ipldstore import CachingCAStore, DirectoryCAStore, MappingCAStore, UnionCAStore
from tests.faces.test_store_suite import IPLDStoreTests


class LayerTests(IPLDStoreTests):
    def test_store_repr(self, store):
        assert repr(store) == f"<IPLDStore not frozen on {store.backend!r}>"


class TestOnCache(LayerTests):
    @pytest.fixture
    def store_kwargs(self, tmp_path):
        cache = DirectoryCAStore(tmp_path / "cache")
        return {"blocks": CachingCAStore(MappingCAStore(), cache, max_bytes=100_000)}


class TestOnUnion(LayerTests):
    @pytest.fixture(params=[False, True], ids=["in order", "raced"])
    def store_kwargs(self, request, tmp_path):
        stores = MappingCAStore(), DirectoryCAStore(tmp_path / "blocks")
        return {"blocks": UnionCAStore(*stores, race=request.param)}
