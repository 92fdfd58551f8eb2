"""Zarr stores of every kind, opened, as keys and values without an event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version
from typing import Any

from ipldstore.backends.paths import describe
from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs.file import write_file
from ipldstore.zarrstores.faults import guarded
from ipldstore.zarrstores.locations import Location, check_source, find_location, made
from ipldstore.zarrstores.plain import PlainStore

__all__ = ["PlainStore", "find_store", "open_zarr_store"]


@contextmanager
def open_zarr_store(what: Any, *, write: bool = False) -> Iterator[PlainStore]:
    """Open a Zarr store, and close what was opened for it.

    It is one of zarr-python 3, one of zarr-python 2 or any other mapping of keys to bytes, an
    `IPLDStore`, what is at or below a ``StorePath``, group or array, or a path or URL: a folder, a
    zip file, ``s3://``, ``gs://``, ``az://`` (by obstore, on zarr-python 3), ``http://`` and
    ``https://`` (to read), or what fsspec knows. Stores that list directories only are listed by
    these. Of what lists nothing, such as a web server, consolidated metadata tells the keys that
    there can be.

    To `write`, a folder may be made, and a zip file is made anew, and appears once it is complete.
    Errors name the key; where the store came by a URL, they show nothing that could be secret.
    """
    if isinstance(what, str | os.PathLike):
        location = find_location(what)
        if not write:
            check_source(location)
        with (
            made(location) if write else nullcontext(location) as found,
            _generation().open_location(found, write=write) as plain,
        ):
            if not write:
                _check_zarr(plain, location)
            yield guarded(plain, location.shown, location.url)
        return
    store, path = find_store(what)
    if isinstance(store, Hierarchy):
        yield _of_hierarchy(store).below(path)
        return
    with _generation().opened(store, path, write=write) as plain:
        yield guarded(plain, type(store).__name__).below(path)


def find_store(what: Any) -> tuple[Any, str]:
    """Return the store that something is or has, and the path in it that is meant."""
    found: tuple[Any, str] | None = _generation().find_store(what)
    if found is None:
        raise TypeError(
            f"expected an IPLDStore, a block store, or a Zarr store, not {type(what).__name__}; "
            "open_block_store(URL) opens a block store"
        )
    return found


def _generation() -> Any:
    """Return the module for the zarr-python that is installed."""
    name = "zarr2" if version("zarr").startswith("2.") else "zarr3"
    return import_module(f"ipldstore.zarrstores.{name}")


def _of_hierarchy(store: Hierarchy) -> PlainStore:
    def has_value(key: str, data: bytes) -> bool:
        entry = store._find(key)
        if isinstance(entry, Link):
            return entry == write_file(data, store.blocks.make_cid)
        return entry is not None and store[key] == data

    return PlainStore(
        list_keys=lambda: store,
        get=lambda key: Hierarchy.get(store, key),
        put=lambda key, data: Hierarchy.__setitem__(store, key, data),
        compare=has_value,
    )


def _check_zarr(plain: PlainStore, location: Location) -> None:
    """Refuse a path or URL with something else than Zarr."""
    if any(key.rpartition("/")[2] in METADATA_NAMES for key in plain.list_keys()):
        return
    if location.path is None and not plain.list_keys():
        raise FileNotFoundError(f"nothing at {location.shown}")
    found = "without Zarr metadata" if location.path is None else describe(location.path)
    raise InvalidKeyError(f"{location.shown} is no Zarr store; it is {found}")
