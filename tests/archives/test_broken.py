"""Archives that are cut, damaged or lie: a typed error, and the store as it was before."""

import tracemalloc

import dag_cbor
import pytest
from carbytes import ends_of_parts, header, make_block, section, write_car, write_car2
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID, varint

from ipldstore import (
    BlockNotFoundError,
    CarFormatError,
    DirectoryCAStore,
    InvalidNodeError,
    IPLDStore,
    IPLDStoreError,
)

CHUNKS = [make_block(b"chunk %d" % i, "raw") for i in range(3)]
ARRAY = make_block({"0": CHUNKS[0].cid, "1": CHUNKS[1].cid, ".zarray": {"shape": [2]}})
ROOT = make_block({"array": ARRAY.cid, "single": CHUNKS[2].cid, ".zgroup": {"zarr_format": 2}})
BLOCKS = [ROOT, ARRAY, *CHUNKS]
ARCHIVE = write_car([ROOT.cid], BLOCKS)
CONTENT = dict(IPLDStore.from_car(ARCHIVE))


@pytest.fixture
def store():
    """A store with another root, and changes since then that are not frozen."""
    store = IPLDStore()
    store["x/0"] = b"frozen"
    store.freeze()
    store["x/1"] = b"not frozen"
    return store


BEFORE = {"x/0": b"frozen", "x/1": b"not frozen"}


def refuse(store, archive, error=CarFormatError):
    """Check that an archive is refused, and nothing of it visible; return the error."""
    with pytest.raises(error) as caught:
        store.import_car(archive, discard=True)
    assert store.root_cid is None
    assert dict(store) == BEFORE
    return caught.value


def test_the_archive_is_sound():
    assert CONTENT.keys() == {".zgroup", "array/.zarray", "array/0", "array/1", "single"}


def test_cut_at_every_byte(store):
    whole = set(ends_of_parts(ARCHIVE))
    assert len(whole) == 6
    for size in range(len(ARCHIVE)):
        error = refuse(
            store, ARCHIVE[:size], BlockNotFoundError if size in whole else CarFormatError
        )
        if size not in whole:
            assert error.offset <= size


def test_version_2_cut_at_every_byte(store):
    archive = write_car2(ARCHIVE)
    for size in range(len(archive)):
        refuse(store, archive[:size], CarFormatError)


def refuse_or_read(archive, backend=None):
    """Check that an archive gives an error of the package or the right content."""
    store = IPLDStore(backend)
    try:
        store.import_car(archive)
    except IPLDStoreError:
        assert dict(store) == {}
    else:
        assert dict(store) == CONTENT


def damage_every_byte(archive, mask):
    for position in range(len(archive)):
        damaged = bytearray(archive)
        damaged[position] ^= mask
        yield damaged


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_every_byte_damaged(mask):
    for damaged in damage_every_byte(ARCHIVE, mask):
        refuse_or_read(damaged)
        refuse_or_read(write_car2(bytes(damaged)))


def test_every_byte_of_the_version_2_header_damaged():
    for damaged in damage_every_byte(write_car2(b""), 0x40):
        refuse_or_read(damaged + ARCHIVE)


def test_every_byte_damaged_on_disk(tmp_path):
    # where blocks are found by their multihash; the mask makes 0x71, dag-cbor, of 0x55, raw
    for position, damaged in enumerate(damage_every_byte(ARCHIVE, 0x55 ^ 0x71)):
        refuse_or_read(damaged, DirectoryCAStore(tmp_path / str(position)))


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, len(ARCHIVE)), st.integers(0, 60), st.binary(max_size=60))
def test_random_bytes_in_place_of_others(start, count, garbage):
    refuse_or_read(ARCHIVE[:start] + garbage + ARCHIVE[start + count :])


@pytest.mark.parametrize("place", range(len(BLOCKS)))
def test_block_that_does_not_match_its_cid(store, place):
    blocks = list(BLOCKS)
    blocks[place] = blocks[place]._replace(data=blocks[place].data[:-1] + b"?")
    error = refuse(store, write_car([ROOT.cid], blocks))
    assert str(blocks[place].cid) in str(error)
    size, count, _ = varint.decode_raw(header(ROOT.cid))
    start = size + count + sum(len(section(block)) for block in blocks[:place])
    assert start < error.offset <= start + 2


@pytest.mark.parametrize("place", range(len(BLOCKS)))
def test_missing_block(store, place):
    blocks = BLOCKS[:place] + BLOCKS[place + 1 :]
    error = refuse(store, write_car([ROOT.cid], blocks), BlockNotFoundError)
    assert str(BLOCKS[place].cid) in str(error)
    assert not isinstance(error, KeyError)


@pytest.mark.parametrize("roots", [[], [ROOT.cid, ROOT.cid], [ROOT.cid, ARRAY.cid]])
def test_not_one_root(store, roots):
    error = refuse(store, write_car(roots, BLOCKS))
    assert str(len(roots)) in str(error)


@pytest.mark.parametrize(
    "root",
    [
        make_block(b"\xa0", "raw"),
        make_block([1]),
        make_block(None),
        make_block({"a": 1}),
        make_block({"a": {}}),
        make_block({"..": CHUNKS[0].cid}),
        make_block({"a/b": CHUNKS[0].cid}),
        make_block(b"", "dag-pb"),
    ],
)
def test_root_that_is_no_directory(store, root):
    refuse(store, write_car([root.cid], [root, CHUNKS[0]]), InvalidNodeError)


def test_child_that_is_no_dag_cbor(store):
    child = make_block(b"\xbf\xff", "raw")
    child = child._replace(cid=child.cid.set(codec="dag-cbor"))
    root = make_block({"a": child.cid})
    error = refuse(store, write_car([root.cid], [root, child]), InvalidNodeError)
    assert str(child.cid) in str(error)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xbf\xff", b"\xa2\x61b\x00\x61a\x00"])
def test_root_that_is_no_dag_cbor(store, data):
    root = make_block(data, "raw")
    cid = root.cid.set(codec="dag-cbor")
    refuse(store, write_car([cid], [root._replace(cid=cid)]), InvalidNodeError)


def test_hash_function_that_cannot_be_verified(store):
    foreign = CID("base32", 1, "raw", bytes.fromhex("1114") + bytes(20))  # sha1
    refuse(store, write_car([ROOT.cid], [*BLOCKS, CHUNKS[0]._replace(cid=foreign)]))


@pytest.mark.parametrize(
    "rest",
    [
        b"\0",
        b"\0" * 100,
        b"\x80\0",
        b"\x01",
        b"\x01\x01",
        b"garbage",
        varint.encode(35) + bytes(ROOT.cid)[:35],
        varint.encode(2**40),
        varint.encode(2**40) + bytes(1000),
        varint.encode(2**62) + bytes(1000),
        b"\xff" * 20,
        b"\x80" * 9 + b"\x01",
    ],
)
def test_garbage_after_the_blocks(store, rest):
    error = refuse(store, ARCHIVE + rest)
    assert len(ARCHIVE) <= error.offset <= len(ARCHIVE) + len(rest)


HEADERS = {
    "nothing": b"",
    "zero": b"\0",
    "length 2^62": varint.encode(2**62) + b"\xa2",
    "length 2^20 of nothing": varint.encode(2**20),
    "web page": b"<!DOCTYPE html>\n<html><head><title>504 Gateway Time-out</title></head>" * 9,
    "gzip": bytes.fromhex("1f8b08000000000000034bcc4b0600"),
    "zip": b"PK\x03\x04" + bytes(60),
    "netCDF": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "no version": dag_cbor.encode({"roots": [ROOT.cid]}),
    "no roots": dag_cbor.encode({"version": 1}),
    "version 0": dag_cbor.encode({"roots": [ROOT.cid], "version": 0}),
    "version 3": dag_cbor.encode({"roots": [ROOT.cid], "version": 3}),
    "version is true": dag_cbor.encode({"roots": [ROOT.cid], "version": True}),
    "version is 1.0": dag_cbor.encode({"roots": [ROOT.cid], "version": 1.0}),
    "more": dag_cbor.encode({"roots": [ROOT.cid], "version": 1, "more": None}),
    "roots are text": dag_cbor.encode({"roots": [str(ROOT.cid)], "version": 1}),
    "roots are a link": dag_cbor.encode({"roots": ROOT.cid, "version": 1}),
    "a list": dag_cbor.encode([ROOT.cid]),
    "not canonical": dag_cbor.encode({"roots": [], "version": 1})[:-1] + b"\x18\x01",
    "trailing": dag_cbor.encode({"roots": [ROOT.cid], "version": 1}) + b"\0",
}
FRAMED = ("version", "no ", "more", "roots", "a list", "not", "trailing")


@pytest.mark.parametrize("name", HEADERS)
def test_header(store, name):
    data = HEADERS[name]
    if name.startswith(FRAMED) and name != "nothing":
        data = varint.encode(len(data)) + data + b"".join(map(section, BLOCKS))
    assert refuse(store, data).offset is not None


@pytest.mark.parametrize(
    "archive",
    [
        write_car2(ARCHIVE, offset=0),
        write_car2(ARCHIVE, offset=50),
        write_car2(ARCHIVE, offset=52),
        write_car2(ARCHIVE, offset=51 + len(ARCHIVE)),
        write_car2(ARCHIVE, offset=2**63),
        write_car2(ARCHIVE, offset=2**64 - 1, size=2**64 - 1),
        write_car2(ARCHIVE, size=0),
        write_car2(ARCHIVE, size=1),
        write_car2(ARCHIVE, size=len(ARCHIVE) - 1),
        write_car2(ARCHIVE, size=len(ARCHIVE) + 1),
        write_car2(ARCHIVE, size=2**64 - 1),
        write_car2(ARCHIVE, size=len(ARCHIVE) + 5, index=b"index"),
        write_car2(write_car2(ARCHIVE)),
        write_car2(b""),
    ],
)
def test_version_2_that_lies(store, archive):
    assert refuse(store, archive).offset is not None


@pytest.mark.parametrize(
    "archive",
    [
        varint.encode(2**20) + b"\xa2",
        varint.encode(9) + b"\x9b\0\0\0\xff\xff\xff\xff\xff",
        ARCHIVE + varint.encode(2**32) + bytes(ROOT.cid),
        ARCHIVE + varint.encode(2**40) + bytes(ROOT.cid),
        write_car2(ARCHIVE, size=2**62),
    ],
)
def test_lying_length_takes_no_memory(tmp_path, archive):
    # from a file, whose `read` makes room for as many bytes as it is asked for
    path = tmp_path / "lying.car"
    path.write_bytes(archive)
    tracemalloc.start()
    try:
        with pytest.raises(CarFormatError):
            IPLDStore().import_car(path)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


def test_blocks_of_a_refused_archive_do_no_harm(store):
    refuse(store, ARCHIVE + b"garbage")
    assert store.import_car(ARCHIVE, discard=True) == ROOT.cid
    assert dict(store) == CONTENT
