"""Archives that are cut short, damaged, or have an index that lies."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    IPLDStore,
    ReadOnlyStoreError,
)
from ipldstore.backends.carfile.store import CARStore
from tests.archives.carbytes import (
    ends_of_parts,
    header,
    make_block,
    read_car,
    section,
    write_car,
    write_car2,
)

BLOCKS = [make_block({}), *(make_block(b"block %d" % i * i, "raw") for i in range(1, 6))]
ROOT = make_block({str(i): block.cid for i, block in enumerate(BLOCKS) if i})
BLOCKS.append(ROOT)
ARCHIVE = write_car([ROOT.cid], BLOCKS)
ENDS = ends_of_parts(ARCHIVE)
NEW = make_block(b"new", "raw")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.car"


def open_bytes(path, data, **options):
    path.write_bytes(data)
    return CARStore(path, **options)


def test_the_file_is_named(path):
    with pytest.raises(CarFormatError) as caught:
        open_bytes(path, b"<!doctype html><title>no archive</title>")
    assert caught.value.__notes__ == [f"in {str(path)!r}"]


@pytest.mark.parametrize("read_only", [True, False])
def test_every_truncation_is_read_up_to_its_end_and_written_again(path, read_only):
    for size in range(20, len(ARCHIVE)):
        if size < ENDS[0]:
            with pytest.raises(CarFormatError):
                open_bytes(path, ARCHIVE[:size])
            continue
        whole = sum(end <= size for end in ENDS) - 1
        with open_bytes(path, ARCHIVE[:size], read_only=read_only) as backend:
            for number, block in enumerate(BLOCKS):
                assert backend.has(block.cid) == (number < whole)
            if size not in ENDS:
                with pytest.raises(BlockNotFoundError, match=f"byte {ENDS[whole]}"):
                    backend.get_block(ROOT.cid)
            assert path.read_bytes() == ARCHIVE[:size]
            if read_only:
                continue
            backend.put(b"new")
        _, blocks = read_car(path.read_bytes())
        assert blocks == [*BLOCKS[:whole], NEW]


def test_zeros_at_the_end_are_cut_off(path):
    with open_bytes(path, ARCHIVE + bytes(5000)) as backend:
        assert len(IPLDStore(backend)) == 5
        backend.put(b"new")
    assert path.read_bytes() == ARCHIVE + section(NEW)


def test_long_tail_is_damage_and_not_cut_off(path):
    liar = b"\xff\xff\xff\x7f" + bytes(ROOT.cid)
    with open_bytes(path, ARCHIVE + liar) as backend:
        os.truncate(path, 40 << 20)
        assert len(IPLDStore(backend)) == 5
        with pytest.raises(CarFormatError, match="damaged") as caught:
            backend.put(b"new")
        assert caught.value.offset == len(ARCHIVE)
    assert path.stat().st_size == 40 << 20


@pytest.mark.parametrize(
    "junk",
    [
        b"\0\1",
        b"\x80\0" + ARCHIVE,
        b"\xff" * 20,
        b"\1\1",
        b"\x25\2" + bytes(36),
        b"\x25" + bytes.fromhex("01551220"[:6] + "10") + bytes(33),
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x01" + bytes(10),
    ],
)
def test_malformed_section_is_named_by_its_offset(path, junk):
    data = ARCHIVE + junk
    with open_bytes(path, data) as backend:
        for call in (backend.get_block, backend.has, lambda cid: backend.put(b"new")):
            with pytest.raises(CarFormatError) as caught:
                call(NEW.cid)
            assert caught.value.offset == len(ARCHIVE)
    assert path.read_bytes() == data


def test_every_flipped_bit_gives_a_typed_error_or_the_right_bytes(path):
    for at in range(len(ARCHIVE)):
        data = bytearray(ARCHIVE)
        data[at] ^= 0x41
        path.write_bytes(data)
        for block in BLOCKS:
            try:
                with CARStore(path) as backend:
                    assert backend.get_block(block.cid) == block.data
            except (CarFormatError, CorruptBlockError, BlockNotFoundError):
                pass


def test_archive_that_shrinks_under_a_reader(path):
    with open_bytes(path, ARCHIVE) as backend:
        assert ROOT.cid in backend
        os.truncate(path, ENDS[3])
        with pytest.raises(CarFormatError):
            backend.get_block(ROOT.cid)
        assert backend.get_block(BLOCKS[1].cid) == BLOCKS[1].data
        with pytest.raises(BackendError, match="replaced or cut short"):
            backend.put(b"new")


def buckets(entries):
    """One bucket of 32-byte digests, as go-car writes it."""
    data = b"".join(digest + offset.to_bytes(8, "little") for digest, offset in sorted(entries))
    return (1).to_bytes(4, "little") + (40).to_bytes(4, "little") + size_of(data) + data


def size_of(data):
    return len(data).to_bytes(8, "little")


def sorted_index(entries):
    return b"\x80\x08" + buckets(entries)


def multihash_index(entries):
    return b"\x81\x08" + (1).to_bytes(4, "little") + (0x12).to_bytes(8, "little") + buckets(entries)


ENTRIES = [
    (bytes(block.cid.raw_digest), start) for block, start in zip(BLOCKS, ENDS[:-1], strict=True)
]


def with_index(index, payload=ARCHIVE):
    archive = bytearray(write_car2(payload, offset=60, padding=bytes(9), index=b"pad" + index))
    archive[43:51] = (60 + len(payload) + 3).to_bytes(8, "little")
    return bytes(archive)


@pytest.mark.parametrize("make_index", [sorted_index, multihash_index])
def test_good_index_is_used(path, make_index):
    # a section that is malformed shows whether the archive was looked through
    payload = ARCHIVE + b"\1\1"
    with open_bytes(path, with_index(make_index(ENTRIES), payload)) as backend:
        store = IPLDStore(backend)
        assert store.root_cid == ROOT.cid
        assert {key: store[key] for key in store} == {
            str(i): block.data for i, block in enumerate(BLOCKS[:-1]) if i
        }
        with pytest.raises(CarFormatError):
            backend.has(NEW.cid)


LYING = {
    "empty": sorted_index([]),
    "one entry": sorted_index(ENTRIES[:1]),
    "all at one place": sorted_index([(digest, ENDS[0]) for digest, _ in ENTRIES]),
    "one byte off": sorted_index([(digest, offset + 1) for digest, offset in ENTRIES]),
    "beyond the end": sorted_index([(digest, 1 << 40) for digest, _ in ENTRIES]),
    "too large": sorted_index([(digest, (1 << 64) - 1) for digest, _ in ENTRIES]),
    "in the header": sorted_index([(digest, 0) for digest, _ in ENTRIES]),
    "digests swapped": multihash_index(
        [(digest, offset) for (digest, _), (_, offset) in zip(ENTRIES, ENTRIES[::-1], strict=True)]
    ),
    "cut short": sorted_index(ENTRIES)[:-1],
    "nothing": b"",
    "unknown": b"\x82\x08" + bytes(100),
    "width 0": b"\x80\x08" + (1).to_bytes(4, "little") + bytes(12),
    "huge": b"\x80\x08" + (1).to_bytes(4, "little") + (40).to_bytes(4, "little") + b"\xff" * 8,
    "many buckets": b"\x80\x08\xff\xff\xff\x7f",
    "negative count": b"\x81\x08\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", LYING)
def test_index_that_lies_is_not_believed(path, name):
    with open_bytes(path, with_index(LYING[name])) as backend:
        assert [backend.get_block(block.cid) for block in BLOCKS] == [b.data for b in BLOCKS]
        assert not backend.has(NEW.cid)


def test_index_beyond_the_file_is_not_believed(path):
    archive = bytearray(write_car2(ARCHIVE))
    archive[43:51] = b"\xff" * 7 + b"\x7f"
    with open_bytes(path, archive) as backend:
        assert len(IPLDStore(backend)) == 5
    archive[43:51] = b"\xff" * 8
    with open_bytes(path, archive) as backend:
        assert len(IPLDStore(backend)) == 5


def test_version_2_is_only_read(path):
    with open_bytes(path, write_car2(ARCHIVE)) as backend:
        store = IPLDStore(backend)
        assert (store.root_cid, len(store)) == (ROOT.cid, 5)
        with pytest.raises(ReadOnlyStoreError, match="CARv2"):
            store["a"] = b""
        store.set_root(BLOCKS[0].cid)
        store.freeze()
    assert path.read_bytes() == write_car2(ARCHIVE)


@pytest.mark.parametrize("size", [len(ARCHIVE) + 1, 2**64 - 1])
def test_version_2_payload_that_goes_beyond_the_file(path, size):
    with pytest.raises(CarFormatError, match="payload ends at byte"):
        open_bytes(path, write_car2(ARCHIVE, size=size))


def test_version_2_payload_that_ends_within_a_section(path):
    backend = open_bytes(path, write_car2(ARCHIVE, size=len(ARCHIVE) - 1))
    with pytest.raises(CarFormatError, match="ends within the section"):
        backend.get_block(ROOT.cid)


def test_archives_of_go_car_are_read_by_their_index():
    if "IPLDSTORE_FIXTURES" not in os.environ:
        pytest.skip("IPLDSTORE_FIXTURES is not set")
    path = Path(os.environ["IPLDSTORE_FIXTURES"]) / "js-car" / "test" / "go.carv2"
    from ipldstore.formats.car import CarReader

    with open(path, "rb") as stream:
        blocks = list(CarReader(stream))
    with CARStore(path, read_only=True) as backend:
        assert [backend.get_block(cid) for cid, _ in blocks] == [data for _, data in blocks]


def test_empty_header_list(path):
    with open_bytes(path, header() + section(NEW)) as backend:
        assert backend.noted_root is None
        assert dict(IPLDStore(backend)) == {}


def test_later_one_of_two_sections_is_read(path):
    bad = NEW._replace(data=b"bad")
    with open_bytes(path, write_car([ROOT.cid], [*BLOCKS, bad, NEW])) as backend:
        assert backend.get_block(NEW.cid) == b"new"
    with open_bytes(path, write_car([ROOT.cid], [*BLOCKS, NEW, bad])) as backend:
        with pytest.raises(CorruptBlockError):
            backend.get_block(NEW.cid)
        backend.put(b"new")
        assert backend.get_block(NEW.cid) == b"new"


FULL = """
import resource, sys
from ipldstore import BackendError, IPLDStore
from ipldstore.backends.carfile.store import CARStore

backend = CARStore(sys.argv[1])
store = IPLDStore(backend)
store["a"] = b"hello"
store.freeze()
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, -1))
try:
    store["b"] = b"x" * 50_000
except BackendError as error:
    print(type(error.__cause__).__name__, error.__cause__.errno)
store["c"] = b"fits"
store.freeze()
"""


def test_full_disk_leaves_nothing_of_a_block(path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["OSError", str(errno.EFBIG)]
    assert dict(IPLDStore.from_car(path)) == {"a": b"hello", "c": b"fits"}
