"""Files and folders of every kind that people have, each made by the library that it is of."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import netCDF4
import numpy as np
import tifffile
import xarray as xr
from web_server import PAGE
from zarr_folders import CLASSIC_FILES, write_files

from ipldstore import IPLDStore

ON_ZARR_2 = version("zarr").startswith("2.")

Make: TypeAlias = Callable[[Path], Any]
"""Makes a file or folder at a path."""

RAIN = [[1, 2, 3], [4, 5, 6]]
IMAGE = np.arange(64 * 48, dtype="u2").reshape(64, 48)


def netcdf(form: str = "NETCDF4", *, months: int = 1) -> Make:
    """Rain, in a group as well where groups are."""

    def make(path: Path) -> None:
        with netCDF4.Dataset(path, "w", format=form) as file:
            for group in [file, file.createGroup("deep")] if form == "NETCDF4" else [file]:
                group.createDimension("day", None)
                group.createDimension("place", 3)
                group.createVariable("rain", "i2", ("day", "place"))[:] = np.array(RAIN) * months

    return make


def zarr_folder(zarr_format: int, *, consolidated: bool = False) -> Make:
    def make(path: Path) -> None:
        form: dict[str, Any] = {} if ON_ZARR_2 else {"zarr_format": zarr_format}
        dataset = xr.Dataset({"rain": (("day", "place"), np.array(RAIN, "i2"))})
        dataset.to_zarr(path, consolidated=consolidated, **form)

    return make


def with_litter(path: Path) -> None:
    zarr_folder(2)(path)
    write_files(path, {".DS_Store": b"1", "rain/._0.0": b"2", ".ipynb_checkpoints/x": b"3"})


def with_loop(path: Path) -> None:
    zarr_folder(2)(path)
    (path / "rain" / "again").symlink_to(path.absolute())


def zipped(path: Path, *, within: str = "") -> None:
    """A Zarr store in a zip file, as zarr makes it, or in a folder, as file managers do."""
    folder = path.with_name("to-be-zipped")
    zarr_folder(2)(folder)
    with zipfile.ZipFile(path, "w") as archive:
        if within:
            archive.mkdir(within)
            archive.writestr(f"__MACOSX/{within}/._rain", b"")
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, Path(within) / file.relative_to(folder))


def zipped_by_a_file_manager(path: Path) -> None:
    zipped(path, within="rain.zarr")


def npy(path: Path) -> None:
    np.save(path, np.array(RAIN))


def npz(path: Path) -> None:
    np.savez(path, rain=np.array(RAIN), place=np.array(["a", "b", "c"]))


def npz_compressed(path: Path) -> None:
    np.savez_compressed(path, np.array(RAIN), np.array(2.5))


def npy_of_objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def tiff(path: Path, **options: Any) -> None:
    tifffile.imwrite(path, IMAGE, **options)


def tiff_tiled(path: Path) -> None:
    tiff(path, bigtiff=True, tile=(16, 16), compression="zlib")


def tiff_compressed(path: Path) -> None:
    tiff(path, compression="lzw", predictor=True, byteorder=">")


def tiff_pages(path: Path) -> None:
    tifffile.imwrite(path, np.stack([IMAGE, IMAGE + 1]), metadata={"axes": "TYX"})


def tiff_pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(IMAGE, subifds=1, tile=(16, 16))
        file.write(IMAGE[::2, ::2], subfiletype=1, tile=(16, 16))


def geotiff(path: Path) -> None:
    keys = (1, 1, 0, 1, 3072, 0, 1, 32633)
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
        (42113, "s", 0, "7", True),
    ]
    tiff(path, metadata=None, description="a field", extratags=tags)


def archive_bytes() -> bytes:
    store = IPLDStore()
    store.update(CLASSIC_FILES)
    store.freeze()
    made = store.to_car()
    assert isinstance(made, bytes)
    return made


def car(path: Path) -> None:
    path.write_bytes(archive_bytes())


def car_2(path: Path) -> None:
    payload = archive_bytes()
    fields = b"".join(number.to_bytes(8, "little") for number in (51, len(payload), 0))
    pragma = bytes.fromhex("0aa16776657273696f6e02")
    path.write_bytes(pragma + bytes(16) + fields + payload)


def car_padded(path: Path) -> None:
    path.write_bytes(archive_bytes() + bytes(1000))


def car_compressed(path: Path) -> None:
    path.write_bytes(gzip.compress(archive_bytes()))


def folder(path: Path) -> None:
    path.mkdir()


def empty_file(path: Path) -> None:
    path.write_bytes(b"")


def page(path: Path) -> None:
    path.write_bytes(PAGE)


def grib(path: Path) -> None:
    path.write_bytes(b"GRIB\0\0\0\2" + bytes(100) + b"7777")


def pipe(path: Path) -> None:
    os.mkfifo(path)
