"""Datasets of several files as one, joined along a dimension as ``xarray.concat`` does.

Values stay as they are encoded. So what says how to read them has to agree, but for times, which
are brought into the units of the first file.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, NoReturn

import numpy as np
import xarray as xr
from xarray.conventions import decode_cf_variable, encode_cf_variable

from ipldstore.cli.frame.output import say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.tools.netcdf import Groups, chunked

_MEANING = (
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "_Unsigned",
    "units",
    "calendar",
    "flag_values",
    "flag_masks",
    "flag_meanings",
)
"""Attributes without which a value is not known."""

_NAMING = ("coordinates", "bounds", "climatology", "grid_mapping")
"""Attributes that name further variables, which describe the one that has them."""

_BOUNDS = ("bounds", "climatology")


class Part(NamedTuple):
    """One of the files: what it is called, and its groups."""

    name: str
    groups: Groups


def join(parts: Sequence[Part], dimension: str) -> Groups:
    """Join files along a dimension, in the order given.

    Where none of them has the dimension, it is made, and each file is one step along it. Raises
    `CommandError` if dask is not installed, or the files do not fit; the message says what does
    not.
    """
    if find_spec("dask") is None:
        raise CommandError("files are joined with dask: pip install 'ipldstore[dask]'")
    first = parts[0]
    for part in parts[1:]:
        _check_names("group", first, part, first.groups, part.groups)
    is_new = not any(
        dimension in dataset.dims for part in parts for dataset in part.groups.values()
    )
    if is_new:
        say(f"no source has a dimension {dimension!r}: each is one step of it")
    joined = {}
    for group in first.groups:
        pieces = [_Piece(part.name, group, part.groups[group]) for part in parts]
        joined[group] = _join_group(pieces, dimension, is_new=is_new)
    return joined


class _Piece(NamedTuple):
    """A group of one of the files."""

    name: str
    group: str
    dataset: xr.Dataset

    def refuse(self, other: _Piece, why: str) -> NoReturn:
        where = "" if self.group == "/" else f" in group {self.group!r}"
        raise CommandError(f"{other.name!r} cannot be joined to {self.name!r}{where}: {why}")


def _check_names(what: str, first: Any, other: Any, ours: Iterable[Any], theirs: Any) -> None:
    ours = set(ours)
    for name in sorted(map(str, ours ^ set(theirs))):
        with_it, without = (first, other) if name in ours else (other, first)
        raise CommandError(
            f"{other.name!r} cannot be joined to {first.name!r}: the {what} {name!r} of "
            f"{with_it.name!r} is not in {without.name!r}"
        )


def _join_group(pieces: list[_Piece], dimension: str, *, is_new: bool) -> xr.Dataset:
    first = pieces[0]
    for piece in pieces[1:]:
        _check_names("variable", first, piece, first.dataset.variables, piece.dataset.variables)
    described = _describing(first.dataset)
    variables = {}
    for name, variable in first.dataset.variables.items():
        versions = [piece.dataset.variables[name].to_base_variable() for piece in pieces]
        _check_shapes(name, pieces, versions, dimension)
        versions = list(_iter_alike(name, pieces, versions))
        if is_new and name not in first.dataset.dims:
            is_described = name in described and name != dimension
            is_joined = not is_described or any(_find_other(versions))
        else:
            is_joined = dimension in variable.dims
        if is_joined:
            variables[name] = _join_variable(versions, dimension)
        else:
            for other in _find_other(versions):
                first.refuse(pieces[other], f"other values of {name!r}, which is not joined")
            variables[name] = variable
    return xr.Dataset(variables, attrs=first.dataset.attrs)


def _describing(dataset: xr.Dataset) -> set[str]:
    """Return the names of variables that only describe others."""
    return {
        word.rstrip(":")
        for variable in dataset.variables.values()
        for attribute in _NAMING
        for word in str(variable.attrs.get(attribute, "")).split()
    }


def _check_shapes(
    name: Hashable, pieces: list[_Piece], versions: list[xr.Variable], dimension: str
) -> None:
    first = versions[0]
    for piece, other in zip(pieces, versions, strict=True):
        if other.dims != first.dims:
            pieces[0].refuse(
                piece, f"variable {name!r} has dimensions {other.dims}, expected {first.dims}"
            )
        for axis, size, expected in zip(first.dims, other.shape, first.shape, strict=True):
            if axis != dimension and size != expected:
                pieces[0].refuse(
                    piece, f"dimension {axis!r} of {name!r} is {size} long, expected {expected}"
                )


def _find_other(versions: Sequence[Any]) -> Iterator[int]:
    """Iterate which of some versions of a variable have other values than the first."""
    return (at for at, one in enumerate(versions) if at and not versions[0].equals(one))


def _join_variable(versions: list[xr.Variable], dimension: str) -> xr.Variable:
    concat: Any = xr.Variable.concat
    joined: xr.Variable = concat([chunked(one) for one in versions], dimension)
    joined.encoding = dict(versions[0].encoding)
    unit = joined.encoding.get("chunksizes")
    if unit is not None and len(unit) < joined.ndim:
        joined.encoding["chunksizes"] = (1, *unit)
    return joined


def _iter_alike(
    name: Hashable, pieces: list[_Piece], versions: list[xr.Variable]
) -> Iterator[xr.Variable]:
    """Iterate what means the same by the same values: times in the units of the first."""
    expected = _attribute_of("units", name, pieces[0].dataset)
    for piece, variable in zip(pieces, versions, strict=True):
        units = _attribute_of("units", name, piece.dataset)
        is_time = " since " in str(expected) and " since " in str(units)
        for attribute in _MEANING:
            came, wanted = (one.attrs.get(attribute) for one in (variable, versions[0]))
            if attribute == "units" and is_time:
                continue
            if not _is_same(attribute, came, wanted):
                types = f" (its type is {variable.dtype}, there {versions[0].dtype})"
                pieces[0].refuse(
                    piece,
                    f"{attribute} of {name!r} is {_text(came)}, expected {_text(wanted)}"
                    + types * (variable.dtype != versions[0].dtype),
                )
        if not is_time or units == expected:
            yield variable
        else:
            yield _in_units(name, pieces[0], piece, variable, (str(units), str(expected)))


def _attribute_of(attribute: str, name: Hashable, dataset: xr.Dataset) -> Any:
    """Return an attribute of a variable, or of the one whose bounds it holds."""
    variables = dataset.variables
    owners = [
        owner
        for owner in variables.values()
        if any(owner.attrs.get(bounds) == name for bounds in _BOUNDS)
    ]
    found = (one.attrs.get(attribute) for one in (variables[name], *owners))
    return next((value for value in found if value is not None), None)


def _is_same(attribute: str, came: Any, wanted: Any) -> bool:
    if attribute == "calendar":
        usual = (None, "gregorian", "standard")
        return came == wanted or (came in usual and wanted in usual)
    if came is None or wanted is None:
        return came is wanted
    ours, theirs = np.asarray(came), np.asarray(wanted)
    return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == theirs.dtype.kind == "f")


def _text(value: Any) -> str:
    return "not there" if value is None else repr(np.asarray(value).tolist())


def _in_units(
    name: Hashable, first: _Piece, piece: _Piece, variable: xr.Variable, units: tuple[str, str]
) -> xr.Variable:
    """Bring times into other units, given those that they have and those wanted."""
    came, wanted = units
    calendar = {"calendar": _attribute_of("calendar", name, piece.dataset) or "standard"}
    attributes = {**variable.attrs, "units": came, **calendar}
    times = xr.Variable(variable.dims, variable.data, attributes, variable.encoding)
    decoded = decode_cf_variable(name, times, decode_timedelta=False)
    decoded.encoding.update(units=wanted, dtype=variable.dtype, **calendar)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the units do, which is looked at below
        encoded = encode_cf_variable(decoded)
    if encoded.attrs.get("units") != wanted or encoded.dtype != variable.dtype:
        first.refuse(
            piece, f"the times of {name!r}, in {came!r}, cannot be {variable.dtype} in {wanted!r}"
        )
    return xr.Variable(variable.dims, encoded.data, variable.attrs, variable.encoding)
