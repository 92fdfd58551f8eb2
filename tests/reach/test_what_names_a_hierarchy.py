"""Every function that looks at a hierarchy takes whatever names one, as `ipldstore.open` does."""

import os
from pathlib import Path

import pytest

import ipldstore
from ipldstore import BlockStoreURLError, CARStore, IPLDStore

pytest.importorskip("matplotlib")
from ipldstore.views.picture import plot_changes

ARRAY = b'{"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i2", "compressor": null}'


def drawn(what, blocks=None, **options):
    plot_changes(what, what, "drawn.svg", blocks=blocks, array="a", **options)
    return Path("drawn.svg").read_bytes().split(b"<path", 1)[1]


def different(what, blocks=None, **options):
    return list(ipldstore.diff(what, "empty.car", blocks, **options))


CALLS = {
    "verify": lambda *args, **options: ipldstore.verify(*args, **options).blocks,
    "info": ipldstore.info,
    "check_compression": ipldstore.check_compression,
    "diff": different,
    "plot_changes": drawn,
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A hierarchy in the folder ``blocks`` and in ``x.car``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)
    store = IPLDStore(ipldstore.DirectoryCAStore("blocks"))
    for group in ("", "g/"):
        store[f"{group}.zgroup"] = b'{"zarr_format": 2}'
        store[f"{group}a/.zarray"] = ARRAY
        store[f"{group}a/0"] = b"%4d" % len(group)
    store.freeze()
    store.to_car("x.car")
    IPLDStore().to_car("empty.car")
    return store


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_root_in_any_form(store, call, monkeypatch):
    root = store.root_cid
    expected = call(store)
    for what in (root, str(root), bytes(root), f"ipfs://{root}", f"ipld://{root}", f" {root}\n"):
        for blocks in (store.backend, "blocks", Path("blocks"), f"file://{os.getcwd()}/blocks"):
            assert call(what, blocks) == expected
    with pytest.raises(BlockStoreURLError, match="does not say where its blocks are"):
        call(root)
    monkeypatch.setenv("IPLDSTORE_BLOCKS", "blocks")
    assert call(root) == expected


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_archive_and_a_part_of_a_hierarchy(store, call):
    expected = call(store)
    for what in ("x.car", Path("x.car"), f"file://{os.getcwd()}/x.car", "car:x.car"):
        assert call(what) == expected
    inner = call(ipldstore.open("x.car", path="g"))
    assert call("x.car/g") == call(f"{store.root_cid}/g", "blocks") == inner


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_former_name_of_the_parameter(store, call):
    with pytest.warns(DeprecationWarning, match="backend= is called blocks= now"):
        assert call(store.root_cid, backend=store.backend) == call(store)
    with pytest.raises(TypeError, match="came twice"):
        call(store.root_cid, store.backend, backend=store.backend)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_was_given_stays_open_and_what_was_opened_does_not(store, call, monkeypatch):
    closed = []
    close = CARStore.close
    monkeypatch.setattr(CARStore, "close", lambda self: (closed.append(self), close(self)))
    with CARStore("x.car") as given:
        for what in (store.root_cid, f"{store.root_cid}/g"):
            call(what, given)
            assert given not in closed
    closed.clear()
    call("x.car/g")
    assert closed


def test_differences_of_two_places(store):
    root = store.root_cid
    other = IPLDStore(ipldstore.DirectoryCAStore("elsewhere"))
    other["a"] = b"1"
    other.freeze()
    expected = list(ipldstore.diff(store, other))
    assert list(ipldstore.diff("x.car", other)) == expected
    assert list(ipldstore.diff("x.car", other.root_cid, "elsewhere")) == expected
    other.to_car("y.car")
    assert list(ipldstore.diff("x.car", "y.car")) == expected
    assert list(ipldstore.diff(root, "y.car", "blocks")) == expected


def test_differences_that_nobody_asks_for_load_nothing(store):
    missing = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
    assert list(ipldstore.diff(missing, missing, "blocks")) == []


def test_differences_that_nobody_iterates_are_closed(store, monkeypatch):
    closed = []
    close = CARStore.close
    monkeypatch.setattr(CARStore, "close", lambda self: (closed.append(self), close(self)))
    changes = ipldstore.diff("x.car", "empty.car")
    changes.close()
    assert len(closed) == 2
    changes = ipldstore.diff("x.car", "empty.car")
    next(changes)
    del changes
    assert len(closed) == 4


def test_a_picture_in_no_folder(store):
    with pytest.raises(FileNotFoundError, match="no folder to put"):
        plot_changes("x.car", "empty.car", "no/x.svg")


def test_the_former_name_of_a_stores_blocks(store):
    blocks = store.blocks
    assert store.backend is blocks
    directory = store.to_unixfs()
    for make in (
        lambda **named: ipldstore.IPLDStore(root=store.root_cid, **named),
        lambda **named: ipldstore.IPLDStore.from_car("x.car", **named),
        lambda **named: ipldstore.IPLDStore.from_unixfs(directory, **named),
    ):
        with pytest.warns(DeprecationWarning, match="backend= is called blocks= now") as warned:
            assert make(backend=blocks).blocks is blocks
        assert warned[0].filename == __file__
        with pytest.raises(TypeError, match="came twice"):
            make(blocks=blocks, backend=blocks)
