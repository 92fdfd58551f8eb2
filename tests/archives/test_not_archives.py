"""What is said of files that are no CAR archives: what they look like."""

import gzip
import io
import json
import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pytest
import xarray as xr
from carbytes import Block, write_car

from ipldstore import BackendError, BlockNotFoundError, CarFormatError, CARStore, IPLDStore
from ipldstore import open as open_hierarchy
from ipldstore.formats.magic import kind_of


def netcdf(number):
    dataset = xr.Dataset({"a": ("x", np.arange(4.0))})
    if number == 4:
        pytest.importorskip("netCDF4", reason="no netCDF4")
        import netCDF4

        file = netCDF4.Dataset("x.nc", "w", memory=1024)
        file.createDimension("x", 4)
        file.createVariable("a", "f8", ("x",))[:] = dataset.a.values
        return bytes(file.close())
    return b"CDF\x01" + bytes(60)


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a", "b" * 1000)
    return stream.getvalue()


def database():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table a (b)")
        return connection.serialize()


OTHERS = {
    "HTML, which begins with '<!DOCTYPE html>'": b"<!DOCTYPE html>\n<html><body>404</body></html>",
    "HTML, which begins with '<html lang": b"\n  <html lang='en'>" + b"x" * 300,
    "XML, which": b"<?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code></Error>",
    "JSON, which": json.dumps({"error": "not found"}).encode(),
    "text, which begins with 'Not found'": b"Not found",
    "text, which begins with 'a'": b"a",
    "text, which begins with 'Grüße'": "Grüße, überall".encode()[:7] + b" \xc3",
    "a gzip file": gzip.compress(b"a" * 1000),
    "a zip file": zipped(),
    "an SQLite database": database(),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
    "zeros": bytes(1000),
    "a NetCDF-3 file": netcdf(3),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_it_looks_like(what, tmp_path):
    path = tmp_path / "x.car"
    path.write_bytes(OTHERS[what])
    for read in (
        open_hierarchy,
        CARStore,
        IPLDStore.from_car,
        IPLDStore().import_car,
        lambda path: IPLDStore.from_car(path.read_bytes()),
        lambda path: IPLDStore.from_car(io.BytesIO(path.read_bytes())),
    ):
        with pytest.raises(CarFormatError) as caught:
            read(path)
        assert str(caught.value).startswith(f"no CAR archive: it looks like {what[:30]}")
        assert caught.value.offset is not None


def test_netcdf_4_as_a_library_writes_it():
    assert kind_of(netcdf(4)).text == "a NetCDF-4 or HDF5 file"


@pytest.mark.parametrize("read", [IPLDStore.from_car, IPLDStore().import_car, open_hierarchy])
def test_the_file_is_named(read, tmp_path):
    path = tmp_path / "page.car"
    path.write_bytes(b"<html></html>")
    with pytest.raises(CarFormatError) as caught:
        read(path)
    assert any("page.car" in note for note in caught.value.__notes__)


def test_archives_that_are_damaged_are_not_taken_for_others():
    archive = IPLDStore().to_car()
    for size in range(1, len(archive)):
        with pytest.raises((CarFormatError, BlockNotFoundError)) as caught:
            IPLDStore.from_car(archive[:size])
        assert "looks like" not in str(caught.value) or size == 1


@pytest.mark.parametrize("read_only", [True, False])
def test_an_empty_file(tmp_path, read_only):
    path = tmp_path / "x.car"
    path.touch()
    for read in (open_hierarchy, IPLDStore.from_car, lambda path: CARStore(path, read_only=True)):
        with pytest.raises(CarFormatError, match="an empty file, expected a CAR archive") as caught:
            read(path)
        assert caught.value.offset == 0
    with open_hierarchy(path, read_only=False) as store:
        store["a"] = b"1"
    assert dict(open_hierarchy(path)) == {"a": b"1"}


def test_an_archive_that_was_only_begun(tmp_path):
    path = tmp_path / "x.car"
    path.write_bytes(IPLDStore().to_car()[:20])
    with pytest.raises(CarFormatError, match="only the first 20 bytes of a CAR archive"):
        open_hierarchy(path)


def test_an_archive_with_several_roots(tmp_path):
    store = IPLDStore()
    roots = []
    for value in (b"1", b"2"):
        store["a"] = value
        roots.append(store.freeze())
    path = tmp_path / "x.car"
    path.write_bytes(
        write_car(roots, [Block(root, store.backend.get_block(root)) for root in roots])
    )
    assert list(map(str, CARStore(path).read_roots())) == list(map(str, roots))
    with pytest.raises(ValueError, match=f"with 2 roots, the first of them {roots[0]}"):
        open_hierarchy(path)
    assert open_hierarchy(roots[1], path).root_cid == roots[1]


def test_no_file(tmp_path):
    with pytest.raises(BackendError, match="no CAR archive"):
        CARStore(tmp_path / "x.car").read_roots()
