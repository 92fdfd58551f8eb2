"""zarr-python 3 on one file: its suite for stores."""

import pytest

pytest.importorskip("zarr", minversion="3", reason="zarr.testing came with zarr-python 3")

from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore
from tests.faces.test_store_suite import IPLDStoreTests


class TestOnSQLite(IPLDStoreTests):
    @pytest.fixture
    def store_kwargs(self, tmp_path):
        with SQLiteCAStore(tmp_path / "blocks.sqlite") as backend:
            yield {"blocks": backend}

    def test_store_repr(self, store):
        assert repr(store) == f"<IPLDStore not frozen on {store.backend!r}>"


class TestOnCAR(TestOnSQLite):
    @pytest.fixture
    def store_kwargs(self, tmp_path):
        with CARStore(tmp_path / "data.car") as backend:
            yield {"blocks": backend}
