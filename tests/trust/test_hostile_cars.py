"""Archives of others, on every reader: import, a block store on a file, references, the CLI."""

import contextlib
import io
import sys
import tracemalloc

import dag_cbor
import pytest
from contained import run_contained
from multiformats import CID, multihash, varint

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CARStore,
    CorruptBlockError,
    InvalidNodeError,
    IPLDStore,
    IPLDStoreError,
)
from ipldstore.cli import main
from ipldstore.formats.car import CarReader
from ipldstore.limits import MAX_CAR_HEADER_BYTES
from ipldstore.references import car_reference_fs, references


def cid_of(data, codec="dag-cbor", hash_name="sha2-256"):
    return CID("base32", 1, codec, multihash.digest(data, hash_name))


def framed(data):
    return varint.encode(len(data)) + data


def header(*roots, **more):
    return framed(dag_cbor.encode({"roots": list(roots), "version": 1} | more))


def section(cid, data):
    return framed(bytes(cid) + data)


CHUNK = b"chunk"
CHUNK_CID = cid_of(CHUNK, "raw")
ROOT = dag_cbor.encode({"0": CHUNK_CID, ".zgroup": {"zarr_format": 2}})
ROOT_CID = cid_of(ROOT)
CONTENT = {".zgroup": b'{"zarr_format":2}', "0": CHUNK}
HEAD = header(ROOT_CID)
FIRST, LAST = section(ROOT_CID, ROOT), section(CHUNK_CID, CHUNK)
ARCHIVE = HEAD + FIRST + LAST

IDENTITY = CID("base32", 1, "raw", multihash.digest(b"hello", "identity"))
NOT_CANONICAL = b"\xbf\x610" + dag_cbor.encode([CHUNK_CID])[1:] + b"\xff"
PAGE = b"<!DOCTYPE html>\n<html><head><title>504 Gateway Time-out</title></head></html>\n"


def version_2(payload, *, offset=51, size=None):
    fields = (offset, len(payload) if size is None else size, 0)
    head = bytes.fromhex("0aa16776657273696f6e02") + bytes(16)
    return head + b"".join(field.to_bytes(8, "little") for field in fields) + payload


def import_car(archive, folder):
    store = IPLDStore()
    store.import_car(archive)
    return dict(store)


def from_car(archive, folder):
    return dict(IPLDStore.from_car(io.BytesIO(archive)))


def read_store(archive, folder):
    path = folder / "x.car"
    path.write_bytes(archive)
    with CARStore(path, read_only=True) as backend:
        return dict(IPLDStore(backend, root=ROOT_CID))


def read_references(archive, folder):
    path = folder / "x.car"
    path.write_bytes(archive)
    files = car_reference_fs(path)
    return {key: files.cat(key) for key in references(path)["refs"]}


# A block store says of an empty file that there is no archive.
REFUSALS = (CarFormatError, BlockNotFoundError, CorruptBlockError, BackendError)

READERS = [import_car, from_car, read_store, read_references]


@pytest.fixture(params=READERS, ids=lambda reader: reader.__name__)
def read(request, tmp_path):
    return lambda archive: request.param(archive, tmp_path)


def test_the_archive_is_sound(read):
    assert read(ARCHIVE) == CONTENT
    assert read(version_2(ARCHIVE)) == CONTENT


def test_every_truncation(read):
    """None is read as less than it held, or as nothing."""
    for size in range(len(ARCHIVE)):
        with pytest.raises(REFUSALS) as caught:
            read(ARCHIVE[:size])
        assert not isinstance(caught.value, KeyError)


def test_every_truncation_of_version_2(read):
    archive = version_2(ARCHIVE)
    for size in range(len(archive)):
        with pytest.raises(REFUSALS):
            read(archive[:size])


def test_every_truncation_by_the_command(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    for size in (*range(0, len(ARCHIVE), 7), len(HEAD), len(HEAD + FIRST), len(ARCHIVE) - 1):
        (tmp_path / "x.car").write_bytes(ARCHIVE[:size])
        monkeypatch.setattr(sys, "argv", ["ipldstore", "import", "x.car", "--blocks", "b"])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        assert ended.value.code in (3, 4), err
        assert out == b""
        assert b"error: " in err
        assert b"Traceback" not in err


WRONG = {
    "wrong hash in the first block": HEAD + section(ROOT_CID, ROOT[:-1] + b"\x03") + LAST,
    "wrong hash in the last block": HEAD + FIRST + section(CHUNK_CID, b"chunK"),
    "missing root": HEAD + LAST,
    "missing child": HEAD + FIRST,
    "zero-length section": HEAD + b"\0" + FIRST + LAST,
    "zero-length section within": HEAD + FIRST + b"\0" + LAST,
    "length not minimal": HEAD + FIRST + b"\xa9\x00"[:1] + b"\x80\x00" + LAST,
    "header of 2^62 bytes": varint.encode(2**62) + ARCHIVE[1:],
    "section of 2^40 bytes": HEAD + varint.encode(2**40) + ARCHIVE,
    "section of 2^62 bytes": HEAD + varint.encode(2**62) + ARCHIVE,
    "version true": header(ROOT_CID, version=True) + FIRST + LAST,
    "version 1.0": header(ROOT_CID, version=1.0) + FIRST + LAST,
    "version 3": header(ROOT_CID, version=3) + FIRST + LAST,
    "roots that are text": header(str(ROOT_CID)) + FIRST + LAST,
    "roots that are bytes": header(bytes(ROOT_CID)) + FIRST + LAST,
    "roots that are a link": framed(dag_cbor.encode({"roots": ROOT_CID, "version": 1})) + FIRST,
    "web page": PAGE * 40,
    "gzip": bytes.fromhex("1f8b0800000000000003") + ARCHIVE,
    "nothing": b"",
    "version 2 within the header": version_2(ARCHIVE, offset=50),
    "version 2 beyond the end": version_2(ARCHIVE, offset=10_000),
    "version 2 at 2^64-1": version_2(ARCHIVE, offset=2**64 - 1),
    "version 2 one byte off": version_2(ARCHIVE, offset=52),
    "version 2 too long": version_2(ARCHIVE, size=len(ARCHIVE) + 1),
    "version 2 too short": version_2(ARCHIVE, size=len(ARCHIVE) - 1),
    "version 2 of 2^64-1": version_2(ARCHIVE, size=2**64 - 1),
    "version 2 within version 2": version_2(version_2(ARCHIVE)),
    "version 2 of nothing": version_2(b""),
    "CID cut short": HEAD + FIRST + framed(bytes(CHUNK_CID)[:-1]),
    "CID of version 2": HEAD + FIRST + framed(b"\x02" + bytes(CHUNK_CID)[1:] + CHUNK) + LAST,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(read, name):
    with pytest.raises(REFUSALS):
        read(WRONG[name])


@pytest.mark.parametrize("name", ["wrong hash in the first block", "wrong hash in the last block"])
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_wrong_hash_is_said_with_its_cid(tmp_path, reader, name):
    with pytest.raises((CarFormatError, CorruptBlockError), match="hash to another CID") as caught:
        reader(WRONG[name], tmp_path)
    assert str(ROOT_CID if "first" in name else CHUNK_CID) in str(caught.value)


NO_SINGLE_ROOT = {
    "no roots": header() + FIRST + LAST,
    "two roots": header(ROOT_CID, CHUNK_CID) + FIRST + LAST,
    "one root twice": header(ROOT_CID, ROOT_CID) + FIRST + LAST,
}


@pytest.mark.parametrize("name", NO_SINGLE_ROOT)
@pytest.mark.parametrize("reader", [import_car, from_car, read_references])
def test_not_one_root(tmp_path, reader, name):
    with pytest.raises(CarFormatError, match=f"archive with {'0' if 'no' in name else '2'} roots"):
        reader(NO_SINGLE_ROOT[name], tmp_path)


@pytest.mark.parametrize("name", NO_SINGLE_ROOT)
def test_roots_may_be_named_by_who_reads(tmp_path, name):
    assert read_store(NO_SINGLE_ROOT[name], tmp_path) == CONTENT
    found = references(tmp_path / "x.car", root=ROOT_CID)["refs"]
    assert found.keys() == CONTENT.keys()


@pytest.mark.parametrize(
    "archive",
    [HEAD + FIRST + FIRST + LAST + LAST, HEAD + LAST + LAST + FIRST, ARCHIVE + LAST * 100],
    ids=["in pairs", "children first", "a hundred"],
)
def test_repeated_blocks_are_one(read, archive):
    assert read(archive) == CONTENT


@pytest.mark.parametrize("reader", [import_car, from_car, read_references])
@pytest.mark.parametrize("rest", [b"\x01", b"garbage", b"\0", b"\0" * 1000, PAGE])
def test_what_follows_the_blocks_is_refused(tmp_path, reader, rest):
    with pytest.raises(CarFormatError) as caught:
        reader(ARCHIVE + rest, tmp_path)
    assert caught.value.offset >= len(ARCHIVE)


def test_a_store_is_not_read_beyond_what_it_understands(tmp_path):
    """Zeros and the beginning of a section are what a crash leaves; all else is malformed."""
    assert read_store(ARCHIVE + b"\0" * 1000, tmp_path) == CONTENT
    assert read_store(ARCHIVE + LAST[:-1], tmp_path) == CONTENT
    for rest in (b"\x01garbage", b"\0garbage", varint.encode(2**40), b"\xff" * 20):
        with pytest.raises(CarFormatError, match=f"byte {len(ARCHIVE)}"):
            read_store(ARCHIVE + rest, tmp_path)


def test_identity_block_that_is_another(read):
    assert read(ARCHIVE + section(IDENTITY, b"hello")) == CONTENT


@pytest.mark.parametrize("reader", [import_car, from_car, read_references])
def test_identity_block_that_does_not_match(tmp_path, reader):
    with pytest.raises(CarFormatError, match="hash to another CID"):
        reader(ARCHIVE + section(IDENTITY, b"other"), tmp_path)


def test_identity_block_of_a_store_is_not_asked_for(tmp_path):
    path = tmp_path / "x.car"
    path.write_bytes(ARCHIVE + section(IDENTITY, b"other"))
    with CARStore(path, read_only=True) as backend:
        assert backend.get_block(IDENTITY) == b"hello"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_block_that_hashes_right_and_is_not_canonical(tmp_path, reader):
    cid = cid_of(NOT_CANONICAL)
    root = dag_cbor.encode({"d": cid})
    archive = header(cid_of(root)) + section(cid_of(root), root) + section(cid, NOT_CANONICAL)
    with pytest.raises(InvalidNodeError, match=str(cid)):
        if reader is read_store:
            (tmp_path / "x.car").write_bytes(archive)
            with CARStore(tmp_path / "x.car", read_only=True) as backend:
                list(IPLDStore(backend))
        else:
            reader(archive + LAST, tmp_path)


MANY_ROOTS = b"\xa2\x65roots\x99\xff\xff" + b"\x80" * 65535


class Endless(io.RawIOBase):
    """A stream that repeats some bytes for ever, and counts what is taken."""

    def __init__(self, start, again):
        self._start, self._again = start, again * 4096
        self.taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        data = (self._start or self._again)[: len(buffer)]
        self._start = self._start[len(data) :]
        self.taken += len(data)
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"\xff"),
        (b"", b"\0"),
        (b"", PAGE),
        (HEAD, b"\xff"),
        (HEAD, b"\0"),
        (HEAD + varint.encode(2**40), b"\0"),
        (varint.encode(MAX_CAR_HEADER_BYTES + 1), b"\x80"),
        (varint.encode(MAX_CAR_HEADER_BYTES) + MANY_ROOTS, b"\xff"),
    ],
)
def test_streams_without_end(start, again):
    stream = Endless(start, again)
    tracemalloc.start()
    try:
        with pytest.raises(CarFormatError):
            IPLDStore().import_car(stream)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    assert stream.taken < 2 << 20


def test_a_section_is_limited_before_it_is_read():
    limit = 1000
    fits = HEAD + section(cid_of(bytes(limit - 36), "raw"), bytes(limit - 36))
    assert len(list(CarReader(io.BytesIO(fits), max_section_bytes=limit))) == 1
    stream = io.BytesIO(HEAD + varint.encode(limit + 1) + bytes(limit + 1))
    with pytest.raises(CarFormatError, match=f"{limit + 1} bytes at byte {len(HEAD)}, at most"):
        list(CarReader(stream, max_section_bytes=limit))
    assert stream.tell() == len(HEAD) + 2


MANY_COPIES = """
import os, tempfile
from ipldstore import CARStore, IPLDStore
from ipldstore.formats.car import encode_header, encode_section_head
from ipldstore.cid import Link, make_link

root = make_link(b"\\xa0", "dag-cbor")
section = encode_section_head(root, 1) + b"\\xa0"
empty = Link(b"\\x01\\x55\\x00\\x00")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x.car")
    for copies in (section * 50_000, (encode_section_head(empty, 0)) * 50_000):
        with open(path, "wb") as file:
            file.write(encode_header(root) + copies + section)
        with CARStore(path, read_only=True) as backend:
            for _ in range(100):
                assert backend.get_block(root) == b"\\xa0"
                assert not backend.has(make_link(b"other"))
            assert dict(IPLDStore(backend)) == {}
"""


def test_fifty_thousand_copies_are_found_at_once():
    # looking for each among all before it took time that grows with the square: minutes
    run_contained(MANY_COPIES, seconds=60)


def test_only_errors_of_this_package(read):
    for position in range(0, len(ARCHIVE), 5):
        for byte in (0x00, 0x7F, 0x80, 0xFF):
            damaged = bytearray(ARCHIVE)
            damaged[position] = byte
            with contextlib.suppress(IPLDStoreError):
                assert read(bytes(damaged)) == CONTENT
