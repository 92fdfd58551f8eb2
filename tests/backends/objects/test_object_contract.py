"""The contract of block stores on object stores: S3, Azure, Google Cloud Storage, in process."""

import pytest
from obstore.store import LocalStore, MemoryStore

from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.testing import JournalTests


class OnServer(JournalTests):
    options = {}  # noqa: RUF012
    swaps = 5
    appends = 10

    @pytest.fixture(autouse=True)
    def _server(self, start_kind):
        self.server = start_kind(self.kind)

    def make_backend(self, folder, default_hash="sha2-256"):
        url = f"{self.server.make_bucket()}/some/folder"
        return ObjectCAStore(
            url, default_hash=default_hash, **self.server.make_options(), **self.options
        )

    def corrupt(self, backend, cid):
        backend.flush()
        (objects,) = backend.store.list()
        (found,) = objects
        backend.store.put(found["path"], b"damaged")


class TestS3(OnServer):
    kind = "s3"


class TestS3OneByOne(OnServer):
    kind = "s3"
    options = {"buffer_bytes": 0, "connections": 3, "prefix": "/deeper/"}  # noqa: RUF012


class TestAzure(OnServer):
    kind = "azure"


class TestGCS(OnServer):
    kind = "gcs"


class TestLocalStore(JournalTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        store = LocalStore(folder / "blocks", mkdir=True)
        return ObjectCAStore(store, default_hash=default_hash)

    corrupt = OnServer.corrupt


class TestMemoryStore(JournalTests):
    can_pickle = False

    def open_again(self, backend):
        return ObjectCAStore(backend.store, prefix=backend.prefix)

    def make_backend(self, folder, default_hash="sha2-256"):
        return ObjectCAStore(MemoryStore(), default_hash=default_hash)

    corrupt = OnServer.corrupt
