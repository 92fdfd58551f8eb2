"""What CPython asks of mappings, with text keys and bytes values: a ``dict`` is the oracle.

Each point runs on a ``dict`` and on a store. Where a store differs, by intention, a test below
says how; the documentation lists these.
"""

import collections.abc
import operator
from collections import UserDict

import pytest

from ipldstore import InvalidKeyError, IPLDStore

CONTENT = {"key1": b"value1", "key2": b"", "z/0.0": b"\0\1"}


def make_store(*arguments, **items):
    store = IPLDStore()
    store.update(*arguments, **items)
    return store


@pytest.fixture(params=[dict, make_store], ids=["dict", "store"])
def make(request):
    return request.param


def test_reading(make):
    full, empty = make(CONTENT), make()
    assert dict(full) == CONTENT
    assert all(full[key] == value for key, value in CONTENT.items())
    assert (len(full), len(empty)) == (3, 0)
    assert (bool(full), bool(empty)) == (True, False)
    assert "key1" in full
    assert "absent" not in full
    assert (full.get("key1"), full.get("absent"), full.get("absent", b"x")) == (
        b"value1",
        None,
        b"x",
    )
    for key in ("absent", 1, None, ("a",)):
        with pytest.raises(KeyError) as caught:
            full[key]
        assert caught.value.args == (key,)
        assert key not in full
        assert full.get(key, b"x") == b"x"
    with pytest.raises(TypeError):
        full.get()


def test_views(make):
    full, empty = make(CONTENT), make()
    assert isinstance(full, collections.abc.MutableMapping)
    assert set(full) == set(full.keys()) == set(CONTENT)
    assert sorted(full.values()) == sorted(CONTENT.values())
    assert set(full.items()) == set(CONTENT.items())
    for view in (full.keys(), full.items(), full.values()):
        assert len(view) == 3
    assert full.keys() == CONTENT.keys()
    assert full.items() == CONTENT.items()
    assert full.keys() & {"key1", "other"} == {"key1"}
    assert full.keys() | {"other"} == {*CONTENT, "other"}
    assert full.keys() - {"key1"} == set(CONTENT) - {"key1"}
    assert full.keys() ^ {"key1"} == set(CONTENT) - {"key1"}
    assert full.keys().isdisjoint({"other"})
    assert ("key1", b"value1") in full.items()
    assert ("key1", b"other") not in full.items()
    assert b"value1" in full.values()
    keys = empty.keys()
    empty["later"] = b"1"
    assert list(keys) == ["later"]
    assert list(zip(full.keys(), full.values(), strict=True)) == list(full.items())


def test_writing(make):
    mapping = make(CONTENT)
    mapping["key1"] = b"new"
    del mapping["key2"]
    assert dict(mapping) == {"key1": b"new", "z/0.0": b"\0\1"}
    for key in ("key2", 1, None):
        with pytest.raises(KeyError):
            del mapping[key]
    mapping.clear()
    assert dict(mapping) == {}
    mapping.clear()


class OnlyKeys:
    """Has what ``update`` needs of a mapping, and no more."""

    def keys(self):
        return CONTENT.keys()

    def __getitem__(self, key):
        return CONTENT[key]


class Failing:
    def __init__(self, fails):
        self.fails = fails

    def keys(self):
        if self.fails == "keys":
            raise ZeroDivisionError
        return self

    def __iter__(self):
        if self.fails == "iter":
            raise ZeroDivisionError
        yield "a"
        if self.fails == "next":
            raise ZeroDivisionError

    def __getitem__(self, key):
        if self.fails == "getitem":
            raise ZeroDivisionError
        return b"1"


@pytest.mark.parametrize(
    "others", [CONTENT, UserDict(CONTENT), list(CONTENT.items()), OnlyKeys(), make_store(CONTENT)]
)
def test_update(make, others):
    mapping = make(first=b"1")
    mapping.update(others, last=b"2")
    assert dict(mapping) == {"first": b"1", **CONTENT, "last": b"2"}
    if not isinstance(others, list):
        mapping.update(others)
    mapping.update()


@pytest.mark.parametrize("fails", ["keys", "iter", "next", "getitem"])
def test_update_from_what_fails(make, fails):
    with pytest.raises(ZeroDivisionError):
        make().update(Failing(fails))


@pytest.mark.parametrize("wrong", [[("a",)], [("a", b"1", b"2")], 42, {}.__len__])
def test_update_from_what_is_no_mapping(make, wrong):
    mapping = make()
    with pytest.raises((TypeError, ValueError)):
        mapping.update(wrong)
    assert dict(mapping) == {}
    with pytest.raises(TypeError):
        mapping.update({}, {})


def test_setdefault(make):
    mapping = make(CONTENT)
    assert mapping.setdefault("key1", b"other") == b"value1"
    assert mapping.setdefault("new", b"1") == b"1"
    assert mapping["new"] == b"1"
    with pytest.raises(TypeError):
        mapping.setdefault()


def test_pop(make):
    mapping = make(CONTENT)
    assert mapping.pop("key1") == b"value1"
    assert mapping.pop("key1", b"x") == b"x"
    assert mapping.pop("key1", None) is None
    with pytest.raises(KeyError) as caught:
        mapping.pop("key1")
    assert caught.value.args == ("key1",)
    with pytest.raises(TypeError):
        mapping.pop()
    with pytest.raises(TypeError):
        mapping.pop("a", b"b", b"c")
    left = dict(mapping)
    while left:
        key, value = mapping.popitem()
        assert left.pop(key) == value
    with pytest.raises(KeyError):
        mapping.popitem()


def test_mappings_have_no_order_among_them(make):
    for other in ({}, make(CONTENT)):
        with pytest.raises(TypeError):
            operator.lt(make(), other)


def test_iterators_stand_for_themselves(make):
    mapping = make(CONTENT)
    for iterator in (iter(mapping), iter(mapping.items()), iter(mapping.values())):
        assert iter(iterator) is iterator
        assert len(list(iterator)) == 3
        assert list(iterator) == []


def test_a_store_may_change_while_it_is_iterated():
    store = make_store(CONTENT)
    seen = []
    for key in store:
        seen.append(key)
        store[f"{key}0"] = b"new"
        if len(seen) > 10:
            break
    assert set(CONTENT) <= {*seen, *store}


def test_a_store_iterates_in_natural_order():
    assert list(make_store({"b": b"", "a/10": b"", "a/9": b""})) == ["a/9", "a/10", "b"]


def test_a_store_equals_no_dict():
    store = make_store(CONTENT)
    assert store != CONTENT
    assert dict(store) == CONTENT
    assert hash(store) == hash(store)


def test_a_store_is_not_copied_or_merged_as_a_dict():
    store = make_store(CONTENT)
    for name in ("copy", "fromkeys", "__or__", "__ior__", "__reversed__"):
        assert not hasattr(store, name) or getattr(store, name) is None, name


@pytest.mark.parametrize("value", [None, "text", 3, [b"a"]])
def test_a_store_takes_bytes_only(value):
    store = IPLDStore()
    with pytest.raises(TypeError, match="key 'a'"):
        store["a"] = value
    assert not store


@pytest.mark.parametrize("key", [[], {}, 1, None, b"key1"])
def test_a_store_has_keys_of_text_only(key):
    store = make_store(CONTENT)
    assert key not in store
    assert (store.get(key, b"x"), store.pop(key, b"x")) == (b"x", b"x")
    for absent in (store.__getitem__, store.__delitem__, store.pop):
        with pytest.raises(KeyError):
            absent(key)
    for setting in (store.__setitem__, store.setdefault):
        with pytest.raises(InvalidKeyError, match="is not a str"):
            setting(key, b"1")
    assert dict(store) == CONTENT


def test_setdefault_of_a_store_needs_a_default():
    store = make_store(CONTENT)
    assert store.setdefault("key1") == b"value1"
    with pytest.raises(TypeError, match="key 'absent'"):
        store.setdefault("absent")


def test_popitem_of_a_store_takes_the_first_key():
    store = make_store(CONTENT)
    assert [store.popitem()[0] for _ in CONTENT] == list(make_store(CONTENT))


def test_a_store_is_made_on_blocks_not_of_items():
    with pytest.raises(TypeError, match="not dict; MappingCAStore"):
        IPLDStore(dict(CONTENT))
    with pytest.raises(TypeError):
        IPLDStore(key1=b"value1")


def test_the_repr_of_a_store_has_no_items():
    store = make_store(CONTENT)
    assert "key1" not in repr(store)
    assert str(store.freeze()) in repr(store)
