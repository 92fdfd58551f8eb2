"""What `to_car` writes: golden bytes, the order of blocks, and where an archive can go."""

import io
import os
from pathlib import Path

import dag_cbor
import pytest
from carbytes import read_car
from multiformats import CID

from ipldstore import BlockNotFoundError, CorruptBlockError, IPLDStore, MappingCAStore

# One value of five bytes, {"a": b"hello"}; put together by hand after the CARv1 specification.
# The digests are those that `sha256sum` prints of the 44 bytes of the node and of "hello".
NODE_DIGEST = "ebda430b5270fdb3b24d8445b595a36fca33b4654c26a2e80c5663785e628600"
HELLO_DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
GOLDEN = bytes.fromhex(
    # length of the header: 58; a map of two: "roots", a list of one, tag 42, 37 bytes
    "3a a2 65726f6f7473 81 d82a 5825 00"
    f"01711220 {NODE_DIGEST}"
    # "version", 1
    "67 76657273696f6e 01"
    # length of the section: 36 + 44; the CID; a map of one: "a", tag 42, 37 bytes
    f"50 01711220 {NODE_DIGEST}"
    f"a1 6161 d82a 5825 00 01551220 {HELLO_DIGEST}"
    # length of the section: 36 + 5; the CID; "hello"
    f"29 01551220 {HELLO_DIGEST} 68656c6c6f"
)

# The empty hierarchy: the node is a0, an empty map.
EMPTY_DIGEST = "c19a797fa1fd590cd2e5b42d1cf5f246e29b91684e2f87404b81dc345c7a56a0"
GOLDEN_EMPTY = bytes.fromhex(
    f"3a a265726f6f747381d82a582500 01711220{EMPTY_DIGEST} 6776657273696f6e01"
    f"25 01711220{EMPTY_DIGEST} a0"
)


class ShortWriter(io.RawIOBase):
    """A raw stream that takes at most seven bytes at a time."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data[:7]
        return len(data[:7])


class FullDisk(io.RawIOBase):
    """A stream that takes a hundred bytes and then fails."""

    room = 100

    def writable(self):
        return True

    def write(self, data):
        if self.room < len(data):
            raise OSError(28, "No space left on device")
        self.room -= len(data)
        return len(data)


def small_store(backend=None):
    store = IPLDStore(backend)
    store["a"] = b"hello"
    return store


def large_store():
    """A store with linked directories, a linked document and values that occur twice."""
    store = IPLDStore()
    for name in ("b", "a", "cc"):
        for i in range(250):
            store[f"{name}/{i}"] = b"chunk %s %d" % (name.encode(), i % 200)
        store[f"{name}/.zarray"] = b'{"shape": [250]}'
    store["a/.zattrs"] = b'{"long": "%s"}' % (b"x" * 10_000)
    store["z"] = b"chunk a 1"
    return store


def walk(cid, blocks, seen):
    """Depth first, every CID once where it is first seen, in the order of the node's bytes."""
    if cid in seen:
        return
    seen[cid] = None
    if cid.codec.name == "dag-cbor":
        for link in links_in(dag_cbor.decode(blocks[cid])):
            walk(link, blocks, seen)


def links_in(value):
    if isinstance(value, CID):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from links_in(item)


def test_golden_archive():
    assert small_store().to_car() == GOLDEN
    assert len(GOLDEN) == 182


def test_golden_archive_of_the_empty_hierarchy():
    assert IPLDStore().to_car() == GOLDEN_EMPTY


def test_golden_archive_is_read():
    store = IPLDStore.from_car(GOLDEN)
    assert dict(store) == {"a": b"hello"}
    assert store.root_cid.raw_digest.hex() == NODE_DIGEST
    assert dict(IPLDStore.from_car(GOLDEN_EMPTY)) == {}


def test_blocks_come_depth_first_each_once():
    store = large_store()
    roots, blocks = read_car(store.to_car())
    assert roots == [store.root_cid]
    order = {}
    walk(store.root_cid, dict(blocks), order)
    assert [cid for cid, _ in blocks] == list(order)
    assert sum(cid.codec.name == "dag-cbor" for cid in order) == 5
    assert len(order) == 5 + 3 * 200


def test_archive_is_the_same_after_any_history():
    store = large_store()
    copy = IPLDStore()
    for key in sorted(store, reverse=True):
        copy[key] = store[key]
        copy.freeze()
    assert copy.to_car() == store.to_car()


def test_exporting_freezes():
    store = small_store()
    assert store.root_cid is None
    store.to_car()
    assert store.root_cid.raw_digest.hex() == NODE_DIGEST


def test_read_only_view_is_exported():
    assert small_store().with_read_only(True).to_car() == GOLDEN


@pytest.mark.parametrize("kind", [str, Path])
def test_to_a_path(tmp_path, kind):
    path = tmp_path / "a.car"
    assert small_store().to_car(kind(path)) == len(GOLDEN)
    assert path.read_bytes() == GOLDEN
    assert os.listdir(tmp_path) == ["a.car"]


def test_to_a_path_that_exists(tmp_path):
    path = tmp_path / "a.car"
    path.write_bytes(b"older" * 1000)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        small_store().to_car(path)
    assert path.read_bytes() == b"older" * 1000
    small_store().to_car(path, overwrite=True)
    assert path.read_bytes() == GOLDEN


def test_to_the_path_of_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert small_store().to_car(path) == len(GOLDEN)
        assert os.read(reading, 1000) == GOLDEN
    finally:
        os.close(reading)
    assert path.is_fifo()


def test_to_the_path_of_a_link(tmp_path):
    (tmp_path / "link.car").symlink_to("folder/a.car")
    (tmp_path / "folder").mkdir()
    small_store().to_car(tmp_path / "link.car")
    assert (tmp_path / "link.car").is_symlink()
    assert (tmp_path / "folder" / "a.car").read_bytes() == GOLDEN
    assert os.listdir(tmp_path / "folder") == ["a.car"]


def test_to_the_path_of_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError):
        small_store().to_car(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("buffering", [-1, 0])
def test_to_an_open_file(tmp_path, buffering):
    path = tmp_path / "a.car"
    with open(path, "wb", buffering=buffering) as file:
        file.write(b"before ")
        assert small_store().to_car(file) == len(GOLDEN)
        file.write(b" after")
    assert path.read_bytes() == b"before " + GOLDEN + b" after"


def test_to_a_stream_that_writes_less_than_it_is_given():
    stream = ShortWriter()
    assert small_store().to_car(stream) == len(GOLDEN)
    assert stream.data == GOLDEN


def test_to_a_pipe():
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb", buffering=0) as pipe:
        assert small_store().to_car(pipe) == len(GOLDEN)
        pipe.close()
        assert source.read() == GOLDEN


def test_to_a_stream_that_fails():
    with pytest.raises(OSError, match="No space left"):
        small_store().to_car(FullDisk())


def test_to_a_full_disk():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        small_store().to_car(full)


@pytest.mark.parametrize(
    ("damage", "error"), [(None, BlockNotFoundError), (b"damaged", CorruptBlockError)]
)
@pytest.mark.parametrize("exists", [False, True])
def test_path_appears_only_when_complete(tmp_path, damage, error, exists):
    path = tmp_path / "a.car"
    if exists:
        path.write_bytes(b"older")
    blocks = {}
    store = small_store(MappingCAStore(blocks))
    store.freeze()
    key = next(key for key, data in blocks.items() if data == b"hello")
    del blocks[key]
    if damage is not None:
        blocks[key] = damage
    with pytest.raises(error, match=key):
        store.to_car(path, overwrite=exists)
    assert os.listdir(tmp_path) == ["a.car"] * exists
    if exists:
        assert path.read_bytes() == b"older"


def test_path_in_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        small_store().to_car(tmp_path / "no" / "a.car")
