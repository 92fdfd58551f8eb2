"""`put` of NumPy and TIFF files: every type, what they say of themselves, and broken ones."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ipldstore

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

pytestmark = pytest.mark.filterwarnings(
    "ignore:Converting non-nanosecond precision:UserWarning",  # of xarray in 2024
)

IMAGE = np.arange(40 * 30, dtype="i2").reshape(40, 30)


@pytest.fixture(autouse=True)
def scratch(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where temporary files go, of which none is left."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert os.listdir(folder) == []


def opened(call: Any, *arguments: str, group: str | None = None) -> xr.Dataset:
    done = call("put", *arguments)
    assert done.code == 0, done.err
    store = ipldstore.open(done.out.decode().strip(), "blocks")
    return xr.open_zarr(store, group=group, consolidated=False, decode_timedelta=True).load()


def refused(call: Any, *arguments: str) -> str:
    done = call("put", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (1, b"", 1), done.err
    assert not Path("blocks").exists()
    said: str = done.err
    return said


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">f4"),
        np.array([1, 2], ">u2"),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([1.5], "f2"),
        np.array(3.5),
        np.zeros((0, 3), "i8"),
        np.array(["ab", "\xe4"]),
        np.array([b"ab", b"c"]),
        np.array(["2020-01-01", "2021-06-01"], "M8[D]"),
        np.array([1, 90], "m8[s]"),
        np.array([np.nan, 1.0]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_types_of_numpy(array: Any, call: Any) -> None:
    np.save("x.npy", array)
    found = opened(call, "x.npy").data
    assert found.dims == tuple(f"dim_{axis}" for axis in range(array.ndim))
    assert np.array_equal(found.values, array, equal_nan=array.dtype.kind in "fc")
    np.savez("y.npz", a=array, b=array)
    assert opened(call, "y.npz").b.dims == tuple(f"b_dim_{axis}" for axis in range(array.ndim))


def test_larger_than_a_chunk(call: Any) -> None:
    array = np.arange(400_000).reshape(400, 1000)
    np.savez_compressed("x.npz", array)
    found = opened(call, "x.npz").arr_0
    assert np.array_equal(found.values, array)
    assert found.encoding["chunks"] == (65, 1000)


def test_arrays_of_equal_files_have_equal_roots(call: Any) -> None:
    np.savez("x.npz", a=IMAGE)
    np.savez_compressed("y.npz", a=IMAGE)
    assert call("put", "x.npz").out == call("put", "y.npz").out


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (-1, "mmap length is greater than file size"),
        (50, "EOF: reading array header"),
        (9, "EOF: reading array header length"),
    ],
)
def test_npy_that_is_cut_short(cut: int, said: str, call: Any) -> None:
    np.save("whole.npy", IMAGE)
    Path("x.npy").write_bytes(Path("whole.npy").read_bytes()[:cut])
    assert said in refused(call, "x.npy")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': 3, 'fortran_order': False, 'shape': (4,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (4,)",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-4,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': 4}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (None,)}",
        "'" * 3,
        "(" * 60,
        "\0",
    ],
)
def test_npy_with_a_malformed_header(header: str, call: Any) -> None:
    text = header.encode().ljust(117) + b"\n"
    Path("x.npy").write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(32))
    assert "'x.npy' cannot be read as an array of NumPy: " in refused(call, "x.npy")


def test_pickles_are_not_loaded(call: Any) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, ("trapped",)

    objects = np.array([Trap()], dtype=object)
    np.save("x.npy", objects, allow_pickle=True)
    np.savez("y.npz", fine=IMAGE, objects=objects)
    assert "'x.npy' cannot be read as an array" in refused(call, "x.npy")
    assert "'y.npz: objects' cannot be read as an array" in refused(call, "y.npz")
    assert not Path("trapped").exists()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/b.npy"], "has an array 'a/b', whose name holds a slash"),
        (["../a.npy"], "has an array '../a', whose name holds a slash"),
        (["a.npy", "a.npy"], "has an array 'a', whose name is there twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_names_in_npz(names: list[str], said: str, call: Any) -> None:
    np.save("x.npy", IMAGE)
    with zipfile.ZipFile("x.npz", "w") as archive:
        for name in names:
            archive.write("x.npy", name)
    assert said in refused(call, "x.npz")


def test_npz_that_is_damaged(call: Any) -> None:
    np.savez("x.npz", a=IMAGE)
    data = bytearray(Path("x.npz").read_bytes())
    data[200] ^= 1
    Path("x.npz").write_bytes(data)
    assert "'a.npy' cannot be unpacked: Bad CRC-32" in refused(call, "x.npz")


@pytest.mark.parametrize("way", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_that_is_damaged_and_compressed(way: int, call: Any) -> None:
    np.save("a.npy", IMAGE)
    with zipfile.ZipFile("x.npz", "w", way) as archive:
        archive.write("a.npy")
    data = bytearray(Path("x.npz").read_bytes())
    data[40:60] = bytes(20)
    Path("x.npz").write_bytes(data)
    assert "'x.npz': 'a.npy' cannot be unpacked: " in refused(call, "x.npz")


def test_what_needs_more_room_than_there_is(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")(1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    np.savez_compressed("x.npz", np.zeros(1 << 20))
    assert "needs 8.4 MB in " in refused(call, "x.npz")
    tifffile.imwrite("x.tif", np.zeros((1 << 10, 1 << 10), "u1"), compression="zlib")
    assert "needs 1.0 MB in " in refused(call, "x.tif")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.zip", {"a.txt": b"1"}, "a zip file without Zarr metadata and arrays of NumPy"),
        ("x.npz", {}, "an empty zip file"),
        ("x.zip", {"a/.zgroup": b"{}", "b/.zgroup": b"{}"}, "holds several Zarr stores, 'a/' and"),
    ],
)
def test_zip_files_of_something_else(
    name: str, content: dict[str, bytes], said: str, call: Any
) -> None:
    with zipfile.ZipFile(name, "w") as archive:
        for key, data in content.items():
            archive.writestr(key, data)
    assert said in refused(call, name)


@pytest.mark.parametrize("document", [b"no JSON", b"", b"[1]", b"\xff", b"[" * 10_000])
@pytest.mark.parametrize("key", ["zarr.json", ".zattrs"])
def test_metadata_that_is_no_json(key: str, document: bytes, call: Any) -> None:
    with zipfile.ZipFile("x.zarr.zip", "w") as archive:
        archive.writestr(key, document)
    done = call("put", "x.zarr.zip", "--into", "g")
    assert (done.code, done.out, done.err.count("\n")) == (1, b"", 1), done.err
    assert f"'g/{key}' is no JSON" in done.err


def test_a_zip_file_that_stands_for_far_more(call: Any) -> None:
    with zipfile.ZipFile("x.zarr.zip", "w") as archive:
        archive.writestr(".zgroup", b'{"zarr_format": 2}')
        archive.writestr("a/0", b"chunk")
    data = Path("x.zarr.zip").read_bytes()
    at = data.index(b"a/0", data.index(b"PK\1\2")) - 46 + 24
    Path("x.zarr.zip").write_bytes(data[:at] + b"\xfe\xff\xff\xff" + data[at + 4 :])
    monstrous = "'a/0' has 4294967294 bytes, expected at most "
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ipldstore.zarrstores.locations.MAX_VALUE_BYTES", 1 << 31)
        done = call("put", "x.zarr.zip")
    assert (done.code, monstrous in done.err) == (4, True), done.err


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_the_last_of_equal_names_in_a_zip_file_counts(call: Any) -> None:
    with zipfile.ZipFile("x.zarr.zip", "w") as archive:
        archive.writestr(".zgroup", b'{"zarr_format": 2}')
        archive.writestr("a/0", b"old")
        archive.writestr("a/0", b"new")
    root = call("put", "x.zarr.zip").out.decode().strip()
    assert call("cat", f"{root}/a/0").out == b"new"


def test_zip_files_that_are_broken(call: Any) -> None:
    Path("x.zarr.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "is a zip file that cannot be read" in refused(call, "x.zarr.zip")
    with zipfile.ZipFile("y.zip", "w") as archive:
        archive.writestr(".zgroup", b'{"zarr_format":2}')
        archive.writestr("a/0", b"a value that is damaged")
    data = Path("y.zip").read_bytes()
    Path("y.zip").write_bytes(data.replace(b"damaged", b"DAMAGED"))
    done = call("put", "y.zip")
    assert (done.code, done.out) == (1, b"")
    assert "'y.zip': 'a/0' cannot be read: Bad CRC-32" in done.err


def test_images_of_several_sizes_become_groups(call: Any) -> None:
    with tifffile.TiffWriter("x.tif") as file:
        file.write(IMAGE)
        file.write(IMAGE[:10, :10] * 2)
    for number, expected in enumerate([IMAGE, IMAGE[:10, :10] * 2]):
        found = opened(call, "x.tif", group=f"series_{number}").data
        assert found.dims == ("y", "x")
        assert np.array_equal(found.values, expected)


def test_dimensions_and_samples(call: Any) -> None:
    colours = np.arange(2 * 3 * 8 * 8 * 3, dtype="u1").reshape(2, 3, 8, 8, 3)
    tifffile.imwrite("x.tif", colours, photometric="rgb", metadata={"axes": "TZYXS"})
    found = opened(call, "x.tif").data
    assert found.dims == ("t", "z", "y", "x", "s")
    assert np.array_equal(found.values, colours)
    tifffile.imwrite("y.tif", colours, photometric="rgb")
    assert len(set(opened(call, "y.tif").data.dims)) == 5


def test_tiles_are_not_cut(call: Any) -> None:
    image = np.zeros((2000, 1500), "u2")
    tifffile.imwrite("x.tif", image, tile=(256, 256), compression="zlib")
    chunk = opened(call, "x.tif").data.encoding["chunks"]
    assert chunk[0] % 256 == 0
    assert chunk[1] in (1500, *range(256, 1500, 256))


def test_what_a_geotiff_says_of_its_place(call: Any) -> None:
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633)
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
        (42113, "s", 0, "7", True),
    ]
    tifffile.imwrite("x.tif", IMAGE, metadata=None, description="a field", extratags=tags)
    found = opened(call, "x.tif").data
    assert found.attrs["description"] == "a field"
    assert found.attrs["ModelPixelScale"] == [10.0, 10.0, 0.0]
    assert found.attrs["ProjectedCSTypeGeoKey"] == 32633
    assert found.encoding["_FillValue"] == 7
    assert np.isnan(found.values[0, 7])
    assert np.array_equal(found.fillna(7).values, IMAGE)


@pytest.mark.parametrize("text", ["nan", "-99999", "none"])
def test_no_data_that_the_type_cannot_hold(text: str, call: Any) -> None:
    tag = (42113, "s", 0, text, True)
    tifffile.imwrite("x.tif", IMAGE, metadata=None, extratags=[tag])
    found = opened(call, "x.tif").data
    assert found.attrs["nodata"] == text
    assert np.array_equal(found.values, IMAGE)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_tiff_that_is_cut_short(keep: float, options: dict[str, Any], call: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), "u1")
    tifffile.imwrite("whole.tif", noise, **options)
    data = Path("whole.tif").read_bytes()
    Path("x.tif").write_bytes(data[: int(keep * len(data))])
    assert "'x.tif' " in refused(call, "x.tif")


def test_tiff_that_leads_back_to_itself(call: Any) -> None:
    entry = struct.pack("<HHII", 256, 4, 1, 4)
    head = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 1)
    Path("x.tif").write_bytes(head + entry + struct.pack("<I", 8))
    done = call("put", "x.tif")
    assert (done.code, done.out) == (1, b"")
    assert "'x.tif' does not say where all data of an image is" in done.err


def test_tiff_without_images_or_with_a_codec_that_nobody_has(call: Any) -> None:
    Path("x.tif").write_bytes(b"II*\0\0\0\0\0")
    assert "'x.tif' " in refused(call, "x.tif")
    tifffile.imwrite("y.tif", IMAGE, compression="zlib")
    data = Path("y.tif").read_bytes()
    entry = b"\x03\x01\x03\x00\x01\x00\x00\x00"
    assert data.count(entry) == 1
    at = data.index(entry) + len(entry)
    Path("y.tif").write_bytes(data[:at] + b"\x39\x30" + data[at + 2 :])
    assert "'y.tif' cannot be read as TIFF: " in refused(call, "y.tif")
