"""What people have and where, and what `put`, `open` and `get` do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import source_files as made

RAIN = {"rain": made.RAIN}
ARRAY = {"data": made.RAIN}
IMAGE = {"data": made.IMAGE.tolist()}
TWICE = {"rain": made.RAIN * 2}
CLASSIC = {"a": [1, 2, 3]}
IMPORT = "is a CAR archive: `ipldstore import` reads it"

OPENS = "opens"
PUT_IT = "says to put it"
NO = "refuses"
NONE = "-"

NETCDF, FOLDER, ZIP = "NetCDF", "a Zarr folder", "a zip file of Zarr"


class Case(NamedTuple):
    """A kind of file or source.

    Attributes
    ----------
    kind : str
        What it is called in the documentation.
    name : str
        A usual name for it.
    make : callable
        Makes it.
    put : dict or str
        Values of variables that `put` makes of it, or what it says.
    opened : str
        What `ipldstore.open` does with it.
    got : str
        What `get` makes of a destination with that name.
    """

    kind: str
    name: str
    make: made.Make
    put: dict[str, Any] | str
    opened: str = PUT_IT
    got: str = NO


FILES = [
    Case("NetCDF-3, classic", "x.nc", made.netcdf("NETCDF3_CLASSIC"), RAIN, got=NETCDF),
    Case("NetCDF-3, 64-bit offset", "x.cdf", made.netcdf("NETCDF3_64BIT_OFFSET"), RAIN, got=NETCDF),
    Case(
        "NetCDF-3, 64-bit data (CDF-5)", "x.nc", made.netcdf("NETCDF3_64BIT_DATA"), RAIN, got=NETCDF
    ),
    Case(
        "NetCDF-4, with groups", "x.nc4", made.netcdf(), RAIN | {"deep/rain": made.RAIN}, got=NETCDF
    ),
    Case("HDF5, with dimensions as NetCDF-4", "x.h5", made.netcdf(), RAIN, got=NETCDF),
    Case("Zarr folder, format 2", "x.zarr", made.zarr_folder(2), RAIN, got=FOLDER),
    Case(
        "Zarr folder, format 2, consolidated",
        "x.zarr",
        made.zarr_folder(2, consolidated=True),
        RAIN,
        got=FOLDER,
    ),
    Case("Zarr folder, format 3", "x.zarr", made.zarr_folder(3), RAIN, got=FOLDER),
    Case(
        "Zarr folder, format 3, consolidated",
        "x",
        made.zarr_folder(3, consolidated=True),
        RAIN,
        got=FOLDER,
    ),
    Case("Zarr in a zip file", "x.zarr.zip", made.zipped, RAIN, got=ZIP),
    Case(
        "Zarr folder that a file manager zipped",
        "x.zip",
        made.zipped_by_a_file_manager,
        RAIN,
        got=ZIP,
    ),
    Case("array of NumPy", "x.npy", made.npy, ARRAY),
    Case("arrays of NumPy", "x.npz", made.npz, RAIN | {"place": ["a", "b", "c"]}),
    Case(
        "arrays of NumPy, compressed",
        "x.npz",
        made.npz_compressed,
        {"arr_0": made.RAIN, "arr_1": 2.5},
    ),
    Case(
        "array of Python objects",
        "x.npy",
        made.npy_of_objects,
        "it holds Python objects, which are pickles",
    ),
    Case("TIFF", "x.tif", made.tiff, IMAGE),
    Case("TIFF, compressed, big-endian", "x.tiff", made.tiff_compressed, IMAGE),
    Case("BigTIFF in tiles", "x.tif", made.tiff_tiled, IMAGE),
    Case(
        "TIFF of several pages",
        "x.tif",
        made.tiff_pages,
        {"data": [made.IMAGE.tolist(), (made.IMAGE + 1).tolist()]},
    ),
    Case(
        "TIFF, a pyramid (OME)",
        "x.ome.tif",
        made.tiff_pyramid,
        {"level_0/data": made.IMAGE.tolist(), "level_1/data": made.IMAGE[::2, ::2].tolist()},
    ),
    Case("GeoTIFF", "x.tif", made.geotiff, IMAGE),
    Case("folder with `.DS_Store` and the like", "x.zarr", made.with_litter, RAIN, got=FOLDER),
    Case(
        "folder with a link to itself",
        "x.zarr",
        made.with_loop,
        "is a link to a folder that it is in",
        got=FOLDER,
    ),
    Case("CAR, version 1", "x.car", made.car, IMPORT, OPENS),
    Case("CAR, version 2", "x.car", made.car_2, IMPORT, OPENS),
    Case("CAR, padded with zeros", "x.car", made.car_padded, IMPORT, OPENS),
    Case("CAR in gzip", "x.car.gz", made.car_compressed, "is a gzip file (unpack it first)", NO),
    Case(
        "GRIB",
        "x.grib2",
        made.grib,
        "is a GRIB file: `cdo -f nc4 copy IN OUT` makes NetCDF of it",
        NO,
    ),
    Case("a web page saved as a file", "x.nc", made.page, "is HTML, which begins with", NO, NETCDF),
    Case("an empty file", "x.nc", made.empty_file, "is an empty file", NO, NETCDF),
    Case(
        "an empty folder", "x", made.folder, "is an empty folder, expected a Zarr store", NO, FOLDER
    ),
    Case("a named pipe", "x.nc", made.pipe, "is a named pipe", NO, NETCDF),
]


class Places(NamedTuple):
    """A web server that serves the working folder, and a bucket that holds what is in it."""

    web: str
    bucket: str


class Elsewhere(NamedTuple):
    """A way to name a source that is not a path.

    Attributes
    ----------
    kind, put, opened, got
        As of `Case`; what `get` makes is asked for the last of the words.
    words : callable
        Returns what stands on the command line.
    """

    kind: str
    words: Callable[[Places], list[str]]
    put: dict[str, Any] | str
    opened: str = NO
    got: str = NO


ELSEWHERE = {
    case.kind: case
    for case in (
        Elsewhere("`https://`, a file", lambda at: [f"{at.web}/x.nc"], RAIN),
        Elsewhere(
            "`https://` that leads elsewhere", lambda at: [f"{at.web}/to/x.nc?token=a"], RAIN
        ),
        Elsewhere("`https://`, a zip file of Zarr", lambda at: [f"{at.web}/x.zarr.zip"], RAIN),
        Elsewhere(
            "`https://`, Zarr with consolidated metadata",
            lambda at: [f"{at.web}/x.zarr"],
            RAIN,
        ),
        Elsewhere("`s3://`, a file", lambda at: [f"{at.bucket}/x.nc"], RAIN),
        Elsewhere(
            "`s3://`, Zarr", lambda at: [f"{at.bucket}/x.zarr"], "s3fs" if made.ON_ZARR_2 else RAIN
        ),
        Elsewhere(
            "`file://`", lambda at: [f"{Path.cwd().as_uri()}/a%20b.nc"], RAIN, PUT_IT, NETCDF
        ),
        Elsewhere("`~`", lambda at: ["~/x.nc"], RAIN, NO, NETCDF),
        Elsewhere("`-`, standard input", lambda at: ["-"], "does not come through standard input"),
        Elsewhere("`demo:NAME`", lambda at: ["demo:vlstr_type"], {}, NONE, NONE),
        Elsewhere(
            "several files",
            lambda at: ["x.nc", "y.npy"],
            {"x/rain": made.RAIN, "y/data": made.RAIN},
            NONE,
            NONE,
        ),
        Elsewhere(
            "several files with `--concat DIM`",
            lambda at: ["x.nc", "a b.nc", "--concat", "day"],
            TWICE,
            NONE,
            NONE,
        ),
        Elsewhere(
            "a file with `--into GROUP`",
            lambda at: ["y.npy", "--into", "in/to"],
            {"in/to/data": made.RAIN},
            NONE,
            NONE,
        ),
    )
}
