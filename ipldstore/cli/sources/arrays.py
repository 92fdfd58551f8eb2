"""Arrays of NumPy in files: ``.npy`` and ``.npz``."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ipldstore.cli.frame.escaping import one_line
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.scratch import check_room, scratch_folder
from ipldstore.cli.tools.netcdf import Groups

NAME = "data"
"""What an array is called that has no name of its own in its file."""


class _Mapped(BackendArray):
    """An array in a file, of which xarray and dask read what they need, piece by piece."""

    def __init__(self, array: np.memmap[Any, Any]) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __reduce__(self) -> tuple[Any, ...]:
        # dask pickles what it gives a name, and all values would be copied
        array = self._array
        order = "C" if array.flags.c_contiguous else "F"
        return _map_again, (array.filename, self.dtype, array.offset, self.shape, order)

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: Any) -> np.ndarray[Any, Any]:
        return np.array(self._array[key])


def _map_again(
    path: str, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], order: Any
) -> _Mapped:
    return _Mapped(np.memmap(path, dtype, "r", offset, shape, order))


def variable_of(
    dimensions: Sequence[str],
    array: np.memmap[Any, Any],
    attributes: Mapping[str, Any] | None = None,
) -> xr.Variable:
    """Make a variable of an array in a file, which is not read as a whole."""
    if array.dtype.kind in "mM":  # which xarray converts, and only plain arrays of it
        return xr.Variable(dimensions, np.array(array), attributes)
    lazy: Any = indexing.LazilyIndexedArray(_Mapped(array))
    return xr.Variable(dimensions, lazy, attributes)


@contextmanager
def open_npy(path: Path, shown: str) -> Iterator[Groups]:
    """Open an array that was written by ``numpy.save``."""
    array = _load(path, shown)
    dimensions = [f"dim_{axis}" for axis in range(array.ndim)]
    yield {"/": xr.Dataset({NAME: variable_of(dimensions, array)})}


@contextmanager
def open_npz(path: Path, shown: str) -> Iterator[Groups]:
    """Open the arrays that ``numpy.savez`` wrote, unpacked, as they may be larger than memory."""
    variables: dict[str, Any] = {}
    with scratch_folder() as folder, zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist()):
            name = member.filename.removesuffix(".npy")
            if "/" in name or name in variables:
                raise CommandError(
                    f"{shown!r} has an array {name!r}, whose name "
                    + ("holds a slash" if "/" in name else "is there twice")
                )
            array = _load(_unpack(archive, member, folder / str(number), shown), f"{shown}: {name}")
            dimensions = [f"{name}_dim_{axis}" for axis in range(array.ndim)]
            variables[name] = variable_of(dimensions, array)
        yield {"/": xr.Dataset(variables)}


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, shown: str) -> Path:
    check_room(member.file_size, to.parent, f"{shown}: {member.filename}")
    try:
        with archive.open(member) as source, open(to, "xb") as target:
            shutil.copyfileobj(source, target)
    except Exception as error:  # each way of compressing has errors of its own
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CommandError(f"{shown!r}: {member.filename!r} cannot be unpacked: {error}") from None
    return to


def _load(path: Path, shown: str) -> np.memmap[Any, Any]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # the header is text of Python's, which fails in many ways
        why = one_line(error)
        if "Python objects" in why:
            why = "it holds Python objects, which are pickles and never loaded"
        raise CommandError(f"{shown!r} cannot be read as an array of NumPy: {why}") from None
    return array
