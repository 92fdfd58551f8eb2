"""What `import_car` reads: bytes, paths, streams, and blocks of any hash function and codec."""

import io
import os

import pytest
from carbytes import make_block, read_car, write_car, write_car2
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore import (
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    ReadOnlyStoreError,
    UnfrozenChangesError,
)

VALUE = make_block(b"hello", "raw")
CHILD = make_block({"0": VALUE.cid})
ROOT = make_block({"a": CHILD.cid, "b": VALUE.cid})
BLOCKS = [ROOT, CHILD, VALUE]
ARCHIVE = write_car([ROOT.cid], BLOCKS)
CONTENT = {"a/0": b"hello", "b": b"hello"}


class ShortReader(io.RawIOBase):
    """A raw stream that cannot be rewound and gives at most three bytes at a time."""

    def __init__(self, data):
        self.rest = data

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(3, len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO, ShortReader])
def test_from_memory_or_stream(kind):
    store = IPLDStore()
    assert store.import_car(kind(ARCHIVE)) == ROOT.cid
    assert store.root_cid == ROOT.cid
    assert dict(store) == CONTENT


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_from_a_path(tmp_path, kind):
    path = tmp_path / "a.car"
    path.write_bytes(ARCHIVE)
    assert dict(IPLDStore.from_car(kind(path))) == CONTENT


@pytest.mark.parametrize("buffering", [-1, 0])
def test_from_the_middle_of_a_file(tmp_path, buffering):
    path = tmp_path / "a.car"
    path.write_bytes(b"before" + ARCHIVE)
    with open(path, "rb", buffering=buffering) as file:
        file.seek(6)
        assert dict(IPLDStore.from_car(file)) == CONTENT


def test_from_a_pipe():
    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:
        pipe.write(ARCHIVE)
    with open(reading, "rb", buffering=0) as pipe:
        assert dict(IPLDStore.from_car(pipe)) == CONTENT


@pytest.mark.parametrize("source", [None, 42, ["a.car"], io.StringIO])
def test_from_something_else(source):
    with pytest.raises(TypeError):
        IPLDStore().import_car(source)


def test_from_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        IPLDStore.from_car(tmp_path / "no.car")


def test_unfrozen_changes_give_way_when_told_to():
    store = IPLDStore()
    store["other"] = b"content"
    with pytest.raises(UnfrozenChangesError, match="changes to 1 key would be lost"):
        store.import_car(ARCHIVE)
    assert dict(store) == {"other": b"content"}
    assert list(store.backend.mapping) == [str(store.backend.make_cid(b"content", "raw"))]
    store.import_car(ARCHIVE, discard=True)
    assert dict(store) == CONTENT
    assert store.root_cid == ROOT.cid


def test_imported_store_can_be_changed():
    store = IPLDStore.from_car(ARCHIVE)
    store["c"] = b"more"
    assert dict(IPLDStore.from_car(store.to_car())) == {**CONTENT, "c": b"more"}


def test_into_a_folder(tmp_path):
    store = IPLDStore.from_car(ARCHIVE, DirectoryCAStore(tmp_path))
    assert dict(IPLDStore(DirectoryCAStore(tmp_path), root=store.root_cid)) == CONTENT


def test_into_a_read_only_view():
    store = IPLDStore()
    with pytest.raises(ReadOnlyStoreError):
        store.with_read_only(True).import_car(ARCHIVE)
    assert list(store.backend.mapping) == []


@pytest.mark.parametrize("order", [BLOCKS[::-1], BLOCKS * 2])
def test_blocks_in_any_order_and_twice(order):
    assert dict(IPLDStore.from_car(write_car([ROOT.cid], order))) == CONTENT


def test_blocks_that_the_store_holds_may_be_left_out():
    backend = MappingCAStore()
    backend.put(b"hello")
    store = IPLDStore.from_car(write_car([ROOT.cid], [ROOT, CHILD]), backend)
    assert dict(store) == CONTENT


@pytest.mark.parametrize(
    "archive",
    [
        write_car2(ARCHIVE),
        write_car2(ARCHIVE, index=b"\x80\x08 index"),
        write_car2(ARCHIVE, offset=100, padding=bytes(49)),
    ],
)
def test_version_2(archive):
    assert dict(IPLDStore.from_car(archive)) == CONTENT
    assert dict(IPLDStore.from_car(ShortReader(archive))) == CONTENT


def test_foreign_blocks_are_kept_under_their_cids():
    others = [
        make_block(b"blake2b", "raw", "blake2b-256"),
        make_block(b"sha3", "raw", "sha3-512"),
        make_block({"sha": 512}, "dag-cbor", "sha2-512"),
        make_block(b'{"json": true}', "dag-json"),
        make_block(b"git", "git-raw", "sha2-256"),
    ]
    value = make_block(b"value", "raw", "blake2b-256")
    node = make_block({"0": value.cid}, "dag-cbor", "sha2-512")
    root = make_block({"a": node.cid}, "dag-cbor", "blake2b-256")
    store = IPLDStore.from_car(write_car([root.cid], [*others, root, node, value]))
    assert store.root_cid == root.cid
    assert dict(store) == {"a/0": b"value"}
    for cid, data in others:
        assert store.backend.get_block(cid) == data
        assert str(cid.set(base="base32")) in store.backend.mapping


def test_version_0_cid_of_a_block():
    # the empty UnixFS directory, as `ipfs add` names it
    other = make_block(bytes.fromhex("0a020801"), "dag-pb")
    version_0 = other.cid.set(version=0, base="base58btc")
    assert str(version_0) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    archive = write_car([ROOT.cid], [*BLOCKS, other._replace(cid=version_0)])
    assert IPLDStore.from_car(archive).backend.get_block(version_0) == other.data


def test_identity_block():
    value = make_block(b"tiny", "raw", "identity")
    root = make_block({"a": value.cid})
    for blocks in ([root], [root, value]):
        assert dict(IPLDStore.from_car(write_car([root.cid], blocks))) == {"a": b"tiny"}


CHARACTERS = st.characters(codec="utf-8", exclude_characters="/\0")
SEGMENTS = st.text(CHARACTERS, min_size=1, max_size=9).filter(
    lambda name: name not in (".", "..") and not name.startswith((".z", "zarr.json"))
)
TREES = st.recursive(
    st.binary(max_size=40) | st.just(b"x" * 5000),
    lambda children: st.dictionaries(SEGMENTS, children, min_size=1, max_size=6),
    max_leaves=40,
)


def flatten(tree, prefix=""):
    for segment, child in tree.items():
        if isinstance(child, dict):
            yield from flatten(child, f"{prefix}{segment}/")
        else:
            yield prefix + segment, child


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(SEGMENTS, TREES, max_size=8))
def test_random_hierarchies_round_trip(tree):
    content = dict(flatten(tree))
    store = IPLDStore()
    store.update(content)
    archive = store.to_car()
    copy = IPLDStore.from_car(archive)
    assert dict(copy) == content
    assert copy.to_car() == archive
    roots, blocks = read_car(archive)
    assert roots == [copy.root_cid]
    assert {data for cid, data in blocks if cid.codec.name == "raw"} == set(content.values())
