"""Images in TIFF files, read by tifffile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.arrays import NAME, variable_of
from ipldstore.cli.sources.scratch import check_room, scratch_folder
from ipldstore.cli.tools.netcdf import Groups, explained

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_NO_DATA = 42113
"""The tag in which GDAL keeps the value that stands for no data."""


@contextmanager
def open_tiff(path: Path, shown: str) -> Iterator[Groups]:
    """Open the images in a TIFF file.

    One image is the variable ``data``; of several, each is in a group ``series_0`` and so on, and
    each level of a pyramid in one ``level_0`` and so on. They are decoded into a temporary folder,
    as they may be larger than the memory. Raises `CommandError` if tifffile is not installed or
    cannot decode it, or there is no room.
    """
    try:
        from tifffile import TiffFile
    except ImportError:
        raise CommandError("TIFF files need tifffile: pip install 'ipldstore[tiff]'") from None
    groups: dict[str, xr.Dataset] = {}
    with scratch_folder() as folder:
        with explained(f"{shown!r} cannot be read as TIFF"), TiffFile(path) as file:
            _check_whole(file, shown)
            for group, level in _iter_levels(file):
                groups[group] = _decode(level, folder / f"{len(groups)}", shown)
            if not groups:
                raise CommandError(f"{shown!r} is a TIFF file without images")
        yield groups


def _check_whole(file: TiffFile, shown: str) -> None:
    """Raise `CommandError` if something of an image is missing, in place of which zeros come."""
    pages: Any
    for series in file.series:
        for pages in series.levels:
            for page in pages:
                if page is None:
                    raise CommandError(f"{shown!r} lacks a plane of an image")
                if len(page.dataoffsets) != len(page.databytecounts):
                    raise CommandError(f"{shown!r} does not say where all data of an image is")
                pieces = zip(page.dataoffsets, page.databytecounts, strict=True)
                end = max((offset + count for offset, count in pieces), default=0)
                size = page.parent.filehandle.size
                if end > size:
                    raise CommandError(f"{shown!r} is cut short: it has {size} bytes of {end}")


def _iter_levels(file: TiffFile) -> Iterator[tuple[str, TiffPageSeries]]:
    for number, series in enumerate(file.series):
        top = f"/series_{number}" if len(file.series) > 1 else ""
        for depth, level in enumerate(series.levels):
            yield (f"{top}/level_{depth}" if len(series.levels) > 1 else top) or "/", level


def _decode(level: TiffPageSeries, to: Path, shown: str) -> xr.Dataset:
    check_room(level.size * level.dtype.itemsize, to.parent, shown)
    try:
        array = level.asarray(out=str(to))
    except ValueError as error:
        if find_spec("imagecodecs") is not None:
            raise
        raise CommandError(
            f"{shown!r} needs imagecodecs: pip install 'ipldstore[tiff]' ({error})"
        ) from None
    assert isinstance(array, np.memmap)
    page = level.keyframe
    attributes = _attributes(page, array.dtype)
    variable = variable_of(_dimensions(level.axes), array, attributes)
    if page.is_tiled and len(page.chunks) <= array.ndim:
        ones = (1,) * (array.ndim - len(page.chunks))
        variable.encoding["chunksizes"] = (*ones, *page.chunks)
    return xr.Dataset({NAME: variable})


def _dimensions(axes: str) -> list[str]:
    """Name dimensions by tifffile's letters; numbered where one is there twice."""
    seen: Counter[str] = Counter()
    names = []
    for axis in axes.lower():
        names.append(f"{axis}_{seen[axis]}" if seen[axis] else axis)
        seen[axis] += 1
    return names


def _attributes(page: TiffPage, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return what a page says of itself that NetCDF has a place for, too."""
    found: dict[str, Any] = {}
    if page.description and not page.is_shaped:
        found["description"] = page.description
    keys: Mapping[str, Any] = page.geotiff_tags or {}
    for name, value in keys.items():
        found[name] = value if isinstance(value, str | float) else np.asarray(value).tolist()
    if (tag := page.tags.get(_NO_DATA)) is not None:
        try:
            found["_FillValue"] = dtype.type(tag.value)
        except (ValueError, OverflowError):
            found["nodata"] = str(tag.value)
    return found
