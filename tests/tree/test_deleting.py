"""Deleting values: it reads none of their bytes, and works whatever has become of them."""

import asyncio
from importlib.metadata import version

import pytest
from watched import CountingStore

from ipldstore import BlockNotFoundError, CorruptBlockError, IPLDStore

IS_ZARR2 = version("zarr").startswith("2.")

CONTENT = {
    "a/c/0": b"small",
    "a/c/1": b"large" * 500_000,
    "a/c/2": b"stays",
    "a/zarr.json": b'{"attributes":"%s"}' % (b"x" * 9_000),
    "a/.zattrs": b"no JSON",
    "b/zarr.json": b'{"attributes":{}}',
}
KEYS = [key for key in CONTENT if key != "a/c/2"]

WAYS = {"del": lambda store, key: store.__delitem__(key)}
DIRECTORY_WAYS = {}
if IS_ZARR2:
    DIRECTORY_WAYS["rmdir"] = lambda store, path: store.rmdir(path)
else:
    WAYS["zarr"] = lambda store, key: asyncio.run(store.delete(key))
    WAYS["zarr without a loop"] = lambda store, key: store.delete_sync(key)
    DIRECTORY_WAYS["delete_dir"] = lambda store, path: asyncio.run(store.delete_dir(path))


@pytest.fixture
def store():
    """A hierarchy whose directories are all in the root's block, of which nothing is loaded yet."""
    backend = CountingStore()
    writer = IPLDStore(backend)
    writer.update(CONTENT)
    store = IPLDStore(backend, root=writer.freeze())
    backend.reset()
    return store


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("key", KEYS)
def test_a_value_that_goes_is_not_read(store, way, key):
    root = str(store.root_cid)
    way(store, key)
    assert set(store) == CONTENT.keys() - {key}
    assert set(store.backend.gets) <= {root}


@pytest.mark.parametrize("way", DIRECTORY_WAYS.values(), ids=DIRECTORY_WAYS)
def test_values_that_go_with_their_directory_are_not_read(store, way):
    root = str(store.root_cid)
    way(store, "a")
    assert set(store) == {"b/zarr.json"}
    assert set(store.backend.gets) <= {root}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("fault", ["missing", "damaged"])
@pytest.mark.parametrize("key", KEYS[:-1])
def test_a_value_that_cannot_be_read_can_be_deleted(store, way, fault, key):
    mapping = store.backend.mapping
    for cid in mapping.keys() - {str(store.root_cid)}:
        if fault == "missing":
            del mapping[cid]
        else:
            mapping[cid] = b"damaged"
    expected = BlockNotFoundError if fault == "missing" else CorruptBlockError
    for read in store.__getitem__, store.pop:
        with pytest.raises(expected):
            read(key)
        assert key in store, "what cannot be returned is not lost by that"
    way(store, key)
    assert key not in store


def test_pop_reads_the_value_that_it_returns(store):
    for key in KEYS:
        assert store.pop(key) == CONTENT[key]
    assert dict(store) == {"a/c/2": b"stays"}
