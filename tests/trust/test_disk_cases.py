"""What may stand on a disk in the place of a block or of a store, and what damage does there."""

import os
import socket

import pytest

from ipldstore import BackendError, CorruptBlockError, IPLDStore
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.backends.sqlite.store import SQLiteCAStore
from ipldstore.cid import make_link

pytestmark = pytest.mark.once

DATA = b"a block whose bytes can be found in any file " * 30
CID = make_link(DATA)
OTHER = b"what the link leads to"

STORES = {"directory": DirectoryCAStore, "sqlite": SQLiteCAStore, "car": CARStore}
NAMES = {"directory": "blocks", "sqlite": "blocks.sqlite", "car": "data.car"}


def make_pipe(path, elsewhere):
    os.mkfifo(path)


def make_socket(path, elsewhere):
    # the path of a socket has at most 107 bytes
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def link_to_device(path, elsewhere):
    path.symlink_to("/dev/zero")


def link_to_pipe(path, elsewhere):
    os.mkfifo(elsewhere)
    path.symlink_to(elsewhere)


def make_folder(path, elsewhere):
    path.mkdir()


NO_FILES = [make_pipe, make_socket, link_to_device, link_to_pipe, make_folder]


@pytest.fixture
def backend(tmp_path):
    """A folder of blocks that holds one."""
    backend = DirectoryCAStore(tmp_path / "blocks")
    backend.put(DATA)
    return backend


@pytest.fixture
def file(backend):
    (file,) = backend.path.glob("??/*.data")
    return file


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("data", [DATA, b""])
def test_no_file_where_a_block_should_be(tmp_path, make, data):
    backend = DirectoryCAStore(tmp_path / "blocks")
    cid = bytes(backend.put(data))
    (file,) = backend.path.glob("??/*.data")
    file.unlink()
    make(file, tmp_path / "elsewhere")
    for read in (backend.get_block, lambda cid: list(backend.get_many([cid]))):
        with pytest.raises(BackendError, match=r"not a regular file|No such device") as caught:
            read(cid)
        assert not caught.value.retryable
    assert not backend.has(cid)
    assert backend.size_of(make_link(data)) is None
    assert backend.find_missing([make_link(data)]) == {make_link(data)}
    assert list(backend.iter_blocks()) == []
    if make is make_folder:
        with pytest.raises(BackendError, match="Is a directory"):
            backend.put(data)
        return
    backend.put(data)
    assert backend.get_block(cid) == data
    assert file.is_file()
    assert not file.is_symlink()


def test_symbolic_link_to_the_block(backend, file, tmp_path):
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert backend.get_block(CID) == DATA
    assert [block.size for block in backend.iter_blocks()] == [len(DATA)]
    backend.put(DATA)
    assert file.is_symlink()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_link_to_another_file(backend, file, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(OTHER)
    file.unlink()
    link(elsewhere, file)
    with pytest.raises(CorruptBlockError):
        backend.get_block(CID)
    backend.put(DATA)
    assert backend.get_block(CID) == DATA
    assert elsewhere.read_bytes() == OTHER


def test_symbolic_link_to_nothing(backend, file, tmp_path):
    file.unlink()
    file.symlink_to(tmp_path / "nothing")
    assert not backend.has(CID)
    assert list(backend.iter_blocks()) == []
    backend.put(DATA)
    assert backend.get_block(CID) == DATA
    assert not (tmp_path / "nothing").exists()


def test_second_name_of_a_block_keeps_its_bytes(backend, file, tmp_path):
    os.link(file, tmp_path / "second")
    file.write_bytes(b"damaged, under both names")
    backend.put(DATA)
    assert backend.get_block(CID) == DATA
    assert (tmp_path / "second").read_bytes() == b"damaged, under both names"


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("kind", ["sqlite", "car"])
def test_no_file_where_a_store_should_be(tmp_path, kind, make):
    path = tmp_path / NAMES[kind]
    make(path, tmp_path / "elsewhere")
    before = os.lstat(path)
    with pytest.raises(BackendError):
        STORES[kind](path)
    assert os.lstat(path)[:3] == before[:3]


@pytest.mark.parametrize("make", [make_pipe, make_socket, link_to_device, make_folder])
def test_no_file_where_the_marker_of_a_folder_should_be(tmp_path, make):
    make(tmp_path / "SHARDING", tmp_path / "elsewhere")
    with pytest.raises(BackendError, match=r"not a regular file|No such device"):
        DirectoryCAStore(tmp_path)


def flip(path, data, bit):
    """Flip one bit of a file in the bytes that it keeps of a block."""
    content = bytearray(path.read_bytes())
    at = content.index(data[:200]) + bit // 8
    content[at] ^= 1 << bit % 8
    path.write_bytes(content)


def file_of(kind, path):
    (file,) = path.glob("??/*.data") if kind == "directory" else [path]
    return file


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("bit", [0, 7, 801, 1599])
def test_flipped_bit_is_found_and_mended(tmp_path, kind, bit):
    path = tmp_path / NAMES[kind]
    with STORES[kind](path) as blocks:
        blocks.put(DATA)
    flip(file_of(kind, path), DATA, bit)
    with STORES[kind](path) as blocks:
        with pytest.raises(CorruptBlockError, match=str(CID)):
            blocks.get_block(CID)
        blocks.put(DATA)
        assert blocks.get_block(CID) == DATA


@pytest.mark.parametrize("kind", STORES)
def test_damaged_value_is_no_fill_value_and_is_mended_by_writing_it(tmp_path, kind):
    path = tmp_path / NAMES[kind]
    with STORES[kind](path) as blocks:
        store = IPLDStore(blocks)
        store["a/0"] = DATA
        root = store.freeze()
    damaged = (
        path
        if kind != "directory"
        else next(file for file in path.glob("??/*.data") if file.read_bytes() == DATA)
    )
    flip(damaged, DATA, 80)
    with STORES[kind](path) as blocks:
        store = IPLDStore(blocks, root=root)
        with pytest.raises(CorruptBlockError):
            store["a/0"]
        store["a/0"] = DATA
        assert store.freeze() == root
        assert dict(IPLDStore(blocks, root=root)) == {"a/0": DATA}


@pytest.mark.parametrize("content", [b"", DATA[:-1], DATA + b"\0", bytes(len(DATA))])
def test_block_of_another_length_or_of_zeros(backend, file, content):
    file.write_bytes(content)
    with pytest.raises(CorruptBlockError):
        backend.get_block(CID)
    backend.put(DATA)
    assert backend.get_block(CID) == DATA


@pytest.mark.parametrize("kind", ["sqlite", "car"])
def test_empty_file_is_a_new_store(tmp_path, kind):
    path = tmp_path / NAMES[kind]
    path.touch()
    with STORES[kind](path) as blocks:
        assert not blocks.has(CID)
        blocks.put(DATA)
    with STORES[kind](path) as blocks:
        assert blocks.get_block(CID) == DATA
