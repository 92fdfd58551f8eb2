"""Blocks in a mapping: the contract on a dict, a shelf and a mapping of one's own."""

import shelve
from collections import UserDict
from collections.abc import Iterator, MutableMapping

import pytest

from ipldstore import BackendError, MappingCAStore
from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.cid import Link, as_link
from ipldstore.testing import HELLO_RAW, BackendTests, PointerTests


class ListMapping(MutableMapping[str, bytes]):
    """A mapping that is no dict: pairs in a list, the newest last."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, bytes]] = []

    def __getitem__(self, key: str) -> bytes:
        for name, value in list(self.pairs):
            if name == key:
                return value
        raise KeyError(key)

    def __setitem__(self, key: str, value: bytes) -> None:
        self.pairs.append((key, value))

    def __delitem__(self, key: str) -> None:
        self[key]
        self.pairs = [pair for pair in self.pairs if pair[0] != key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))


class MappingTests(BackendTests):
    def corrupt(self, backend, cid):
        (key,) = backend.mapping
        del backend.mapping[key]
        backend.mapping[key] = b"damaged"


class TestDict(MappingTests, PointerTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return MappingCAStore({}, default_hash=default_hash)

    def open_again(self, backend):
        return MappingCAStore(backend.mapping)


class TestUserDict(TestDict):
    def make_backend(self, folder, default_hash="sha2-256"):
        return MappingCAStore(UserDict(), default_hash=default_hash)


class TestListMapping(MappingTests):
    def make_backend(self, folder, default_hash="sha2-256"):
        return MappingCAStore(ListMapping(), default_hash=default_hash)


class TestShelf(MappingTests):
    can_pickle = False

    @pytest.fixture
    def backend(self, tmp_path):
        with shelve.open(str(tmp_path / "shelf")) as shelf:
            yield MappingCAStore(shelf)

    def make_backend(self, folder, default_hash="sha2-256"):
        return MappingCAStore(shelve.Shelf({}), default_hash=default_hash)

    def test_many_threads_at_once(self, backend):
        pytest.skip("a shelf is not safe under threads, so a store over it is not either")

    def test_event_loops_put_and_get(self, backend):
        pytest.skip("event loops use threads, under which a shelf is not safe")

    test_event_loops_get_the_same_errors = test_event_loops_put_and_get
    test_event_loops_are_refused_corrupt_blocks = test_event_loops_put_and_get


def test_keys_are_base32_text_and_values_are_bytes():
    blocks = {}
    MappingCAStore(blocks).put_raw(memoryview(b"hello"), "raw")
    assert blocks == {HELLO_RAW: b"hello"}
    assert type(blocks[HELLO_RAW]) is bytes


def test_identity_block_takes_no_room():
    backend = MappingCAStore({})
    backend.put_block(Link(b"\x01\x55\0\5hello"), b"hello")
    assert backend.mapping == {}


def test_the_mapping_is_the_callers_own():
    blocks = {HELLO_RAW: b"hello"}
    assert MappingCAStore(blocks).get(HELLO_RAW) == b"hello"
    assert MappingCAStore(blocks) == MappingCAStore(blocks)
    assert MappingCAStore(blocks) != MappingCAStore(dict(blocks))


def test_an_empty_mapping_is_kept_too():
    blocks = {}
    assert MappingCAStore(blocks).mapping is blocks
    assert MappingCAStore().mapping == {}


def test_pointers_stand_beside_the_blocks():
    blocks = {}
    backend = MappingCAStore(blocks)
    assert backend.swap_pointer("default", None, as_link(HELLO_RAW))
    assert list(blocks) == ["ipldstore/pointer-default"]
    assert blocks["ipldstore/pointer-default"].startswith(HELLO_RAW.encode() + b" ")
    assert backend.find_missing([as_link(HELLO_RAW)]) == {as_link(HELLO_RAW)}


@pytest.mark.parametrize("mapping", [ListMapping(), shelve.Shelf({})])
def test_mapping_that_may_be_shared_keeps_no_pointers(mapping):
    assert not isinstance(MappingCAStore(mapping), KeepsPointers)


def test_damaged_pointer():
    backend = MappingCAStore({"ipldstore/pointer-default": b"damaged"})
    for use in (backend.read_pointer, lambda name: backend.swap_pointer(name, None, HELLO_RAW)):
        with pytest.raises(BackendError, match="'ipldstore/pointer-default' is damaged"):
            use("default")
