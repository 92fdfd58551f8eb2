"""Zarr stores as zarr-python 3 has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from zarr import Array, AsyncArray, AsyncGroup, Group
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, ObjectStore, StorePath, ZipStore

from ipldstore.backends.objects.address import SCHEMES, open_store
from ipldstore.errors import BackendError, ReadOnlyStoreError
from ipldstore.zarrstores.places import Place
from ipldstore.zarrstores.plain import PlainStore
from ipldstore.zarrstores.unlisted import list_consolidated

_OBJECT_SECONDS = 60.0
_HTTP = ("http", "https")


def open_object(what: Any, *, write: bool) -> PlainStore | None:
    """Open a store, or what has one; None if it is nothing of zarr.

    Raises
    ------
    FileNotFoundError
        If the folder of a store that is to be read is not there.
    """
    if isinstance(what, Group | Array | AsyncGroup | AsyncArray):
        what = what.store_path
    path = ""
    if isinstance(what, StorePath):
        what, path = what.store, what.path
    if not isinstance(what, Store):
        return None
    if write and what.read_only:
        raise ReadOnlyStoreError(f"{what!r} does not allow writing")
    root = getattr(what, "root", None)
    if not write and isinstance(root, Path) and not root.exists():
        raise FileNotFoundError(f"no folder {str(root)!r} of a Zarr store")
    return _plain(what, cache(lambda: sync(_list(what, path)))).below(path)


@contextmanager
def open_place(place: Place, *, write: bool) -> Iterator[PlainStore]:
    """Open the store at a path or URL."""
    with ExitStack() as stack:
        store = _make_store(place, write)
        stack.callback(store.close)
        if place.url.partition(":")[0].lower() in _HTTP:
            keys = list_consolidated(store, place.shown)
            yield _plain(store, lambda: keys)
        else:
            yield _plain(store, cache(lambda: _without_folders(sync(_list(store, "")))))


def _make_store(place: Place, write: bool) -> Store:
    if place.path is not None and place.is_zip:
        return ZipStore(place.path, mode="w" if write else "r", read_only=not write)
    if place.path is not None:
        return LocalStore(place.path, read_only=not write)
    scheme = place.url.partition(":")[0].lower()
    if scheme in _HTTP and write:
        raise BackendError(f"{place.shown!r} cannot be written to")
    if scheme in (*SCHEMES, *_HTTP):
        return ObjectStore(_open_remote(place.url, scheme), read_only=not write)
    try:
        return FsspecStore.from_url(place.url, read_only=not write)
    except ImportError as error:
        raise BackendError(
            f"{place.shown!r} needs a package that is not installed: {error}; fsspec itself comes "
            "with: pip install 'ipldstore[fsspec]'"
        ) from None
    except ValueError as error:
        raise BackendError(f"{place.shown!r} cannot be opened: {error}") from None


def _open_remote(url: str, scheme: str) -> Any:
    if scheme in SCHEMES:
        return open_store(url, timeout=_OBJECT_SECONDS)
    try:
        from obstore.store import HTTPStore
    except ImportError:
        raise BackendError(
            "Zarr stores on web servers need the package obstore: pip install 'ipldstore[objects]'"
        ) from None
    return HTTPStore.from_url(url, client_options={"allow_http": scheme == "http"})


def _plain(store: Store, list_keys: Callable[[], Iterable[str]]) -> PlainStore:
    sync(_open(store))
    prototype = default_buffer_prototype()

    def get(key: str) -> bytes | None:
        value: Any = sync(store.get(key, prototype))
        return None if value is None else value.to_bytes()

    def put(key: str, data: bytes) -> None:
        sync(store.set(key, prototype.buffer.from_bytes(data)))

    return PlainStore(list_keys=list_keys, get=get, put=put)


def _without_folders(keys: list[str]) -> list[str]:
    """Leave out what a zip file lists of its folders."""
    return [key for key in keys if not key.endswith("/")]


async def _open(store: Store) -> None:
    await store._ensure_open()


async def _list(store: Store, path: str) -> list[str]:
    """List keys, by directories where the store lists only these.

    Raises
    ------
    BackendError
        If it cannot list at all.
    """
    try:
        if path:
            return [key async for key in store.list_prefix(f"{path}/")]
        return [key async for key in store.list()]
    except NotImplementedError:
        pass
    try:
        return await _list_directories(store, path)
    except NotImplementedError:
        raise BackendError(
            f"{store!r} cannot list its keys: it has neither list() nor list_dir()"
        ) from None


async def _list_directories(store: Store, path: str) -> list[str]:
    keys: list[str] = []
    folders = [path]
    while folders:
        folder = folders.pop()
        async for name in store.list_dir(folder):
            key = f"{folder}/{name.rstrip('/')}" if folder else name.rstrip("/")
            if await store.exists(key):
                keys.append(key)
            else:
                folders.append(key)
    return keys
