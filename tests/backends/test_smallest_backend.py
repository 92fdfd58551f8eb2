"""A block store that a user writes: `get_raw` and `put_block`, and the contract holds."""

import pytest

import ipldstore
from ipldstore import BackendError, BlockNotFoundError, ContentAddressableStore, IPLDStore
from ipldstore.testing import MISSING, BackendTests


class SmallestStore(ContentAddressableStore):
    def __init__(self, **options):
        super().__init__(**options)
        self.blocks = {}

    def get_raw(self, cid):
        return self.blocks[cid]

    def put_block(self, cid, data):
        self.blocks[cid] = bytes(data)


class TestSmallestStore(BackendTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return SmallestStore(default_hash=default_hash)

    def corrupt(self, backend, cid):
        backend.blocks[cid] = b"damaged"


class UnreachableStore(SmallestStore):
    def get_raw(self, cid):
        raise BackendError("no answer", retryable=True)


def test_hierarchy_lives_on_it():
    store = IPLDStore(SmallestStore())
    store["a/0"] = b"chunk"
    other = IPLDStore(store.backend, root=store.freeze())
    assert dict(other) == {"a/0": b"chunk"}


def test_bare_key_error_becomes_block_not_found():
    with pytest.raises(BlockNotFoundError) as caught:
        SmallestStore().get_block(MISSING)
    assert isinstance(caught.value.__cause__, KeyError)


def test_store_out_of_reach_is_not_a_missing_block():
    backend = UnreachableStore()
    for ask in (backend.get_block, backend.get, backend.has):
        with pytest.raises(BackendError) as caught:
            ask(MISSING)
        assert caught.value.retryable


@pytest.mark.parametrize(("what", "kind"), [(None, "NoneType"), (bytearray(b"x"), "bytearray")])
async def test_what_is_no_bytes_is_refused(what, kind):
    backend = SmallestStore()
    backend.get_raw = lambda cid: what
    expected = f"SmallestStore gave {kind} for the block {MISSING}, expected bytes"
    with pytest.raises(TypeError, match=expected):
        backend.get_block(MISSING)
    with pytest.raises(TypeError, match=expected):
        await backend.get_block_async(MISSING)


def test_both_methods_are_needed():
    class HalfStore(ContentAddressableStore):
        def get_raw(self, cid):
            raise BlockNotFoundError(str(cid))

    with pytest.raises(TypeError, match="put_block"):
        HalfStore()


with pytest.warns(DeprecationWarning, match=r"StoreOfOld writes put_raw.*writes put_block"):

    class StoreOfOld(ContentAddressableStore):
        """One that was written when `put_raw` was what a store writes."""

        def __init__(self, **options):
            super().__init__(**options)
            self.blocks = {}

        def get_raw(self, cid):
            return self.blocks[cid]

        def put_raw(self, data, codec):
            cid = self.make_cid(data, codec)
            self.blocks[cid] = bytes(data)
            return cid

        async def put_raw_async(self, data, codec):
            return self.put_raw(data, codec)


class TestStoreOfOld(BackendTests):
    keeps_foreign_cids = False

    def make_backend(self, folder, default_hash="sha2-256"):
        return StoreOfOld(default_hash=default_hash)

    def corrupt(self, backend, cid):
        backend.blocks[cid] = b"damaged"


def test_a_store_of_old_in_layers_and_below_others():
    class More(StoreOfOld):
        """Inherits what it needs, so that nothing is said again."""

    for layers in (
        ipldstore.UnionCAStore(More(), SmallestStore()),
        ipldstore.CachingCAStore(More(), SmallestStore()),
    ):
        store = IPLDStore(layers)
        store["a/0"] = b"chunk"
        assert dict(IPLDStore(layers, root=store.freeze())) == {"a/0": b"chunk"}


def keeps(backend):
    """Whether a store keeps a block by every way on which one comes to it."""
    source = SmallestStore()
    first, second = source.put_raw(b"1", "raw"), source.put_raw(b"2", "dag-pb")
    backend.put_block(first, b"1")
    backend.put_many([(second, b"2")])
    third = backend.put_raw(b"3", "raw")
    return [backend.get_block(cid) for cid in (first, second, third)] == [b"1", b"2", b"3"]


@pytest.mark.filterwarnings("ignore:.*writes put_raw:DeprecationWarning")
def test_stores_of_old_in_every_form():
    class CallsBase(StoreOfOld):
        def put_block(self, cid, data):
            return super().put_block(cid, data)

    class Counting(ContentAddressableStore):
        def put_raw(self, data, codec):
            return super().put_raw(data, codec)

    class Counted(Counting, ipldstore.MappingCAStore):
        pass

    class Mixin:
        get_raw, put_raw = vars(StoreOfOld)["get_raw"], vars(StoreOfOld)["put_raw"]

        def __init__(self, **options):
            super().__init__(**options)
            self.blocks = {}

    class Mixed(Mixin, ContentAddressableStore):
        pass

    for kind in (CallsBase, Counted, Mixed):
        assert keeps(kind()), kind


def test_who_leaves_putting_to_the_base_is_told():
    class Neither(SmallestStore):
        def put_block(self, cid, data):
            ContentAddressableStore.put_block(self, cid, data)

    with pytest.raises(NotImplementedError, match="Neither does not write put_block"):
        Neither().put_raw(b"1", "raw")


def test_who_only_changes_the_helper_is_warned():
    with pytest.warns(DeprecationWarning, match="ReadsOnly writes put_raw"):

        class ReadsOnly(ipldstore.MappingCAStore):
            def put_raw(self, data, codec):
                raise BackendError("only reads")
