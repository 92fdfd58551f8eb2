"""What a source is, told by what it holds; by its name only where nothing else can tell."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from ipldstore.backends.paths import SHARDING_NAME
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.formats import magic
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.zarrstores import suffixes

Kind: TypeAlias = Literal["folder", "netcdf", "npy", "npz", "tiff", "zip"]

_SOURCES: dict[magic.Kind | None, Kind] = {
    magic.NETCDF: "netcdf",
    magic.NETCDF_3: "netcdf",
    magic.NUMPY: "npy",
    magic.TIFF: "tiff",
}
_ZIPS = (magic.ZIP, magic.EMPTY_ZIP)
_TO_NETCDF = "`cdo -f nc4 copy IN OUT` makes NetCDF of it"
_REFUSED = {
    b"GRIB": f"a GRIB file: {_TO_NETCDF}, or xarray with cfgrib",
    b"\x0e\x03\x13\x01": "an HDF4 file: `h4toh5 IN OUT` makes HDF5 of it",
    b"\xcd\xf3\x00\x01": "a CDF file of NASA, which is no NetCDF: cdflib makes NetCDF of it",
    b"\xcd\xf2\x60\x02": "a CDF file of NASA, which is no NetCDF: cdflib makes NetCDF of it",
}
_HEAD_BYTES = 512
_SIGNATURE_BYTES = 8
_USER_BLOCKS = tuple(512 << shift for shift in range(12))
"""Where the superblock of HDF5 may be, after what a user put before it: up to 1 MiB."""

_SUFFIXES = suffixes.NETCDF | {".npy", ".npz", ".tif", ".tiff", suffixes.ZIP}
_TAKEN = "NetCDF, HDF5, a Zarr folder or zip, .npy, .npz and TIFF"


def kind_of_path(path: Path, shown: str) -> Kind:
    """Find out what kind of source is at a path, which errors call `shown`."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        _check_folder(path, shown)
        return "folder"
    if not stat.S_ISREG(mode):
        what = "a named pipe" if stat.S_ISFIFO(mode) else "neither a file nor a folder"
        raise CommandError(
            f"{shown!r} is {what}: a dataset is read from more than one place at a time, so that "
            "it has to be a file"
        )
    with open(path, "rb") as file:
        return _kind_of_file(file, shown)


def _kind_of_file(file: BinaryIO, shown: str) -> Kind:
    head = file.read(_HEAD_BYTES)
    found = magic.kind_of(head)
    if found in _SOURCES:
        return _SOURCES[found]
    if found in _ZIPS:
        return _kind_of_zip(file, shown)
    if _has_user_block(file):
        return "netcdf"
    raise CommandError(f"{shown!r} is {_describe(head)}; what is taken is {_TAKEN}")


def _check_folder(folder: Path, shown: str) -> None:
    if any((folder / name).is_file() for name in METADATA_NAMES):
        return
    names = os.listdir(folder)
    if not names:
        raise CommandError(f"{shown!r} is an empty folder, expected a Zarr store")
    if SHARDING_NAME in names:
        raise CommandError(f"{shown!r} is a folder of blocks: `put` writes into one, --blocks")
    found = sorted(name for name in names if Path(name).suffix.lower() in _SUFFIXES)
    more = f"; {len(found)} files such as {found[0]!r} are in it: name these" if found else ""
    raise CommandError(f"{shown!r} is no Zarr store: it holds no Zarr metadata{more}")


def _kind_of_zip(file: BinaryIO, shown: str) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CommandError(f"{shown!r} is a zip file that cannot be read: {error}") from None
    if any(name.rpartition("/")[2] in METADATA_NAMES for name in names):
        return "zip"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    what = "a zip file without Zarr metadata and arrays of NumPy" if names else "an empty zip file"
    raise CommandError(f"{shown!r} is {what}: expected one of a Zarr store, or .npz")


def _has_user_block(file: BinaryIO) -> bool:
    for offset in _USER_BLOCKS:
        file.seek(offset)
        if magic.kind_of(file.read(_SIGNATURE_BYTES)) == magic.NETCDF:
            return True
    return False


def _describe(head: bytes) -> str:
    if not head:
        return "an empty file"
    for beginning, text in _REFUSED.items():
        if head.startswith(beginning):
            return text
    kind = magic.kind_of(head)
    if kind == magic.CAR:
        return "a CAR archive: `ipldstore import` reads it"
    return f"a file that begins with {head[:12]!r}" if kind is None else str(kind)
