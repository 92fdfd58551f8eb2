"""The contract of a block store, kept by the caching and the union store over others."""

import pytest

from ipldstore import DirectoryCAStore, MappingCAStore
from ipldstore.backends.layers.cache import CachingCAStore
from ipldstore.backends.layers.union import UnionCAStore
from ipldstore.testing import BackendTests, JournalTests, PointerTests


def damage(store):
    """Replace the bytes of all blocks of a store by others."""
    if isinstance(store, MappingCAStore):
        for cid in store.mapping:
            store.mapping[cid] = b"damaged"
    else:
        for file in store.path.glob("??/*.data"):
            file.write_bytes(b"damaged")


def make_store(kind, folder, default_hash):
    if kind == "mapping":
        return MappingCAStore(default_hash=default_hash)
    return DirectoryCAStore(folder, default_hash=default_hash)


class CachingTests(BackendTests):
    source = cache = "directory"
    max_bytes = None

    def make_backend(self, folder, default_hash="sha2-256"):
        return CachingCAStore(
            make_store(self.source, folder / "source", default_hash),
            make_store(self.cache, folder / "cache", "sha2-256"),
            max_bytes=self.max_bytes,
        )

    def corrupt(self, backend, cid):
        damage(backend.source)
        damage(backend.cache)


class TestDirectoryBeforeMapping(CachingTests, PointerTests):
    source = "mapping"

    def open_again(self, backend):
        return CachingCAStore(MappingCAStore(backend.source.mapping), MappingCAStore())


class TestBoundedDirectoryBeforeDirectory(CachingTests):
    max_bytes = 4 << 20


class TestTinyDirectoryBeforeDirectory(CachingTests, JournalTests):
    max_bytes = 10


class TestMappingBeforeDirectory(CachingTests):
    cache = "mapping"


class UnionTests(BackendTests):
    kinds = ("directory", "mapping")
    race = False

    def make_backend(self, folder, default_hash="sha2-256"):
        stores = [
            make_store(kind, folder / str(number), default_hash)
            for number, kind in enumerate(self.kinds)
        ]
        return UnionCAStore(*stores, race=self.race)

    def corrupt(self, backend, cid):
        damage(backend.stores[0])


class TestUnionOfDirectoryAndMapping(UnionTests):
    pass


class TestUnionOfOneMapping(UnionTests):
    kinds = ("mapping",)


class TestRaceOfDirectories(UnionTests, JournalTests):
    kinds = ("directory", "directory")
    race = True


class TestCacheBeforeUnion(BackendTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        stores = [make_store("directory", folder / name, default_hash) for name in ("one", "two")]
        return CachingCAStore(UnionCAStore(*stores), DirectoryCAStore(folder / "cache"))

    def corrupt(self, backend, cid):
        damage(backend.source.stores[0])
        damage(backend.cache)


@pytest.mark.parametrize("kind", [CachingCAStore, UnionCAStore])
def test_something_else_than_a_store_is_refused(kind):
    with pytest.raises(TypeError, match="expected a ContentAddressableStore, not dict"):
        kind(MappingCAStore(), {})
    with pytest.raises(TypeError, match="expected a ContentAddressableStore, not str"):
        kind("http://127.0.0.1", MappingCAStore())
