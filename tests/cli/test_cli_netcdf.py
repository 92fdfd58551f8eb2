"""`put` and `get` of NetCDF files: identical for xarray, with all groups, the same root again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.cli.tools.netcdf import MAX_CHUNK_BYTES, chunk_shape

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816 - the name of the package
iris_sample_data = pytest.importorskip("iris_sample_data")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*decode_timedelta:FutureWarning",  # of xarray, about reading
    "ignore:numpy.ndarray size changed:RuntimeWarning",  # of netCDF4, built for another numpy
)


@pytest.fixture
def grouped(workplace: Path) -> Path:
    """Groups, packed and missing values, times, strings, characters, scalars, no values at all."""
    path = workplace / "grouped.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"title": "Größe", "version": np.int32(3), "levels": np.array([1.5, 2.5])})
        file.createDimension("time", None)
        file.createDimension("x", 5)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": "hours since 2000-01-01", "calendar": "noleap"})
        time[:] = [0, 6, 12]
        packed = file.createVariable("packed", "i2", ("time", "x"), fill_value=-1)
        packed.setncatts({"scale_factor": 0.01, "add_offset": 273.15, "coordinates": "name"})
        packed.set_auto_maskandscale(False)
        packed[:] = np.arange(-1, 14).reshape(3, 5)
        file.createVariable("name", str, ("x",))[:] = np.array(list("äbcde"), dtype=object)
        file.createVariable("scalar", "i8")[...] = 2**62
        file.createDimension("none", 0)
        file.createVariable("empty", "f4", ("none",))
        group = file.createGroup("ocean/deep")
        group.createDimension("x", 2)
        group.createDimension("width", 4)
        letters = group.createVariable("letters", "S1", ("x", "width"))
        letters[:] = np.array([list("abcd"), list("efg ")], dtype="S1")
        group.createVariable("big", "f4", ("x",), chunksizes=(1,), zlib=True)[:] = [1, np.nan]
    return path


def _open(path: Path) -> dict[str, xr.Dataset]:
    return dict(xr.open_groups(path, engine="netcdf4", decode_timedelta=False))


@pytest.mark.parametrize(
    "name", ["A1B_north_america", "orca2_votemper", "space_weather", "vlstr_type"]
)
def test_sample_comes_back_identical(name: str, call: Any) -> None:
    path = Path(iris_sample_data.path) / f"{name}.nc"
    put = call("put", f"demo:{name}")
    assert put.code == 0, put.err
    assert put.err.count("\n") == 1
    got = call("get", put.out.decode().strip(), "back.nc")
    assert (got.code, got.out) == (0, b""), got.err
    options: dict[str, Any] = {"engine": "netcdf4", "decode_timedelta": False}
    with (
        xr.open_dataset(path, **options) as expected,
        xr.open_dataset("back.nc", **options) as back,
    ):
        assert back.identical(expected)
        store = IPLDStore(DirectoryCAStore("blocks"), root=put.out.decode().strip())
        with xr.open_zarr(store, decode_timedelta=False) as opened:
            assert opened.identical(expected)


def test_all_groups_come_back_identical(grouped: Path, call: Any) -> None:
    put = call("put", "grouped.nc")
    assert put.code == 0, put.err
    got = call("get", put.out.decode().strip(), "back.nc")
    assert (got.code, got.out) == (0, b""), got.err
    expected, back = _open(grouped), _open(Path("back.nc"))
    assert list(back) == list(expected) == ["/", "/ocean", "/ocean/deep"]
    for path, dataset in expected.items():
        assert back[path].identical(dataset), path
        dataset.close()
        back[path].close()
    assert sorted(os.listdir()) == ["back.nc", "blocks", "grouped.nc"]


def test_packed_values_stay_packed(grouped: Path, call: Any) -> None:
    call("get", call("put", "grouped.nc").out.decode().strip(), "back.nc")
    with netCDF4.Dataset("back.nc") as back:
        packed = back["packed"]
        packed.set_auto_maskandscale(False)
        assert packed.dtype == "i2"
        assert packed[:].tolist() == np.arange(-1, 14).reshape(3, 5).tolist()
        assert back["ocean/deep/letters"].dimensions == ("x", "string4")


def test_same_root_for_what_came_back(grouped: Path, call: Any) -> None:
    first = call("put", "demo:A1B_north_america").out
    call("get", first.decode().strip(), "back.nc")
    assert call("put", "back.nc").out == first


def test_same_root_in_another_process_without_dask(run: Any, call: Any) -> None:
    without_dask = """
import sys, importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "dask" else find(name, *rest)
from ipldstore.cli import main
main()
"""
    alone = run("put", "demo:A1B_north_america", code=without_dask)
    assert (alone.code, alone.out) == (0, call("put", "demo:A1B_north_america").out)


def test_fill_values_are_those_of_the_file(call: Any) -> None:
    with netCDF4.Dataset("fills.nc", "w") as file:
        file.createDimension("x", 2)
        file.createVariable("plain", "f4", ("x",))[:] = [1, np.nan]
        file.createVariable("scalar", "f8")[...] = 2
        file.createVariable("filled", "f8", ("x",), fill_value=1e20)[:] = [1, 1e20]
        file.createVariable("nan", "f4", ("x",), fill_value=np.nan)[:] = [1, np.nan]
    call("get", call("put", "fills.nc").out.decode().strip(), "back.nc")
    with netCDF4.Dataset("back.nc") as back:
        fills = {name: str(v._FillValue) for name, v in back.variables.items() if v.ncattrs()}
        assert fills == {"filled": "1e+20", "nan": "nan"}
        back.set_auto_mask(False)
        assert np.array_equal(back["plain"][:], [1, np.nan], equal_nan=True)
        assert (back["scalar"][...], back["filled"][:].tolist()) == (2, [1, 1e20])


def test_get_of_what_python_wrote_without_consolidated_metadata(call: Any) -> None:
    dataset = xr.Dataset({"rain": ("day", [1.5, 2.5])})
    store = IPLDStore(DirectoryCAStore("blocks"))
    dataset.to_zarr(store, consolidated=False)
    got = call("get", str(store.freeze()), "back.nc")
    assert (got.code, got.err.count("\n")) == (0, 1)
    xr.testing.assert_identical(xr.load_dataset("back.nc"), dataset)


@pytest.mark.parametrize(
    ("dataset", "group", "said"),
    [
        (xr.Dataset({"a\n": ("x", [1])}), None, r"the variable 'a\n' in group '/'"),
        (xr.Dataset({"a": ("x\n", [1])}), None, r"the dimension 'x\n' in group '/'"),
        (xr.Dataset({"a": ("x", [1])}, attrs={"u/v": 1}), None, "the attribute 'u/v' in group '/'"),
        (
            xr.Dataset({"a": ("x", [1], {"u ": 1})}),
            "g",
            "of the variable 'a', the attribute 'u ' in group '/g'",
        ),
        (xr.Dataset({"a": ("x", [1])}), "g/h ", "the group 'h ' in group '/g/h '"),
    ],
)
def test_a_name_that_netcdf_does_not_allow_is_named(
    call: Any, dataset: xr.Dataset, group: str | None, said: str
) -> None:
    store = IPLDStore(DirectoryCAStore("blocks"))
    if group is not None:
        xr.Dataset().to_zarr(store, consolidated=False)
    dataset.to_zarr(store, group=group, mode="a", consolidated=False)
    got = call("get", str(store.freeze()), "back.nc")
    assert got.code == 1
    assert f"{said} has a name with characters that NetCDF does not allow" in got.err
    assert os.listdir() == ["blocks"]


def test_array_alone_is_no_netcdf(call: Any) -> None:
    root = call("put", "demo:A1B_north_america").out.decode().strip()
    got = call("get", f"{root}/air_temperature", "back.nc")
    assert (got.code, got.out) == (1, b"")
    assert got.err.startswith("error: a NetCDF file is made of a group, and this is an array")
    assert os.listdir() == ["blocks"]


def test_netcdf_without_a_chunk_leaves_nothing(call: Any) -> None:
    root = call("put", "demo:A1B_north_america").out.decode().strip()
    largest = max(Path("blocks").glob("*/*.data"), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    largest.write_bytes(data[:-1] + b"x")
    got = call("get", root, "back.nc")
    assert (got.code, got.out) == (4, b"")
    assert got.err.startswith("error: block bafkrei")
    largest.unlink()
    assert call("get", root, "back.nc").code == 3
    assert os.listdir() == ["blocks"]


def test_file_that_is_no_netcdf(call: Any) -> None:
    Path("x.nc").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    put = call("put", "x.nc")
    assert (put.code, put.out) == (1, b"")
    assert put.err.startswith("error: NetCDF: HDF error: ")


def test_demo_data_that_is_not_there(call: Any) -> None:
    put = call("put", "demo:nothing")
    assert (put.code, put.out) == (3, b"")
    assert put.err.startswith("error: no demo data 'nothing', there is: A1B_north_america, ")


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("netCDF4", "x.nc", "NetCDF files need netCDF4: pip install 'ipldstore[netcdf]'"),
        ("tifffile", "x.tif", "TIFF files need tifffile: pip install 'ipldstore[tiff]'"),
        ("iris_sample_data", "demo:x", "no demo data: pip install 'ipldstore[demo]'"),
    ],
)
def test_missing_extras(
    module: str, source: str, message: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.nc").write_bytes(b"CDF\x01")
    Path("x.tif").write_bytes(b"II*\0")
    monkeypatch.setitem(sys.modules, module, None)
    assert call("put", source) == (1, b"", f"error: {message}\n")
    if module == "iris_sample_data":
        assert call("demo") == (1, b"", f"error: {message}\n")


def test_demo(run: Any) -> None:
    shown = run("demo")
    assert shown.code == 0, shown.err
    assert shown.err == ""
    lines = shown.out.decode().splitlines()
    assert 10 <= len(lines) <= 14
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Dataset   A1B_north_america.nc of iris-sample-data, 1.8 MB"
    assert sum("identical to the NetCDF file" in line for line in lines) == 2
    roots = [line.split()[-1] for line in lines if " root b" in line]
    assert len(set(roots)) == 2
    assert any("2 blocks, " in line and "are new, 11 blocks are shared" in line for line in lines)
    assert os.listdir() == []


def test_demo_keeps_its_blocks_where_it_is_told(call: Any) -> None:
    shown = call("demo", "--blocks", "kept")
    root = next(line.split()[-1] for line in shown.out.decode().splitlines() if " root b" in line)
    assert call("put", "demo:A1B_north_america", "--blocks", "other").out == f"{root}\n".encode()
    assert call("get", root, "x.nc", "--blocks", "kept").code == 0


@pytest.mark.parametrize(
    ("shape", "unit", "itemsize", "chunk"),
    [
        ((), None, 8, ()),
        ((0, 5), None, 4, (1, 5)),
        ((1776,), (1,), 4, (1776,)),
        ((240, 37, 49), (1, 37, 49), 4, (72, 37, 49)),
        ((10, 4000, 4000), (1, 4000, 4000), 8, (1, 4000, 4000)),
        ((10, 4000, 4000), None, 8, (1, 16, 4000)),
        ((3, 1 << 20), (1, 1000), 4, (1, 131000)),
    ],
)
def test_chunk_shape(
    shape: tuple[int, ...], unit: tuple[int, ...] | None, itemsize: int, chunk: tuple[int, ...]
) -> None:
    assert chunk_shape(shape, unit, itemsize) == chunk
    if unit is None:
        assert int(np.prod(chunk)) * itemsize <= MAX_CHUNK_BYTES
