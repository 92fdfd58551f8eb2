"""What a NetCDF or HDF5 file holds and the NetCDF library or xarray would leave out in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ipldstore.cli.frame.output import say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources import netcdf3
from ipldstore.formats import magic

_HEAD_BYTES = 512
_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
_OF_THE_LIBRARY = frozenset(
    {
        "CLASS",
        "DIMENSION_LABELS",
        "DIMENSION_LIST",
        "NAME",
        "REFERENCE_LIST",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_nc3_strict",
    }
)


def check_types(path: Path) -> None:
    """Refuse types that NetCDF does not have, data that is in other files, and data cut short.

    Its library would crash on some types, or leave them out; and who puts a file that came from
    elsewhere must not give away what is in other files here. Raises `CommandError` if something in
    the file is such, a group is in itself, or h5py is not installed.
    """
    with open(path, "rb") as file:
        kind = magic.kind_of(file.read(_HEAD_BYTES))
    if kind == magic.NETCDF_3:
        netcdf3.check_whole(path)
        return
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError:
        raise CommandError("NetCDF-4 and HDF5 need h5py: pip install 'ipldstore[netcdf]'") from None
    if not h5py.is_hdf5(path):
        return
    try:
        opened = h5py.File(path, "r")
    except OSError:
        return  # the NetCDF library says what is wrong
    with opened as top:
        for name, found in _iter_objects(h5py, top):
            if (fault := _fault_of(h5py, found)) is not None:
                raise CommandError(f"{str(path)!r}: {name!r} {fault}")
            if (attribute := _find_matrix(found)) is not None:
                raise CommandError(
                    f"{str(path)!r}: attribute {attribute!r} of {name!r} is an array of several "
                    "dimensions, which NetCDF does not have"
                )


def _iter_objects(h5py: Any, top: Any) -> Iterator[tuple[str, Any]]:
    """Iterate groups, datasets and named types of an HDF5 file, with their paths."""
    yield "/", top
    stack: list[tuple[str, Any, tuple[Any, ...]]] = [("", top, (_address(h5py, top),))]
    while stack:
        prefix, group, above = stack.pop()
        for name in group:
            path = f"{prefix}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CommandError(
                    f"{path!r} is a link to another place, which NetCDF does not have"
                )
            found = group[name]
            yield path, found
            if isinstance(found, h5py.Group):
                address = _address(h5py, found)
                if address in above:
                    raise CommandError(f"group {path!r} leads back to a group that it is in")
                stack.append((path, found, (*above, address)))


def _address(h5py: Any, found: Any) -> Any:
    return h5py.h5o.get_info(found.id).addr


def _find_matrix(found: Any) -> str | None:
    """Return an attribute that is an array of several dimensions."""
    names = (name for name in found.attrs if len(found.attrs.get_id(name).shape or ()) > 1)
    return next(names, None)


def _fault_of(h5py: Any, found: Any) -> str | None:
    """Say of something in an HDF5 file why it cannot be in NetCDF, if it cannot."""
    if isinstance(found, h5py.Datatype):
        fine = (h5py.h5t.COMPOUND, h5py.h5t.ENUM, h5py.h5t.VLEN, h5py.h5t.OPAQUE)
        return None if found.id.get_class() in fine else "is a named type that NetCDF cannot name"
    if not isinstance(found, h5py.Dataset):
        return None
    if found.shape is None:
        return "is a dataset of nothing at all, not even a shape, which NetCDF does not have"
    if found.is_virtual or found.external:
        return "has its data in other files"
    fault = _fault_of_type(h5py, found.id.get_type())
    return None if fault is None else f"is of {fault}, which has no NetCDF type"


def _fault_of_type(h5py: Any, kind: Any) -> str | None:
    """Name a type of datasets, if NetCDF has none for it."""
    names = {
        h5py.h5t.REFERENCE: "references",
        h5py.h5t.BITFIELD: "bit fields",
        h5py.h5t.TIME: "the HDF5 type for times",
        h5py.h5t.ARRAY: "arrays within an array",
    }
    if (name := names.get(kind.get_class())) is not None:
        return name
    is_number = kind.get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    sizes = (4, 8) if kind.get_class() == h5py.h5t.FLOAT else (1, 2, 4, 8)
    if is_number and kind.get_size() not in sizes:
        return f"numbers of {kind.get_size()} bytes"
    return None


def list_groups(path: Path) -> list[str]:
    """List the paths of the groups of a NetCDF file, in the order of their nesting."""
    import netCDF4

    with netCDF4.Dataset(path) as top:
        return [place for place, _ in _iter_groups(top)]


def check_all_seen(path: Path, groups: Mapping[str, Any]) -> None:
    """Check that what is in a file is in what xarray opened, and name what is not.

    Attributes that are not seen are said; they are of types that NetCDF does not have. `groups` are
    what xarray made of it, by their paths. Raises `CommandError` if a variable or group is not
    seen, or is of a type that Zarr does not have.
    """
    import netCDF4

    with netCDF4.Dataset(path) as top:
        for place, group in _iter_groups(top):
            if place not in groups:
                raise CommandError(f"{str(path)!r}: xarray does not read group {place!r}")
            for name, variable in group.variables.items():
                _check_variable(path, f"{place.rstrip('/')}/{name}", variable)
                if name not in groups[place].variables:
                    raise CommandError(
                        f"{str(path)!r}: xarray does not read variable {name!r} in group {place!r}"
                    )
        if top.data_model.startswith("NETCDF4"):
            _check_hdf5(path, top)


def _iter_groups(top: Any) -> Iterator[tuple[str, Any]]:
    stack = [top]
    while stack:
        group = stack.pop()
        yield group.path, group
        stack.extend(group.groups.values())


def _check_variable(path: Path, name: str, variable: Any) -> None:
    import netCDF4

    if isinstance(variable.datatype, netCDF4.VLType) and variable.dtype is not str:
        raise CommandError(
            f"{str(path)!r}: {name!r} is of the variable-length type {variable.datatype.name!r}, "
            "which Zarr does not have"
        )


def _check_hdf5(path: Path, top: Any) -> None:
    import h5py

    left_out = []
    with h5py.File(path, "r") as file:
        for name, dataset in _iter_objects(h5py, file):
            if not isinstance(dataset, h5py.Dataset):
                continue
            found = _find(top, name)
            if found is not None:
                _check_shape(path, name, dataset.shape, found.shape)
                left_out += [f"{name}:{one}" for one in _missing_attributes(dataset, found)]
            elif not _is_dimension_only(dataset):
                raise CommandError(
                    f"{str(path)!r}: {name!r} is of type {dataset.dtype}, which the NetCDF "
                    "library does not read"
                )
        for place, group in _iter_groups(top):
            missing = _missing_attributes(file[place], group)
            left_out += [f"{place}:{one}" for one in missing]
    if left_out:
        say(f"left out attributes of types that NetCDF does not have: {', '.join(left_out)}")


def _check_shape(path: Path, name: str, there: tuple[int, ...], seen: tuple[int, ...]) -> None:
    """Refuse an array that is longer than the dimension that it is attached to."""
    if any(size > part for size, part in zip(there or (), seen, strict=False)):
        raise CommandError(
            f"{str(path)!r}: {name!r} has the shape {there}, of which the NetCDF library reads "
            f"only {seen}: one of its dimensions is shorter"
        )


def _find(top: Any, name: str) -> Any:
    place, _, last = name.replace("/_nc4_non_coord_", "/").rpartition("/")
    group = top[place] if place else top
    return group.variables.get(last)


def _missing_attributes(there: Any, seen: Any) -> list[str]:
    return sorted(set(there.attrs.keys()) - set(seen.ncattrs()) - _OF_THE_LIBRARY)


def _is_dimension_only(dataset: Any) -> bool:
    return bytes(dataset.attrs.get("NAME", b"")).startswith(_DIMENSION_ONLY)
