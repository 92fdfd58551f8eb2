"""Shorter ways to read never go past what a subclass, a mixin, a test or a user put in the way."""

import pytest

from ipldstore import DirectoryCAStore, MappingCAStore, SQLiteCAStore
from ipldstore.cid import as_link

STORES = {
    "directory": lambda cls, folder: cls(folder / "blocks"),
    "memory": lambda cls, folder: cls(),
    "sqlite": lambda cls, folder: cls(folder / "blocks.sqlite"),
}
CLASSES = {"directory": DirectoryCAStore, "memory": MappingCAStore, "sqlite": SQLiteCAStore}


def counting(read, asked):
    def get_raw(*arguments):
        asked.append(arguments[-1])
        return read(*arguments)

    return get_raw


def by_subclass(cls, asked):
    return type("Counting", (cls,), {"get_raw": counting(cls.get_raw, asked)})


def by_mixin(cls, asked):
    class Log:
        def get_small(self, cid):
            return super().get_small(cid)

        def fill_block(self, cid, buffer):
            return super().fill_block(cid, buffer)

    class Count:
        def get_raw(self, cid):
            asked.append(cid)
            return super().get_raw(cid)

    return type("Mixed", (Log, Count, cls), {})


def by_both(cls, asked):
    def get_small(self, cid):
        return cls.get_small(self, cid)

    return type("Both", (cls,), {"get_raw": counting(cls.get_raw, asked), "get_small": get_small})


def by_late_assignment(cls, asked):
    late = type("Late", (cls,), {})
    late.get_raw = counting(cls.get_raw, asked)
    return late


@pytest.mark.parametrize("way", [by_subclass, by_mixin, by_both, by_late_assignment])
@pytest.mark.parametrize("kind", STORES)
def test_an_override_is_asked(kind, way, tmp_path):
    asked = []
    check(STORES[kind](way(CLASSES[kind], asked), tmp_path), asked)


@pytest.mark.parametrize("kind", STORES)
def test_a_method_of_the_object_is_asked(kind, tmp_path):
    asked = []
    store = STORES[kind](CLASSES[kind], tmp_path)
    store.get_raw = counting(store.get_raw, asked)
    check(store, asked)


@pytest.mark.parametrize("kind", STORES)
def test_a_patched_class_is_asked(kind, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(CLASSES[kind], "get_raw", counting(CLASSES[kind].get_raw, asked))
    check(STORES[kind](CLASSES[kind], tmp_path), asked)


def check(store, asked):
    cid = as_link(store.put_raw(b"hello", "raw"))
    store.flush()
    assert store.get_small(cid) == b"hello"
    assert asked == [cid]
    assert store.fill_block(cid, memoryview(bytearray(5)))
    assert asked == [cid, cid]


@pytest.mark.parametrize("kind", STORES)
def test_the_shorter_way_is_taken(kind, tmp_path, monkeypatch):
    store = STORES[kind](CLASSES[kind], tmp_path)
    cid = as_link(store.put_raw(b"hello", "raw"))
    store.flush()
    monkeypatch.setattr("ipldstore.blockstore.contract.ContentAddressableStore.get_small", None)
    assert store.get_small(cid) == b"hello"


def test_a_dict_that_keeps_values_in_its_own_way():
    class Backwards(dict):
        def __getitem__(self, key):
            return super().__getitem__(key)[::-1]

        def __setitem__(self, key, value):
            super().__setitem__(key, value[::-1])

    store = MappingCAStore(Backwards())
    cid = as_link(store.put_raw(b"hello", "raw"))
    assert store.get_block(cid) == store.get_small(cid) == b"hello"


def test_pointers_of_a_subclass_are_its_own():
    class Refusing(MappingCAStore):
        def read_pointer(self, name):
            raise PermissionError(name)

    with pytest.raises(PermissionError):
        Refusing().read_pointer("main")
