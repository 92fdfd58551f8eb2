"""Zarr stores as zarr-python 2.18 has them: mappings."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from zarr import Array, Group
from zarr.storage import DirectoryStore, FSStore, ZipStore

from ipldstore.errors import BackendError
from ipldstore.zarrstores.places import Place
from ipldstore.zarrstores.plain import PlainStore, as_bytes


def open_object(what: Any, *, write: bool) -> PlainStore | None:
    """Open a store, or what has one; None if it is nothing of zarr."""
    path = ""
    if isinstance(what, Group | Array):
        what, path = what.store, what.path
    if not isinstance(what, MutableMapping):
        return None
    if not write and isinstance(what, DirectoryStore) and not os.path.isdir(what.path):
        raise FileNotFoundError(f"no folder {what.path!r} of a Zarr store")
    return _plain(what).below(path)


@contextmanager
def open_place(place: Place, *, write: bool) -> Iterator[PlainStore]:
    """Open the store at a path or URL."""
    if place.path is not None and place.is_zip:
        with ZipStore(str(place.path), mode="w" if write else "r") as store:
            yield _plain(store)
    elif place.path is not None:
        yield _plain(DirectoryStore(str(place.path)))
    else:
        yield _plain(_open_url(place, write))


def _open_url(place: Place, write: bool) -> FSStore:
    if place.url.partition(":")[0].lower() in ("http", "https"):
        raise BackendError(f"{place.shown!r} cannot be listed: that needs zarr-python 3")
    try:
        return FSStore(place.url, mode="w" if write else "r")
    except ImportError as error:
        raise BackendError(
            f"{place.shown!r} needs a package that is not installed: {error}; fsspec itself comes "
            "with: pip install 'ipldstore[fsspec]'"
        ) from None
    except ValueError as error:
        raise BackendError(f"{place.shown!r} cannot be opened: {error}") from None


def _plain(store: Any) -> PlainStore:
    return PlainStore(
        # a zip file lists its folders, too
        list_keys=cache(lambda: [key for key in store if not str(key).endswith("/")]),
        get=lambda key: as_bytes(store.get(key)),
        put=store.__setitem__,
    )
