"""`put` of several sources: a group each, or one that is joined, as xarray would have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr_folders import CLASSIC_FILES, write_files

import ipldstore

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816 - the name of the package
pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings(
    "ignore:numpy.ndarray size changed:RuntimeWarning",  # of netCDF4, built for another numpy
)


HOUR = np.timedelta64(3600 * 10**9, "ns")


def month(number: int) -> Path:
    """A month as a model leaves it: times since its beginning, their bounds, packed values."""
    times = np.datetime64(f"2026-{number:02}-01", "ns") + np.arange(0, 24, 6) * HOUR
    bounds = np.stack([times, times + 6 * HOUR], axis=1)
    dataset = xr.Dataset(
        {
            "rain": (("time", "lat"), np.arange(8.0).reshape(4, 2) + number, {"units": "mm"}),
            "time_bnds": (("time", "nv"), bounds),
            "mask": ("lat", np.array([1, 0], "i1")),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
        },
        {"time": ("time", times, {"bounds": "time_bnds"}), "lat": [10.5, 11.5]},
        {"title": "Rain", "history": f"month {number}"},
    )
    packed = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}
    since = {"units": f"hours since 2026-{number:02}-01", "dtype": "i4"}
    path = Path(f"rain-{number}.nc")
    dataset.to_netcdf(path, encoding={"rain": packed, "time": since}, unlimited_dims="time")
    return path


def opened(call: Any, *arguments: str, group: str | None = None) -> xr.Dataset:
    done = call("put", *arguments)
    assert done.code == 0, done.err
    store = ipldstore.open(done.out.decode().strip(), "blocks")
    return xr.open_zarr(store, group=group, consolidated=False).load()


def refused(call: Any, *arguments: str) -> str:
    done = call("put", *arguments)
    assert (done.code, done.out) == (1, b"")
    assert done.err.count("\n") == 1
    assert not Path("blocks").exists()
    said: str = done.err
    return said


def test_a_group_each(call: Any) -> None:
    files = [str(month(number)) for number in (1, 2)]
    Path("deep").mkdir()
    with netCDF4.Dataset("deep/tree.nc", "w") as file:
        file.createGroup("a/b").createVariable("v", "i4")[...] = 7
    root = call("put", *files, "deep/tree.nc").out.decode().strip()
    store = ipldstore.open(root, "blocks")
    groups = xr.open_groups(store, engine="zarr", consolidated=True)
    assert set(groups) == {"/", "/rain-1", "/rain-2", "/tree", "/tree/a", "/tree/a/b"}
    for file in files:
        with xr.open_dataset(file) as expected:
            xr.testing.assert_identical(groups[f"/{Path(file).stem}"].load(), expected.load())
    assert groups["/tree/a/b"].v.item() == 7


def test_the_order_of_groups_does_not_count(call: Any) -> None:
    files = [str(month(number)) for number in (1, 2)]
    assert call("put", *files).out == call("put", *reversed(files)).out


def test_below_a_group(call: Any) -> None:
    files = [str(month(number)) for number in (1, 2)]
    with xr.open_dataset(files[1]) as expected:
        expected.load()
    for arguments, group in (
        ([files[1], "--into", "2026/rain"], "2026/rain"),
        ([*files, "--into", "/2026/"], "2026/rain-2"),
    ):
        xr.testing.assert_identical(opened(call, *arguments, group=group), expected)


def test_zarr_stores_become_groups_as_they_are(call: Any) -> None:
    for name in ("a", "b.zarr"):
        write_files(Path(name), CLASSIC_FILES)
    root = call("put", "a", "b.zarr", "--into", "in").out.decode().strip()
    store = ipldstore.open(root, "blocks")
    copies = {f"in/{name}/{key}" for name in "ab" for key in CLASSIC_FILES}
    assert set(store) == copies | {".zgroup", "in/.zgroup"}
    assert store["in/b/a/0"] == CLASSIC_FILES["a/0"]


def test_joined_as_xarray_joins(call: Any) -> None:
    files = [str(month(number)) for number in (1, 2, 3)]
    joined = opened(call, "--concat", "time", *files)
    with xr.open_mfdataset(
        files, combine="nested", concat_dim="time", data_vars="minimal", coords="minimal",
        compat="equals", join="exact", combine_attrs="override",
    ) as expected:  # fmt: skip
        xr.testing.assert_identical(joined, expected.load())
    assert joined.rain.encoding["scale_factor"] == 0.5
    assert joined.time.encoding["units"] == "hours since 2026-01-01"


def test_joined_to_what_one_file_would_be(call: Any) -> None:
    """The chunks do not show how the files were cut."""
    whole = xr.Dataset({"a": (("x", "y"), np.arange(600.0).reshape(60, 10))})
    whole.to_netcdf("whole.nc")
    for number in range(6):
        whole.isel(x=slice(10 * number, 10 * number + 10)).to_netcdf(f"{number}.nc")
    parts = [f"{number}.nc" for number in range(6)]
    assert call("put", "--concat", "x", *parts).out == call("put", "whole.nc").out


def test_strings_are_joined(call: Any) -> None:
    """The chunks of characters in a file have a side more than the strings that they are."""
    for number in (1, 2):
        part = xr.Dataset({"label": ("time", np.array([b"ab", b"cd"])), "time": [number, number]})
        part.to_netcdf(f"{number}.nc", unlimited_dims="time")
    joined = opened(call, "1.nc", "2.nc", "--concat", "time")
    assert joined.label.values.tolist() == [b"ab", b"cd"] * 2


def test_a_dimension_that_no_file_has_is_made(call: Any) -> None:
    files = [str(month(1)), str(month(1).rename("again.nc"))]
    month(1)
    done = call("put", *files, "--concat", "run")
    assert "no source has a dimension 'run': each is one step of it" in done.err
    joined = opened(call, *files, "--concat", "run")
    assert joined.sizes["run"] == 2
    assert joined.rain.dims == ("run", "time", "lat")
    assert joined.mask.dims == ("run", "lat")
    assert joined.time.dims == joined.time_bnds.dims[:1] == ("time",)
    assert joined.crs.dims == ("run",)
    with xr.open_dataset(files[0]) as expected:
        for run in (0, 1):
            assert joined.rain.isel(run=run).equals(expected.rain)


@pytest.mark.parametrize("name", ["", " ", "a/b"])
def test_what_cannot_be_a_dimension(name: str, call: Any) -> None:
    done = call("put", "x.nc", "y.nc", "--concat", name)
    assert (done.code, done.out) == (1, b"")
    assert f"{name!r} cannot be the name of a dimension" in done.err


def test_a_time_of_each_file_becomes_the_dimension(call: Any) -> None:
    for number in (1, 2):
        with xr.open_dataset(month(number)) as dataset:
            first = dataset[["rain"]].isel(time=0)
            first.encoding = {}
            first.to_netcdf(f"{number}.nc")
    joined = opened(call, "1.nc", "2.nc", "--concat", "time")
    assert joined.rain.dims == ("time", "lat")
    expected = np.array(["2026-01-01", "2026-02-01"], "M8[ns]")
    assert np.array_equal(joined.time.values, expected)


def test_groups_are_joined_each(call: Any) -> None:
    for number in (1, 2):
        with netCDF4.Dataset(f"{number}.nc", "w") as file:
            file.createDimension("y", 2)
            file.createVariable("y", "i4", ("y",))[:] = [1, 2]
            group = file.createGroup("deep")
            group.createDimension("x", None)
            group.createVariable("v", "i4", ("x",))[:] = [number, number]
    assert opened(call, "1.nc", "2.nc", "--concat", "x", group="deep").v.values.tolist() == [
        1,
        1,
        2,
        2,
    ]
    assert opened(call, "1.nc", "2.nc", "--concat", "x").y.values.tolist() == [1, 2]


def _other(name: str, change: Any) -> list[str]:
    with xr.open_dataset(month(1), decode_cf=False) as dataset:
        other = dataset.load()
    change(other).to_netcdf(f"{name}.nc")
    return ["rain-1.nc", f"{name}.nc", "--concat", "time"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ds: ds.drop_vars("mask"), "the variable 'mask' of 'rain-1.nc' is not in 'x.nc'"),
        (lambda ds: ds.assign(more=1), "the variable 'more' of 'x.nc' is not in 'rain-1.nc'"),
        (lambda ds: ds.isel(lat=[0]), "dimension 'lat' of 'rain' is 1 long, expected 2"),
        (lambda ds: ds.transpose(), "has dimensions ('lat', 'time'), expected ('time', 'lat')"),
        (lambda ds: ds.assign_coords(lat=[0.0, 1.0]), "other values of 'lat', which is not joined"),
        (lambda ds: ds.assign(mask=ds.mask * 2), "other values of 'mask', which is not joined"),
        (
            lambda ds: ds.assign(rain=ds.rain.assign_attrs(units="m")),
            "units of 'rain' is 'm', expected 'mm'",
        ),
        (
            lambda ds: ds.assign(rain=ds.rain.assign_attrs(scale_factor=0.25)),
            "scale_factor of 'rain' is ",
        ),
        (
            lambda ds: ds.assign(rain=ds.rain.assign_attrs(add_offset=1.0)),
            "add_offset of 'rain' is 1.0, expected not there",
        ),
        (
            lambda ds: ds.assign(time=ds.time.assign_attrs(calendar="noleap")),
            "calendar of 'time' is 'noleap'",
        ),
        (
            lambda ds: ds.assign(time=ds.time.assign_attrs(units="hours since 2026-02-01 00:30")),
            ", in 'hours since 2026-02-01 00:30', cannot be int64 in 'hours since 2026-01-01'",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change: Any, said: str, call: Any) -> None:
    message = refused(call, *_other("x", change))
    assert message.startswith("error: 'x.nc' cannot be joined to 'rain-1.nc'")
    assert said in message


def test_groups_that_are_not_in_all_files(call: Any) -> None:
    month(1)
    with netCDF4.Dataset("x.nc", "w") as file:
        file.createGroup("deep")
    said = refused(call, "rain-1.nc", "x.nc", "--concat", "time")
    assert "the group '/deep' of 'x.nc' is not in 'rain-1.nc'" in said


def test_two_sources_of_one_name(call: Any) -> None:
    for folder in ("a", "b"):
        write_files(Path(folder) / "x.zarr", CLASSIC_FILES)
    said = refused(call, "a/x.zarr", "b/x.zarr", "--into", "in")
    assert "'a/x.zarr' and 'b/x.zarr' would both be the group 'in/x'" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.zarr", "--into", "a/../b"], "segment '..' is not allowed"),
        (["x.zarr", "--into", "zarr.json"], "a metadata name may only be its last segment"),
        (["x.zarr", ".zgroup.nc"], "a metadata name may only be its last segment"),
        (["x.zarr", "y.zarr"], "would be in format 2, 'y' in format 3"),
        (["x.zarr", "x.zarr", "--concat", "a"], "is a Zarr store, and --concat joins files"),
        (["x.zarr", "nothing.nc"], "No such file or directory: 'nothing.nc'"),
        (["x.zarr", "-"], "does not come through standard input"),
    ],
)
def test_what_cannot_be_put_together(arguments: list[str], said: str, call: Any) -> None:
    write_files(Path("x.zarr"), CLASSIC_FILES)
    write_files(Path("y.zarr"), {"zarr.json": b'{"node_type":"group","zarr_format":3}'})
    done = call("put", *arguments)
    assert done.code in (1, 3)
    assert said in done.err
    assert not Path("blocks").exists()


def test_what_is_said_of_several(call: Any) -> None:
    for name in ("a", "b"):
        write_files(Path(name), CLASSIC_FILES | {".DS_Store": b"", "._a": b"", "a/Thumbs.db": b""})
    Path("elsewhere").write_bytes(b"")
    (Path("b") / "a" / "1").symlink_to(Path("elsewhere").absolute())
    (Path("b") / "a" / "2").symlink_to("0")
    done = call("put", "a", "b")
    assert done.err == (
        "put 402 bytes of 2 sources into 3 blocks, 533 bytes\n"
        "left out what systems leave behind: 'a/.DS_Store', 'a/._a', 'a/a/Thumbs.db' and 3 more\n"
        "followed links that lead elsewhere: 'b/a/1'\n"
    )
    facts = json.loads(call("put", "a", "b", "--json").out)
    assert facts["left_out"] == [
        f"{x}/{y}" for x in "ab" for y in (".DS_Store", "._a", "a/Thumbs.db")
    ]
    assert facts["followed"] == ["b/a/1"]
