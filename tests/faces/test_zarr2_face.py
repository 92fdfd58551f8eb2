"""The face of zarr-python 2.18, against zarr's own stores."""

from importlib.metadata import version

import numpy as np
import pytest

if not version("zarr").startswith("2."):
    pytest.skip("the face of zarr-python 2.18", allow_module_level=True)

import zarr
from interrupts import count_points, interrupt_at
from small_pages import shrink
from zarr.storage import KVStore, MemoryStore, Store, getsize, listdir, rename, rmdir

from ipldstore import (
    InvalidKeyError,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
    ReadOnlyStoreError,
)

CONTENT = {
    ".zgroup": b'{"zarr_format":2}',
    "foo/.zgroup": b'{"zarr_format":2}',
    "foo/off/.zarray": b'{"shape":[]}',
    "foo/off/0.0": b"12345",
    "foo/off/0.1": b"123",
    "foo/2": b"1",
    "foobar/0": b"",
}
PATHS = ["", "foo", "foo/", "/foo/off", "foo/off/0.0", "fo", "foobar", "nowhere", "foo/2/x"]
IMPOSSIBLE = [".zarray/x", "foo/.zgroup/x", "x" * 1025, "/".join("x" * 130), "a\0", "\ud800"]


@pytest.fixture
def store() -> IPLDStore:
    store = IPLDStore()
    store.update(CONTENT)
    return store


@pytest.fixture
def memory() -> MemoryStore:
    memory = MemoryStore()
    memory.update(CONTENT)
    return memory


def test_zarr_takes_it_as_a_store_of_its_own(store):
    assert isinstance(store, Store)
    assert Store._ensure_store(store) is store
    assert zarr.open_group(store, mode="r").store is store


@pytest.mark.parametrize("path", [*PATHS, *IMPOSSIBLE], ids=ascii)
def test_listdir(store, memory, path):
    assert listdir(store, path) == listdir(memory, path)
    assert store.listdir(path) == memory.listdir(path)


@pytest.mark.parametrize("path", [*PATHS, *IMPOSSIBLE], ids=ascii)
def test_getsize(store, memory, path):
    assert getsize(store, path) == getsize(memory, path)
    assert store.getsize(path) == memory.getsize(path)


@pytest.mark.parametrize("path", [*PATHS, *IMPOSSIBLE], ids=ascii)
@pytest.mark.parametrize("how", [rmdir, lambda store, path: store.rmdir(path)])
def test_rmdir(store, memory, path, how):
    for each in store, memory:
        how(each, path)
    assert dict(store) == dict(memory)


@pytest.mark.parametrize("path", [None, "foo//off", "\\foo\\off\\"])
def test_paths_are_written_as_zarr_writes_them(store, memory, path):
    assert store.listdir(path) == memory.listdir(path)
    assert store.getsize(path) == memory.getsize(path)
    for each in store, memory:
        each.rmdir(path)
    assert dict(store) == dict(memory)


@pytest.mark.parametrize("path", ["..", "foo/../foo", "foo/./off"])
def test_a_path_that_zarr_refuses_is_that_of_nothing(store, path):
    assert store.listdir(path) == []
    assert store.getsize(path) == 0
    store.rmdir(path)
    with pytest.raises(KeyError):
        store.rename(path, "new")
    assert dict(store) == CONTENT


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        *[("foo", "bar"), ("foo/off", "off"), ("foo", "deeper/foo"), ("/foo/", "fo/")],
        *[("foobar", "z"), ("foo/2", "2"), ("foo/off/0.0", "foo/new/0.0"), ("foobar/0", "foo/3")],
        *[(".zgroup", "foobar/.zgroup"), (".zgroup", "foobar/.zattrs"), (".zgroup", "plain")],
    ],
)
def test_rename(store, memory, source, destination):
    for each in store, memory:
        rename(each, source, destination)
    assert dict(store) == dict(memory)
    again = IPLDStore()
    again.update(memory)
    assert store.freeze() == again.freeze()


def test_a_value_that_becomes_a_document_is_kept_as_one(store):
    """What a metadata name holds is data in the tree, in whatever way it came there."""
    store["json"] = b'{ "b": 1, "a": 2 }'
    rename(store, "json", "foobar/.zattrs")
    assert store["foobar/.zattrs"] == b'{"a":2,"b":1}'
    again = IPLDStore()
    again.update(store)
    assert store.freeze() == again.freeze()


@pytest.mark.parametrize("path", ["foo", "foo/off/0.0", "foobar/0"])
def test_a_rename_reads_no_values(path):
    store = IPLDStore(MappingCAStore({}))
    store.update(CONTENT)
    store.backend.mapping.clear()
    rename(store, path, "new")
    assert any(key.startswith("new") for key in store)
    assert not any(key.startswith(path) and key[len(path) :][:1] in ("", "/") for key in store)


def test_rename_into_itself(store):
    rename(store, "foo/off", "foo/off/copy")
    assert set(store) == {
        *(key for key in CONTENT if not key.startswith("foo/off/")),
        *("foo/off/copy/.zarray", "foo/off/copy/0.0", "foo/off/copy/0.1"),
    }


@pytest.mark.parametrize(
    ("source", "destination", "error"),
    [
        ("nowhere", "bar", KeyError),
        ("foo/3", "bar", KeyError),
        (".zgroup/x", "bar", KeyError),
        ("foo/2", "foobar/0", InvalidKeyError),
        ("foo/2", "foo/off", InvalidKeyError),
        ("foo/2", "foo/2", InvalidKeyError),
        ("foo/2", "foo/2/x", InvalidKeyError),
        ("foo/2", ".zattrs/x", InvalidKeyError),
        ("foo", "foobar/0", InvalidKeyError),
        ("foo", "foobar", InvalidKeyError),
        ("foo/off", "foo/2/off", InvalidKeyError),
        ("foo", "", InvalidKeyError),
        ("", "bar", InvalidKeyError),
        ("foo", "/".join(127 * "d"), InvalidKeyError),
    ],
)
def test_a_rename_that_cannot_be_changes_nothing(store, source, destination, error):
    root = store.freeze()
    with pytest.raises(error):
        rename(store, source, destination)
    assert store.freeze() == root
    assert dict(store) == CONTENT


def test_move_of_a_group():
    groups = [zarr.group(store) for store in (IPLDStore(), MemoryStore())]
    for group in groups:
        group.create_dataset("raw/war", data=np.arange(10), chunks=3)
        group.move("raw", "rawer")
        np.testing.assert_array_equal(group["rawer/war"][:], np.arange(10))
    assert sorted(groups[0].store) == sorted(groups[1].store)


def test_getitems_leaves_out_what_is_not_there(store):
    keys = ["foo/2", "foo/3", "foo", ".zgroup", *IMPOSSIBLE]
    expected = KVStore(dict(CONTENT)).getitems(keys, contexts={})
    assert (
        store.getitems(keys, contexts={})
        == expected
        == {"foo/2": b"1", ".zgroup": CONTENT[".zgroup"]}
    )


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab"), np.array([97, 98], "u1")])
def test_a_value_may_be_any_buffer(store, value):
    store["foo/3"] = value
    assert store["foo/3"] == b"ab"


def test_a_read_only_view(store):
    view = store.with_read_only(True)
    assert (store.is_writeable(), store.is_erasable()) == (True, True)
    assert (view.is_writeable(), view.is_erasable()) == (False, False)
    for write in (
        lambda: rmdir(view, "foo"),
        lambda: view.rmdir("foo"),
        lambda: view.rename("foo", "bar"),
        view.clear,
        lambda: view.__setitem__("x", b""),
    ):
        with pytest.raises(ReadOnlyStoreError):
            write()
    assert dict(store) == CONTENT


@pytest.mark.parametrize("separator", [".", "/"])
def test_arrays_and_groups_as_on_zarrs_memory_store(separator):
    groups = [zarr.group(store) for store in (IPLDStore(), MemoryStore())]
    for group in groups:
        data = np.arange(12).reshape(3, 4)
        array = group.create_dataset("a/b", data=data, chunks=(2, 2), dimension_separator=separator)
        array.append(data)
        array.attrs["unité"] = "K"
        group.create_group("empty")
        group.create_dataset("scalar", data=7, shape=())
        del group["empty"]
        zarr.consolidate_metadata(group.store)
    ours, theirs = (group.store for group in groups)
    assert sorted(ours) == sorted(theirs)
    opened = zarr.open_consolidated(IPLDStore(ours.backend, root=ours.freeze()))
    np.testing.assert_array_equal(opened["a/b"][:], groups[1]["a/b"][:])
    assert opened["a/b"].attrs["unité"] == "K"
    assert opened["scalar"][()] == 7


def test_the_digest_of_an_array_is_that_of_what_the_store_gives():
    digests = set()
    for consolidated in False, True:
        store = IPLDStore()
        array = zarr.create((10, 10), chunks=(3, 10), dtype="i4", store=store, path="a")
        array[:7] = 1
        array.attrs["unit"] = "K"
        if consolidated:
            zarr.consolidate_metadata(store)
        digests.add(array.hexdigest())
        again = IPLDStore(store.backend, root=store.freeze())
        digests.add(zarr.open_array(again, path="a").hexdigest())
        # a store of zarr's that holds the same bytes
        digests.add(zarr.open_array(KVStore(dict(store)), path="a").hexdigest())
        digests.add(zarr.open_array(store, path="a").hexdigest("sha1"))
    assert len(digests) == 1
    array[0] = 2
    assert array.hexdigest() not in digests


def test_copy_all_from_another_store(memory):
    root = zarr.group(memory, overwrite=True)
    root.create_dataset("a", data=np.arange(100), chunks=7)
    store = IPLDStore()
    zarr.copy_store(memory, store)
    np.testing.assert_array_equal(zarr.open(store)["a"][:], np.arange(100))


def test_renaming_holds_no_more_keys_than_it_may():
    """Three blocks can stand for a million millions of keys."""
    backend = MappingCAStore({})
    cid = backend.put(b"chunk")
    for _ in range(4):
        cid = backend.put({str(number): cid for number in range(1000)})
    store = IPLDStore(backend, root=cid)
    with pytest.raises(LimitExceededError, match="stand for 1,000,000,000 keys"):
        store.rename("1", "new")
    assert store["1/2/3/4"] == b"chunk"
    assert "new/2/3/4" not in store


def test_interrupted_rename(monkeypatch):
    shrink(monkeypatch)
    before = {f"a/{index}": b"chunk" for index in range(40)} | {"b/0": b"other"}
    after = {f"c/{index}": b"chunk" for index in range(40)} | {"b/0": b"other"}

    def make():
        store = IPLDStore()
        store.update(before)
        return store

    points = count_points(lambda: make().rename("a", "c"))
    for point in range(1, points + 1, -(-points // 40)):
        store = make()
        interrupt_at(point, lambda store=store: store.rename("a", "c"))
        assert dict(store) in (before, after)
        if "a/0" in store:
            store.rename("a", "c")
        assert dict(store) == after
