"""NetCDF files to Zarr hierarchies and back, through xarray, as they are encoded.

Packed values, times and fill values are not decoded on the way and arrive as they were. Only
character arrays become strings, whose last dimension comes back under another name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import xarray as xr

from ipldstore.cli.frame.escaping import one_line
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.unseen import check_all_seen, check_types, list_groups
from ipldstore.cli.tools.reopening import check_opens
from ipldstore.errors import IPLDStoreError
from ipldstore.tree.keys import METADATA_NAMES

if TYPE_CHECKING:
    from ipldstore.blockstore.contract import ContentAddressableStore
    from ipldstore.cid import CIDLike, Link
    from ipldstore.faces import IPLDStore
    from ipldstore.tree.documents import Document

Groups: TypeAlias = Mapping[str, xr.Dataset]

_AS_ENCODED: dict[str, Any] = {
    "mask_and_scale": False,
    "decode_times": False,
    "decode_timedelta": False,
    "decode_coords": False,
}
"""Each by its own name: ``xarray.open_groups`` forgets ``decode_cf=False``."""

_TEXT = "SUOT"
"""Kinds of numpy types of characters and strings."""

_STRING = np.dtype("O", metadata={"element_type": str})
"""How xarray marks objects that are strings."""

_ALLOWED_NAME = re.compile(r"[0-9A-Za-z_\u0080-\U0010ffff][^\x00-\x1f/\x7f]*(?<! )")
"""What NetCDF allows as a name of anything."""

MAX_CHUNK_BYTES = 1 << 19
"""Half of the largest raw block of the format, before compression."""


@contextmanager
def open_netcdf(path: Path) -> Iterator[Groups]:
    """Open all groups of a NetCDF file, if nothing in it would be left out."""
    path.stat()
    _require_netcdf4()
    with ExitStack() as stack:
        with explained(f"{str(path)!r} cannot be read as NetCDF"):
            check_types(path)
            groups = {place: _open_group(path, place, stack) for place in list_groups(path)}
            check_all_seen(path, groups)
        yield groups


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Have errors of xarray and what it uses, which foreign data causes, say what cannot be done.

    They become `CommandError`; those of kinds that commands know are let through.
    """
    try:
        yield
    except (IPLDStoreError, OSError, CommandError):
        raise
    except Exception as error:
        text = one_line(error)
        raise CommandError(f"{what}: {type(error).__name__}{f': {text}' * bool(text)}") from None


def _require_netcdf4() -> None:
    try:
        import netCDF4  # noqa: F401
    except ImportError:
        raise CommandError("NetCDF files need netCDF4: pip install 'ipldstore[netcdf]'") from None


def _open_group(path: Path, place: str, stack: ExitStack) -> xr.Dataset:
    """Open a group as it is encoded, its strings as objects.

    xarray would read all strings at once, to make them as long as the longest.
    """
    store = xr.backends.NetCDF4DataStore.open(path, group=place)  # type: ignore[no-untyped-call]
    stack.callback(store.close)
    variables, attributes = store.load()
    for variable in variables.values():
        if variable.encoding.get("dtype") is str:
            del variable.encoding["dtype"]
    return xr.decode_cf(xr.Dataset(variables, attrs=attributes), **_AS_ENCODED)


def chunk_shape(shape: Sequence[int], unit: Sequence[int] | None, itemsize: int) -> tuple[int, ...]:
    """Choose the chunks of an array: as large as `MAX_CHUNK_BYTES` allows, last axes first.

    `unit` is the chunks that it has in its file, of which to take whole multiples; None if it has
    none.

    Examples
    --------
    >>> chunk_shape((240, 37, 49), (1, 37, 49), 4)
    (72, 37, 49)
    >>> chunk_shape((10, 1000, 1000), None, 8)
    (1, 65, 1000)
    """
    sizes = [max(1, size) for size in shape]
    chunk = [min(*pair) for pair in zip(unit or [1] * len(sizes), sizes, strict=True)]
    for axis in reversed(range(len(sizes))):
        room = MAX_CHUNK_BYTES // (prod(chunk) * itemsize)
        chunk[axis] = min(sizes[axis], chunk[axis] * max(1, room))
    return tuple(chunk)


def _chunks_of(variable: xr.Variable) -> tuple[int, ...]:
    unit = variable.encoding.get("chunksizes")
    # of an array of characters, those of its last dimension stand in the string
    unit = None if unit is None else unit[: variable.ndim]
    return chunk_shape(variable.shape, unit, max(1, variable.dtype.itemsize))


def chunked(variable: xr.Variable) -> xr.Variable:
    """Return a variable as a dask array, in the chunks that it is written in."""
    return variable.chunk(dict(zip(variable.dims, _chunks_of(variable), strict=True)))


def _without_default_fill(variable: xr.Variable) -> dict[str, None]:
    """Return the encoding that keeps xarray from giving floats NaN as their fill value."""
    is_plain = variable.dtype.kind in "fc" and "_FillValue" not in variable.attrs
    return {"_FillValue": None} if is_plain else {}


def count_chunks(groups: Groups) -> int:
    """Count the chunks that `write_zarr` will write at most."""
    return sum(
        prod(
            ceil(size / step)
            for size, step in zip(variable.shape, _chunks_of(variable), strict=True)
        )
        for dataset in groups.values()
        for variable in dataset.variables.values()
    )


def watched_store(
    blocks: ContentAddressableStore,
    root: CIDLike | None,
    watch: Callable[[], None],
    note: Callable[[list[str], Link | Document], None] | None = None,
) -> IPLDStore:
    """Open a store that tells of each chunk that is written, and notes each entry."""
    from ipldstore.faces import IPLDStore

    class WatchedStore(IPLDStore):
        def _insert(self, segments: list[str], entry: Link | Document) -> None:
            super()._insert(segments, entry)
            if note is not None:
                note(segments, entry)
            if segments[-1] not in METADATA_NAMES:
                watch()

    return WatchedStore(blocks, root=root)


def write_zarr(groups: Groups, store: IPLDStore) -> None:
    """Write groups into an empty store, in chunks that depend on nothing but the file.

    With dask several chunks are written at a time and no more than those are in memory; without,
    one variable is.
    """
    import zarr
    from numcodecs import blosc  # type: ignore[import-untyped]

    blosc.use_threads = False  # else what Blosc writes depends on the number of cores
    with warnings.catch_warnings():
        _ignore_format_warnings()
        for path, dataset in groups.items():
            encoding: dict[Any, dict[str, Any]] = {
                name: _without_default_fill(variable)
                | ({"chunks": _chunks_of(variable)} if variable.ndim else {})
                for name, variable in dataset.variables.items()
            }
            with _variable_named(path, dataset):
                _lazily(_with_text(dataset, encoding)).to_zarr(
                    store,
                    group=path.strip("/") or None,
                    mode="a",
                    encoding=encoding,
                    consolidated=False,
                )
        zarr.consolidate_metadata(store)
        check_opens(store, groups)


@contextmanager
def _variable_named(path: str, dataset: xr.Dataset) -> Iterator[None]:
    """Have an error name the variable that cannot be written, if one alone cannot."""
    try:
        yield
    except (IPLDStoreError, OSError, CommandError):
        raise
    except Exception:
        for name, variable in dataset.variables.items():
            first = variable.isel(dict.fromkeys(variable.dims, slice(1)))
            with explained(f"variable {str(name)!r} in group {path!r} cannot be written as Zarr"):
                _write_alone(str(name), first)
        raise


def _write_alone(name: str, variable: xr.Variable) -> None:
    from ipldstore.faces import IPLDStore

    alone = xr.Dataset({name: variable})
    encoding: dict[Any, dict[str, Any]] = {name: _without_default_fill(variable)}
    with IPLDStore() as store:
        _with_text(alone, encoding).to_zarr(store, encoding=encoding, consolidated=False)


def _with_text(dataset: xr.Dataset, encoding: dict[Any, dict[str, Any]]) -> xr.Dataset:
    """Return a dataset without attributes for the fill values of strings, and encode these.

    xarray cannot read back what it writes as such an attribute in Zarr format 3.
    """
    changed = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind not in _TEXT:
            continue
        text = variable.copy(deep=False)
        fill = text.attrs.pop("_FillValue", None)
        if isinstance(fill, bytes) and variable.dtype.kind != "S":
            fill = fill.decode(errors="replace")
        if fill is not None and _writes_format_3():
            encoding[name]["fill_value"] = fill
        elif fill is not None:
            text.attrs["_FillValue"] = fill
        changed[name] = text
    return dataset.assign(changed)


def _writes_format_3() -> bool:
    import zarr

    return not zarr.__version__.startswith("2.") and zarr.config.get("default_zarr_format") == 3


def _ignore_format_warnings() -> None:
    warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
    warnings.filterwarnings("ignore", "The data type .* does not have a Zarr V3 specification")


def _lazily(dataset: xr.Dataset) -> xr.Dataset:
    if find_spec("dask") is None:
        return dataset
    lazy = {
        name: chunked(variable)
        for name, variable in dataset.variables.items()
        if variable.ndim and name not in dataset.indexes and not _is_loose(variable)
    }
    return dataset.assign(lazy)


def _is_loose(variable: xr.Variable) -> bool:
    """Whether a variable holds objects that xarray has to look at, to find a type for them."""
    return variable.dtype.kind == "O" and not (variable.dtype.metadata or {}).get("element_type")


def _chunksizes(variable: xr.Variable) -> dict[str, Any]:
    if not variable.size or not variable.ndim or variable.dtype.kind == "S":
        return {}
    return {"chunksizes": variable.encoding["chunks"]}


def write_netcdf(store: IPLDStore, path: Path) -> None:
    """Write all groups of a hierarchy to a new NetCDF file, in the chunks that they have.

    With dask a chunk at a time is in memory, without, a variable.
    """
    from zarr.errors import ContainsArrayError

    _require_netcdf4()
    with ExitStack() as stack:
        stack.enter_context(explained("no NetCDF file can be made of this"))
        stack.enter_context(warnings.catch_warnings())
        _ignore_format_warnings()
        options: dict[str, Any] = {"engine": "zarr", "consolidated": False, **_AS_ENCODED}
        if find_spec("dask") is not None:
            import dask

            # a thread that goes on after an error would make the file anew
            stack.enter_context(dask.config.set(scheduler="synchronous"))
            options["chunks"] = {}
        try:
            groups = xr.open_groups(cast("Any", store), **options)
        except ContainsArrayError:
            raise CommandError(
                "a NetCDF file is made of a group, and this is an array: name the group that "
                "holds it, or a Zarr folder to make"
            ) from None
        for dataset in groups.values():
            stack.callback(dataset.close)
        for index, (group, dataset) in enumerate(groups.items()):
            encoding = {
                name: _without_default_fill(variable) | _chunksizes(variable)
                for name, variable in dataset.variables.items()
            }
            with _names_explained(group, dataset):
                _with_fill_values(dataset).to_netcdf(
                    path,
                    mode="a" if index else "w",
                    group=group.strip("/") or None,
                    engine="netcdf4",
                    encoding=encoding,
                )


def _with_fill_values(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose characters have their fill values as attributes, where they have one.

    Strings of variable length come without: xarray does not write fill values of these. They are
    made objects, as xarray would make them as long as the longest.
    """
    changed = {}
    for name, variable in dataset.variables.items():
        fill = variable.encoding.get("fill_value")
        if variable.dtype.kind == "S" and fill and "_FillValue" not in variable.attrs:
            changed[name] = variable.copy(deep=False)
            changed[name].attrs["_FillValue"] = fill
        elif variable.dtype.kind == "T":
            changed[name] = variable.astype(_STRING)
            changed[name].encoding.pop("dtype", None)
    return dataset.assign(changed)


@contextmanager
def _names_explained(group: str, dataset: xr.Dataset) -> Iterator[None]:
    """Have an error say which name is at fault, where NetCDF does not allow one."""
    try:
        yield
    except Exception:
        for what, name in _iter_names(group, dataset):
            if not _ALLOWED_NAME.fullmatch(str(name)):
                raise CommandError(
                    f"no NetCDF file can be made of this: {what} {name!r} in group "
                    f"{group or '/'!r} has a name with characters that NetCDF does not allow"
                ) from None
        raise


def _iter_names(group: str, dataset: xr.Dataset) -> Iterator[tuple[str, Hashable]]:
    for segment in filter(None, group.split("/")):
        yield "the group", segment
    for dimension in dataset.dims:
        yield "the dimension", dimension
    for attribute in dataset.attrs:
        yield "the attribute", attribute
    for name, variable in dataset.variables.items():
        yield "the variable", name
        for attribute in variable.attrs:
            yield f"of the variable {name!r}, the attribute", attribute
