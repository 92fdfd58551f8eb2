"""Blocks beside those of a root, and how the block stores list what they hold."""

import pytest
from hierarchy_blocks import CountingStore, fill
from multiformats import CID

from ipldstore import (
    BackendError,
    CachingCAStore,
    CARStore,
    ContentAddressableStore,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    SQLiteCAStore,
    UnionCAStore,
    info,
    verify,
)

pytestmark = pytest.mark.once


def object_store(folder):
    obstore = pytest.importorskip("obstore")
    from ipldstore import ObjectCAStore

    return ObjectCAStore(obstore.store.LocalStore(folder / "objects", mkdir=True), prefix="deep")


STORES = {
    "mapping": lambda folder: MappingCAStore(),
    "directory": lambda folder: DirectoryCAStore(folder / "blocks"),
    "sqlite": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "car": lambda folder: CARStore(folder / "blocks.car"),
    "objects": object_store,
    "union": lambda folder: UnionCAStore(MappingCAStore(), DirectoryCAStore(folder / "blocks")),
    "caching": lambda folder: CachingCAStore(MappingCAStore(), DirectoryCAStore(folder / "blocks")),
}
EMPTY = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


@pytest.fixture
def store():
    store = IPLDStore(CountingStore())
    fill(store)
    return store


@pytest.mark.parametrize("kind", STORES)
def test_blocks_beside_the_root(kind, tmp_path):
    with STORES[kind](tmp_path) as backend:
        store = IPLDStore(backend)
        before = fill(store)
        # an archive begins with the empty hierarchy
        assert verify(store, extra=True).extra == ((EMPTY,) if kind == "car" else ())
        store["same/1"] = b"another"
        extra = verify(store, extra=True).extra
        # where blocks are kept by multihash, they come as raw ones
        digests = {CID.decode(cid).raw_digest for cid in extra}
        assert before.raw_digest in digests
        listed = {bytes(block.cid[-32:]) for block in backend.iter_blocks()}
        assert digests < listed
        assert len(listed) == info(store).blocks + len(digests)


@pytest.mark.parametrize("kind", STORES)
def test_sizes(kind, tmp_path):
    with STORES[kind](tmp_path) as backend:
        backend.put(b"hello")
        backend.put(b"")
        listed = {(block.cid[-32:], block.size) for block in backend.iter_blocks()}
        hello, empty = (backend.make_cid(data, "raw")[-32:] for data in (b"hello", b""))
        assert {(hello, 5), (empty, 0)} <= listed


def test_a_block_under_two_codecs_is_not_extra(tmp_path):
    for backend in (MappingCAStore(), CARStore(tmp_path / "blocks.car")):
        store = IPLDStore(backend)
        store["a/0"] = b"chunk"
        data = backend.get_block(store.freeze())
        backend.put_raw(data, "raw")
        assert str(backend.make_cid(data, "raw")) not in verify(store, extra=True).extra


def test_what_is_under_a_directory_that_is_missing_is_not_called_extra(store):
    backend = MappingCAStore(dict(store.backend.mapping))
    for cid in list(backend.mapping):
        if cid.startswith("bafyrei"):
            without = dict(backend.mapping)
            del without[cid]
            assert verify(store.root_cid, MappingCAStore(without), extra=True).extra is None


def test_missing_values_do_not_hide_what_is_extra(store):
    store.backend.put(b"extra")
    del store.backend.mapping[str(store.backend.make_cid(b"single", "raw"))]
    assert verify(store, extra=True).extra == (str(store.backend.make_cid(b"extra", "raw")),)


def test_a_store_that_cannot_list_says_so():
    class Smallest(ContentAddressableStore):
        def __init__(self):
            super().__init__()
            self.blocks = {}

        def get_raw(self, cid):
            return self.blocks[cid]

        def put_block(self, cid, data):
            self.blocks[cid] = data

    store = IPLDStore(Smallest())
    store["a/0"] = b"chunk"
    assert verify(store).ok
    with pytest.raises(BackendError, match="cannot list its blocks"):
        verify(store, extra=True)


def test_names_that_are_no_cids_are_left_out():
    backend = MappingCAStore({"README": b"not a block"})
    assert list(backend.iter_blocks()) == []
