"""Plain files without Kubo: the CIDs that it gave, round trips, and malformed directories."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pb_blocks import (
    DIRECTORY,
    FILE,
    METADATA,
    SYMLINK,
    field,
    link,
    node,
    pb_cid,
    raw_cid,
    shard,
)
from plain_cases import CASES

from ipldstore import (
    BlockNotFoundError,
    InvalidKeyError,
    InvalidNodeError,
    IPLDStore,
    LimitExceededError,
    MappingCAStore,
)
from ipldstore.cid import as_link
from ipldstore.tree.documents import parse_json
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs.hamt import hash_name

ONE = raw_cid(b"1")

# MurmurHash3 x64 128 of these texts by the reference implementation, first half
VECTORS = {b"": 0x0, b"hello": 0xCBD8A7B341BD9B02, b"hello, world": 0x342FAC623A5EBC8E}


@pytest.fixture
def backend():
    backend = MappingCAStore()
    backend.put_raw(b"1", "raw")
    return backend


@pytest.mark.parametrize("case", CASES)
def test_cid_is_the_golden_one(case):
    files, cid = CASES[case]
    store = IPLDStore()
    store.update(files)
    assert str(store.to_unixfs()) == cid
    assert IPLDStore.from_unixfs(cid, store.backend).root_cid == store.root_cid


@pytest.mark.parametrize("name", VECTORS)
def test_names_are_hashed_by_murmur3(name):
    assert hash_name(name) == VECTORS[name]


SEGMENTS = st.sampled_from(["a", "b", "c", "0", "1.0", "é", " ", "x" * 200, *METADATA_NAMES])
KEYS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
VALUES = st.sampled_from([b"", b"1", b"{}", b'{"a": 1.0}', b"[]", b"x" * 5000]) | st.binary()


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=12))
def test_round_trip_has_the_same_root(files):
    store = IPLDStore()
    for key, data in files.items():
        try:
            store[key] = data
        except InvalidKeyError:
            continue
    directory = store.to_unixfs()
    copy = IPLDStore.from_unixfs(directory, store.backend)
    assert copy.root_cid == store.root_cid
    assert copy.to_unixfs() == directory


def test_writing_needs_no_content(backend):
    """A chunk whose size is known is not loaded, neither for writing nor for reading back."""
    store = IPLDStore(backend)
    store.update({f"a/{number}": b"%d" % number for number in range(20)})
    root = store.freeze()
    chunks = {as_link(raw_cid(b"%d" % number)) for number in range(20)}
    loaded = []

    class Watched(MappingCAStore):
        def get_raw(self, cid):
            loaded.append(cid)
            return super().get_raw(cid)

        def size_of(self, cid):
            return 2 - (cid in first_ten)

    first_ten = {as_link(raw_cid(b"%d" % number)) for number in range(10)}
    watched = Watched(backend.mapping)
    directory = IPLDStore(watched, root=root).to_unixfs()
    assert IPLDStore.from_unixfs(directory, watched).root_cid == root
    assert loaded
    assert chunks.isdisjoint(loaded)


def test_block_stores_that_tell_no_sizes(backend):
    class Silent(MappingCAStore):
        def size_of(self, cid):
            return None

    store = IPLDStore(Silent())
    store.update(CASES["sizes"][0])
    assert str(store.to_unixfs()) == CASES["sizes"][1]


def test_missing_chunk_is_named(backend):
    store = IPLDStore(backend)
    store["a/0"] = b"gone"
    root = store.freeze()
    chunk = str(as_link(raw_cid(b"gone")))
    del backend.mapping[chunk]
    with pytest.raises(BlockNotFoundError, match=chunk):
        IPLDStore(backend, root=root).to_unixfs()


def put_root(backend, block):
    backend.put_raw(block, "dag-pb")
    return as_link(pb_cid(block))


def open_block(backend, block, **options):
    return IPLDStore.from_unixfs(put_root(backend, block), backend, **options)


def test_directory_without_sizes_is_read(backend):
    assert dict(open_block(backend, node([link(ONE, b"a", None)], DIRECTORY))) == {"a": b"1"}


def test_shard_is_read(backend):
    place = VECTORS[b"hello"] >> 56
    block = node([link(ONE, b"%02Xhello" % place)], shard((1 << place).to_bytes(32, "big")))
    assert dict(open_block(backend, block)) == {"hello": b"1"}


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0", b"\xff", b"x" * 1025])
def test_name_that_is_no_segment_is_refused(backend, name):
    inner = node([link(ONE, name)], DIRECTORY)
    cid = put_root(backend, inner)
    with pytest.raises(InvalidKeyError, match="dir"):
        open_block(backend, node([link(cid, b"dir")], DIRECTORY))


def test_metadata_name_of_a_directory_is_refused(backend):
    cid = put_root(backend, node([link(ONE, b"0")], DIRECTORY))
    with pytest.raises(InvalidKeyError, match=r"\.zarray/0"):
        open_block(backend, node([link(cid, b".zarray")], DIRECTORY))


PLACE = VECTORS[b"hello"] >> 56
BIT = (1 << PLACE).to_bytes(32, "big")
LABEL = b"%02X" % PLACE
BAD = {
    "metadata": (node([], METADATA), "metadata"),
    "symlink": (node([], SYMLINK), "symlink"),
    "file": (node([], FILE), "UnixFS file"),
    "no payload": (b"", "no UnixFS data"),
    "no type": (node([], b""), "without a type"),
    "unknown type": (node([], b"\x08\x09"), "type 9"),
    "cut short": (node([link(ONE, b"a")], DIRECTORY)[:-1], "malformed"),
    "twice": (node([link(ONE, b"a"), link(ONE, b"a")], DIRECTORY), "twice"),
    "dag-cbor": (node([link(b"\x01\x71" + ONE[2:], b"a")], DIRECTORY), "codec"),
    "no cid": (node([link(b"\x01", b"a")], DIRECTORY), "dag-pb link"),
    "fanout 0": (node([], shard(b"", fanout=0)), "fanout"),
    "fanout 24": (node([], shard(b"", fanout=24)), "fanout"),
    "fanout 2048": (node([], shard(b"", fanout=2048)), "fanout"),
    "hash function": (node([], shard(b"", hash_type=0x12)), "hash function"),
    "bits without links": (node([], shard(BIT)), "bit field"),
    "links without bits": (node([link(ONE, LABEL + b"hello")], shard(b"")), "bit field"),
    "long bit field": (node([link(ONE, LABEL + b"hello")], shard(b"\0" + BIT)), "bit field"),
    "another label": (node([link(ONE, b"00hello")], shard(BIT)), "place"),
    "small letters": (node([link(ONE, LABEL.lower() + b"hello")], shard(BIT)), "place"),
    "no label": (node([link(ONE, b"")], shard(BIT)), "place"),
    "another hash": (node([link(ONE, LABEL + b"other")], shard(BIT)), "hash"),
}


@pytest.mark.parametrize("fault", BAD)
def test_malformed_directory_is_refused(backend, fault):
    block, message = BAD[fault]
    with pytest.raises(InvalidNodeError, match=message):
        open_block(backend, block)


def test_shard_of_another_fanout_below_is_refused(backend):
    below = put_root(backend, node([], shard(b"", fanout=8)))
    with pytest.raises(InvalidNodeError, match="fanout 8"):
        open_block(backend, node([link(below, LABEL)], shard(BIT)))


def test_shards_deeper_than_the_hash_are_refused(backend):
    hashed = VECTORS[b"hello"].to_bytes(8, "big")
    cid, label = ONE, b"hello"
    for place in (0x17, *reversed(hashed)):
        bits = (1 << place).to_bytes(32, "big")
        cid = put_root(backend, node([link(cid, b"%02X" % place + label)], shard(bits)))
        label = b""
    with pytest.raises(InvalidNodeError, match="deeper"):
        IPLDStore.from_unixfs(cid, backend)


@pytest.mark.parametrize("payload", [DIRECTORY, shard(b"\xff" * 32)])
def test_repeated_expansion_ends(backend, payload):
    names = [b"%02X" % place for place in range(256)]
    cid = put_root(backend, node([], DIRECTORY if payload == DIRECTORY else shard(b"")))
    for _ in range(7):
        cid = put_root(backend, node([link(cid, name) for name in names], payload))
    with pytest.raises(LimitExceededError, match="1000"):
        IPLDStore.from_unixfs(cid, backend, max_keys=1000)


def test_directories_too_deep_are_refused(backend):
    cid = ONE
    for _ in range(129):
        cid = put_root(backend, node([link(cid, b"d")], DIRECTORY))
    with pytest.raises(InvalidKeyError, match="129"):
        IPLDStore.from_unixfs(cid, backend)


def test_file_that_expands_without_end_is_refused(backend):
    size = 1 << 20
    cid = as_link(backend.put_raw(bytes(size), "raw"))
    for _ in range(3):
        sizes = b"".join(field(4, size) for _ in range(174))
        size *= 174
        block = node([link(cid, b"")] * 174, FILE + field(3, size) + sizes)
        cid = put_root(backend, block)
    with pytest.raises(LimitExceededError):
        open_block(backend, node([link(cid, b"bomb")], DIRECTORY))


def test_metadata_as_data_that_ipld_cannot_hold_is_kept(backend):
    assert parse_json(b"[NaN]") is None
    cid = raw_cid(b"[NaN]")
    backend.put_raw(b"[NaN]", "raw")
    store = open_block(backend, node([link(cid, b"zarr.json", 5)], DIRECTORY))
    assert store["zarr.json"] == b"[NaN]"
