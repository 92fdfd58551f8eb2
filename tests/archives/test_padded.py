"""Archives that are padded with zeros: read when asked for, and only zeros are padding."""

import io
import pickle

import pytest
from carbytes import header, make_block, section, write_car, write_car2

from ipldstore import BlockNotFoundError, CarFormatError, CARStore, IPLDStore, open_block_store
from ipldstore import open as open_hierarchy

CHUNK = make_block(b"chunk", "raw")
ROOT = make_block({"0": CHUNK.cid, ".zgroup": {"zarr_format": 2}})
NEW = make_block(b"new", "raw")
ARCHIVE = write_car([ROOT.cid], [ROOT, CHUNK])
CONTENT = {".zgroup": b'{"zarr_format":2}', "0": b"chunk"}
SIZES = [1, 7, 511, 512, 5000, 3 << 20]


def version_1(rest):
    return ARCHIVE + rest


def version_2(rest):
    return write_car2(ARCHIVE + rest)


def end_of(archive):
    """Where the last section ends: what follows is the padding."""
    return archive.index(section(CHUNK)) + len(section(CHUNK))


FORMS = pytest.mark.parametrize("form", [version_1, version_2])


@FORMS
@pytest.mark.parametrize("size", SIZES)
def test_import_reads_padding_when_asked(form, size):
    archive = form(bytes(size))
    assert dict(IPLDStore.from_car(archive, allow_padding=True)) == CONTENT
    store = IPLDStore()
    assert store.import_car(io.BytesIO(archive), allow_padding=True) == ROOT.cid
    with pytest.raises(
        CarFormatError, match=r"padded .* --allow-padding, .* allow_padding=True"
    ) as e:
        IPLDStore.from_car(archive)
    assert e.value.offset == end_of(archive)


@FORMS
@pytest.mark.parametrize("size", SIZES)
def test_a_store_reads_padding_when_asked(form, size, tmp_path):
    path = tmp_path / "x.car"
    path.write_bytes(form(bytes(size)))
    with open_hierarchy(path, allow_padding=True) as store:
        assert dict(store) == CONTENT
        assert not store.backend.has(NEW.cid)
        assert store.backend.breaks_off_at is None
        again = pickle.loads(pickle.dumps(store.backend))
        assert not again.has(NEW.cid)
        assert again.breaks_off_at is None
    assert path.read_bytes() == form(bytes(size))


@FORMS
def test_a_store_that_is_not_asked(form, tmp_path):
    """Zeros are what a crash leaves; an archive of version 2 is not appended to, and has none."""
    path = tmp_path / "x.car"
    path.write_bytes(form(bytes(5000)))
    with CARStore(path, read_only=True) as backend:
        if form is version_2:
            with pytest.raises(CarFormatError, match="allow_padding=True"):
                backend.has(NEW.cid)
            return
        assert dict(IPLDStore(backend, root=ROOT.cid)) == CONTENT
        assert backend.breaks_off_at == len(ARCHIVE)


@FORMS
@pytest.mark.parametrize(
    "rest", [bytes(700) + b"\1", bytes(700) + section(NEW), b"\0" + section(NEW)]
)
def test_what_follows_padding_is_an_error(form, rest, tmp_path):
    archive = form(rest)
    with pytest.raises(CarFormatError, match="only zeros are padding") as caught:
        IPLDStore.from_car(archive, allow_padding=True)
    assert caught.value.offset == end_of(archive) + len(rest) - len(rest.lstrip(b"\0"))
    path = tmp_path / "x.car"
    path.write_bytes(archive)
    with (
        CARStore(path, allow_padding=True) as backend,
        pytest.raises(CarFormatError, match=f"at byte|byte {caught.value.offset} is not zero"),
    ):
        backend.has(NEW.cid)


@pytest.mark.parametrize("size", SIZES)
def test_writing_cuts_the_padding_off(size, tmp_path):
    path = tmp_path / "x.car"
    path.write_bytes(ARCHIVE + bytes(size))
    with CARStore(path, allow_padding=True) as backend:
        assert dict(IPLDStore(backend, root=ROOT.cid)) == CONTENT
        backend.put(b"new")
    assert path.read_bytes() == ARCHIVE + section(NEW)


def test_padding_is_not_for_other_block_stores(tmp_path):
    with pytest.raises(TypeError, match="allow_padding"):
        open_block_store(tmp_path / "blocks", allow_padding=True)


@pytest.mark.parametrize("archive", [b"", bytes(1000), header() + bytes(1000)])
def test_zeros_alone_are_no_archive(archive):
    with pytest.raises(CarFormatError):
        IPLDStore.from_car(archive, allow_padding=True)


def test_an_archive_that_ends_within_its_padding():
    archive = version_2(bytes(1000))
    with pytest.raises(CarFormatError, match="of its payload"):
        IPLDStore.from_car(archive[:-1], allow_padding=True)


def test_a_padded_archive_without_a_block():
    padded = write_car([ROOT.cid], [ROOT]) + bytes(1000)
    with pytest.raises(BlockNotFoundError):
        IPLDStore.from_car(padded, allow_padding=True)
