"""Zarr stores of every kind, opened, as keys and values without an event loop."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ipldstore.backends.paths import describe
from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs import write_file
from ipldstore.zarrstores.places import Place, check_path, find_place, made_anew
from ipldstore.zarrstores.plain import PlainStore, as_bytes

__all__ = ["PlainStore", "open_zarr_store"]


@contextmanager
def open_zarr_store(what: Any, *, write: bool = False) -> Iterator[PlainStore]:
    """Open a Zarr store, and close what was opened for it.

    Parameters
    ----------
    what
        * A Zarr store of zarr-python 3, or of zarr-python 2 and any other mapping of keys to
          bytes; the store itself stays open.
        * A ``StorePath``, group or array of zarr: what is at or below its path.
        * A path or ``file://`` URL: a folder, or a file that ends in ``.zip``.
        * Another URL: ``s3://``, ``gs://``, ``az://`` (by obstore), ``http://`` and ``https://``
          (to read, where the metadata is consolidated), or what fsspec knows.
        * An `IPLDStore`.
    write
        Whether it is written to, and may be made. A zip file is made anew, and appears once it is
        complete.

    Yields
    ------
    PlainStore
        The store.

    Raises
    ------
    TypeError
        If it is none of these.
    FileNotFoundError
        If there is nothing to read.
    FileExistsError
        If a zip file to be written exists.
    InvalidKeyError
        If what is at a path or URL holds no Zarr metadata.
    BackendError
        If it cannot be listed, or a package that it needs is not installed.
    """
    if isinstance(what, HierarchyMapping):
        yield _of_hierarchy(what)
    elif isinstance(what, str | Path):
        place = find_place(what)
        with (
            made_anew(place) if write else check_path(place) as found,
            _generation().open_place(found, write=write) as plain,
        ):
            if not write:
                _check_zarr(plain, place)
            yield plain
    elif (found := _generation().open_object(what, write=write)) is not None:
        yield found
    elif isinstance(what, MutableMapping):
        yield PlainStore(
            list_keys=lambda: list(what),
            get=lambda key: as_bytes(what.get(key)),
            put=what.__setitem__,
        )
    else:
        raise TypeError(
            f"expected an IPLDStore, a block store, or a Zarr store, not {type(what).__name__}; "
            "open_block_store(URL) opens a block store"
        )


def _generation() -> Any:
    """Return the module for the zarr-python that is installed."""
    name = "zarr2" if version("zarr").startswith("2.") else "zarr3"
    return import_module(f"ipldstore.zarrstores.{name}")


def _of_hierarchy(store: HierarchyMapping) -> PlainStore:
    def has_value(key: str, data: bytes) -> bool:
        entry = store._find(key)
        if isinstance(entry, Link):
            return entry == write_file(data, store.backend.make_cid)
        return entry is not None and store[key] == data

    return PlainStore(
        list_keys=lambda: store,
        get=lambda key: HierarchyMapping.get(store, key),
        put=lambda key, data: HierarchyMapping.__setitem__(store, key, data),
        compare=has_value,
    )


def _check_zarr(plain: PlainStore, place: Place) -> None:
    """Refuse a path or URL with something else than Zarr."""
    keys = plain.list_keys()
    if not any(key.rpartition("/")[2] in METADATA_NAMES for key in keys):
        if not keys and not place.is_local:
            raise FileNotFoundError(f"nothing at {place.shown!r}")
        found = describe(place.path) if place.path is not None else "without Zarr metadata"
        raise InvalidKeyError(f"{place.shown!r} is no Zarr store; it is {found}")
