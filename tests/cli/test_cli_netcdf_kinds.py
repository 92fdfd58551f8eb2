"""NetCDF and HDF5 files with whatever they can hold: kept, told of, or refused by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ipldstore

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816 - the name of the package
h5py = pytest.importorskip("h5py")

ON_ZARR_2 = version("zarr").startswith("2.")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*decode_timedelta:FutureWarning",  # of xarray, about reading
    "ignore:numpy.ndarray size changed:RuntimeWarning",  # of netCDF4, built for another numpy
)


def make(fill: Callable[[Any], None], name: str = "x.nc") -> None:
    with netCDF4.Dataset(name, "w") as file:
        file.createDimension("x", 2)
        fill(file)


def make_hdf5(fill: Callable[[Any], None], name: str = "x.nc") -> None:
    with h5py.File(name, "w") as file:
        file["ok"] = np.arange(2)
        fill(file)


def put(call: Any, name: str = "x.nc") -> tuple[str, str]:
    done = call("put", name)
    assert done.code == 0, done.err
    return done.out.decode().strip(), done.err


def refused(call: Any, name: str = "x.nc") -> str:
    done = call("put", name)
    assert (done.code, done.out) == (1, b""), done.out
    return str(done.err)


def test_characters_with_a_fill_value(call: Any) -> None:
    def fill(file: Any) -> None:
        file.createDimension("w", 3)
        file.createVariable("temp", "f4", ("x",))[:] = [1, 2]
        for name, value in {"flag": b" ", "zero": b"\0", "high": b"\xff"}.items():
            variable = file.createVariable(name, "S1", ("x",), fill_value=value)
            variable.set_auto_chartostring(False)
            variable[:] = np.array([b"A", b"B"])
        words = file.createVariable("words", "S1", ("x", "w"), fill_value=b" ")
        words.set_auto_maskandscale(False)
        words[:] = np.array([list("abc"), list("d  ")], "S1")

    make(fill)
    root, _ = put(call)
    opened = xr.open_zarr(ipldstore.open(root, "blocks")).load()
    assert opened.temp.values.tolist() == [1, 2]
    assert opened.words.values.tolist() == [b"abc", b"d  "]
    assert call("get", root, "back.nc").code == 0
    with netCDF4.Dataset("back.nc") as back:
        back.set_auto_chartostring(False)
        assert back["words"][:].tobytes() == b"abcd  "
        fills = {name: back[name]._FillValue for name in ("flag", "high", "words")}
        assert fills == {"flag": b" ", "high": b"\xff", "words": b" "}
    call("get", root, "back.zarr")
    assert put(call, "back.nc")[0] == root


def test_the_flag_of_a_float_is_read(call: Any) -> None:
    def fill(file: Any) -> None:
        flags = file.createVariable("flag", "S1", ("x",), fill_value=b" ")
        flags[:] = np.array([b"A", b"B"])
        file.createDimension("y", 3)
        file.createVariable("other", "S1", ("y",), fill_value=b" ")[:] = np.array([b"C"] * 3)
        file.createVariable("both", "f4", ("x", "y"))[:] = 1

    make(fill)
    opened = xr.open_zarr(ipldstore.open(put(call)[0], "blocks")).load()
    assert opened.flag.values.tolist() == [b"A", b"B"]


def test_strings_with_a_fill_value(call: Any) -> None:
    def fill(file: Any) -> None:
        text = file.createVariable("text", str, ("x",), fill_value="-")
        text[:] = np.array(["ä", "zwei"], object)
        file.createVariable("one", str, (), fill_value="none")[...] = "scalar"

    make(fill)
    root, _ = put(call)
    opened = xr.open_zarr(ipldstore.open(root, "blocks")).load()
    assert opened.text.values.tolist() == ["ä", "zwei"]
    assert opened.one.item() == "scalar"
    assert call("get", root, "back.nc").code == 0
    with netCDF4.Dataset("back.nc") as back:
        assert back["text"][:].tolist() == ["ä", "zwei"]


def test_encoded_characters_with_a_fill_value(call: Any) -> None:
    def fill(file: Any) -> None:
        file.createDimension("w", 4)
        text = file.createVariable("text", "S1", ("x", "w"), fill_value=b" ")
        text._Encoding = "utf-8"
        text[:] = np.array(["äb", "c"])

    make(fill)
    opened = xr.open_zarr(ipldstore.open(put(call)[0], "blocks")).load()
    assert [text.rstrip() for text in opened.text.values] == ["äb", "c"]


# not `ru_maxrss`, which begins with that of the process that ran the tests until then
_MEASURED = """
import re
from pathlib import Path
from ipldstore.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print(int(re.search("VmHWM:\\s+([0-9]+) kB", status)[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says it there")
def test_one_long_string_does_not_make_all_long(run: Any) -> None:
    with netCDF4.Dataset("x.nc", "w") as file:
        file.createDimension("x", 20_000)
        text = np.array(["abcdefgh"] * 20_000, object)
        text[777] = "z" * 100_000
        file.createVariable("text", str, ("x",))[:] = text
    done = run("put", "x.nc", code=_MEASURED)
    root, mebibytes = done.out.decode().split()
    assert int(mebibytes) < 1000
    got = run("get", root, "back.nc", code=_MEASURED)
    assert int(got.out) < 1000
    with netCDF4.Dataset("back.nc") as back:
        assert back["text"][:].tolist() == text.tolist()


def test_same_root_of_strings_without_dask(run: Any, call: Any) -> None:
    def fill(file: Any) -> None:
        file.createVariable("text", str, ("x",))[:] = np.array(["a", "b" * 9], object)
        file.createVariable("one", str, ())[...] = "scalar"
        file.createVariable("filled", str, ("x",), fill_value="-")[:] = np.array(["a", "-"], object)

    make(fill)
    without_dask = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "dask" else find(name, *rest)
from ipldstore.cli import main
main()
"""
    assert run("put", "x.nc", code=without_dask).out.decode().strip() == put(call)[0]


def test_what_the_source_does_not_decode_either_is_said(call: Any) -> None:
    def fill(file: Any) -> None:
        time = file.createVariable("odd", "f8", ("x",))
        time.units = "common_years since 1850-1-1"
        time[:] = [1, 2]

    make(fill)
    root, said = put(call)
    assert "variable 'odd' in group '/' is as in the source: xarray cannot decode it" in said
    assert call("get", root, "back.nc").code == 0
    with netCDF4.Dataset("back.nc") as back:
        assert back["odd"].units == "common_years since 1850-1-1"


def test_what_only_the_copy_cannot_decode_is_refused(call: Any) -> None:
    def fill(file: Any) -> None:
        odd = file.createVariable("odd", "u1", ("x",), fill_value=255)
        odd.set_auto_maskandscale(False)
        odd._Unsigned = "false"
        odd[:] = [1, 255]

    make(fill)
    with xr.open_dataset("x.nc") as source:
        source.load()
    said = call("put", "x.nc")
    if said.code:
        assert "variable 'odd' in group '/' was written and cannot be decoded" in said.err
    else:
        assert xr.open_zarr(ipldstore.open(said.out.decode().strip(), "blocks")).load()


def test_a_name_that_is_another_in_zarr(call: Any) -> None:
    make(lambda file: file.createVariable("back\\slash", "i4", ()))
    assert "'back\\\\slash'" in refused(call)


@pytest.mark.parametrize("group", ["", "deep/er"])
def test_variable_lengths_are_refused_by_name(call: Any, group: str) -> None:
    def fill(file: Any) -> None:
        place = file.createGroup(group) if group else file
        ragged = place.createVLType(np.int32, "ragged")
        place.createVariable("v", ragged, ("x",))

    make(fill)
    assert f"'/{group + '/' if group else ''}v' is of the variable-length type" in refused(call)


def test_nested_compounds_are_refused_by_name(call: Any) -> None:
    def fill(file: Any) -> None:
        inner = np.dtype([("a", "i4"), ("b", "S1", (5,))])
        file.createCompoundType(inner, "inner")
        kind = file.createCompoundType(np.dtype([("n", inner), ("z", "f4")]), "outer")
        file.createVariable("v", kind, ("x",))

    make(fill)
    assert "variable 'v' in group '/'" in refused(call)


def _references(file: Any) -> None:
    file["v"] = np.array([file["ok"].ref], dtype=h5py.ref_dtype)


def _regions(file: Any) -> None:
    file["v"] = np.array([file["ok"].regionref[:1]], dtype=h5py.regionref_dtype)


def _half(file: Any) -> None:
    file["v"] = np.zeros(2, "f2")


def _long(file: Any) -> None:
    file["v"] = np.zeros(2, np.longdouble)


def _arrays(file: Any) -> None:
    file.create_dataset("v", (2,), dtype=np.dtype(("i4", (3,))))


def _opaque(file: Any) -> None:
    file["v"] = np.array([b"abcd", b"efgh"], dtype="V4")


def _text_in_compound(file: Any) -> None:
    file.create_dataset("v", (2,), dtype=np.dtype([("a", "i4"), ("b", h5py.string_dtype())]))


def _soft_link(file: Any) -> None:
    file["v"] = h5py.SoftLink("/ok")


def _cycle(file: Any) -> None:
    file["g/v"] = file


def _nothing(file: Any) -> None:
    file["v"] = h5py.Empty("f4")


def _named_type(file: Any) -> None:
    file["v"] = np.dtype("i4")


def _matrix_as_attribute(file: Any) -> None:
    file.create_group("v").attrs["m"] = np.ones((2, 2))


KINDS = [
    _references,
    _regions,
    _half,
    _long,
    _arrays,
    _opaque,
    _text_in_compound,
    _soft_link,
    _nothing,
    _named_type,
    _matrix_as_attribute,
]


@pytest.mark.parametrize("fill", [*KINDS, _cycle])
def test_hdf5_that_netcdf_does_not_read_is_refused_by_name(fill: Any, run: Any) -> None:
    make_hdf5(fill)
    done = run("put", "x.nc")
    assert (done.code, done.out) == (1, b"")
    assert "/v'" in done.err
    assert not os.listdir("blocks") if Path("blocks").exists() else True


def _external(file: Any) -> None:
    Path("secret").write_bytes(b"secret")
    file.create_dataset("v", shape=(6,), dtype="u1", external=[("secret", 0, 6)])


def _virtual(file: Any) -> None:
    with h5py.File("secret.h5", "w") as other:
        other["v"] = np.arange(3)
    layout = h5py.VirtualLayout((3,), "i8")
    layout[:] = h5py.VirtualSource("secret.h5", "v", shape=(3,))
    file.create_virtual_dataset("v", layout)


@pytest.mark.parametrize("fill", [_external, _virtual])
def test_data_in_other_files_is_not_given_away(fill: Any, call: Any) -> None:
    make_hdf5(fill)
    assert "'/v' has its data in other files" in refused(call)


def test_a_file_that_begins_with_other_bytes_is_looked_through(run: Any) -> None:
    with h5py.File("x.h5", "w", userblock_size=512) as file:
        file["v"] = np.zeros(3, "f2")
    done = run("put", "x.h5")
    assert done.code == 1
    assert "'/v' is of numbers of 2 bytes" in done.err


def test_an_array_beyond_its_dimension_is_refused(call: Any) -> None:
    def fill(file: Any) -> None:
        file["edges"] = np.arange(6.0)
        file["edges"].make_scale("edges")
        file["v"] = np.arange(10)
        file["v"].dims[0].attach_scale(file["edges"])

    make_hdf5(fill)
    assert "'/v' has the shape (10,)" in refused(call)


def test_attributes_that_netcdf_does_not_read_are_said(call: Any) -> None:
    def fill(file: Any) -> None:
        file["ok"].attrs["half"] = np.float16(1)
        file["ok"].attrs["ref"] = file.ref
        file.attrs["half"] = np.float16(1)

    make_hdf5(fill)
    _, said = put(call)
    assert (
        "left out attributes of types that NetCDF does not have: /ok:half, /ok:ref, /:half" in said
    )


def test_dimensions_without_variables_are_no_variables(call: Any) -> None:
    make(lambda file: file.createDimension("unused", 3))
    _, said = put(call)
    assert said.count("\n") == 1
