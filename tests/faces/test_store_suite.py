"""The test suite that zarr-python gives to authors of stores, on two backends."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

from ipldstore import DirectoryCAStore, IPLDStore, MappingCAStore


class IPLDStoreTests(StoreTests[IPLDStore, cpu.Buffer]):
    """What zarr asks an author to write: `set` and `get` go past zarr's face, by the mapping."""

    store_cls = IPLDStore
    buffer_cls = cpu.Buffer

    async def set(self, store: IPLDStore, key: str, value: Buffer) -> None:
        store[key] = value.to_bytes()

    async def get(self, store: IPLDStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(store[key])

    def test_store_supports_writes(self, store: IPLDStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: IPLDStore) -> None:
        assert store.supports_listing


class TestOnMapping(IPLDStoreTests):
    @pytest.fixture
    def store_kwargs(self) -> dict[str, Any]:
        return {"blocks": MappingCAStore({})}

    def test_store_repr(self, store: IPLDStore) -> None:
        assert repr(store) == "<IPLDStore not frozen on MappingCAStore(dict)>"


class TestOnDirectory(IPLDStoreTests):
    @pytest.fixture
    def store_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        return {"blocks": DirectoryCAStore(tmp_path)}

    def test_store_repr(self, store: IPLDStore, tmp_path: Path) -> None:
        assert repr(store) == f"<IPLDStore not frozen on DirectoryCAStore({str(tmp_path)!r})>"
