"""Zarr stores as zarr-python 3 has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from zarr import Array, AsyncArray, AsyncGroup, Group
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, ObjectStore, StorePath, WrapperStore, ZipStore

from ipldstore.backends.objects.address import open_store
from ipldstore.backends.objects.kind import SCHEMES
from ipldstore.errors import BackendError, ReadOnlyStoreError
from ipldstore.limits import CONNECT_SECONDS, REQUEST_SECONDS
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.zarrstores.faults import explained
from ipldstore.zarrstores.locations import Location
from ipldstore.zarrstores.plain import PlainStore, distinct_keys, of_mapping
from ipldstore.zarrstores.possible import find_possible, read_grid

_HTTP = ("http", "https")
_ASKED_AT_ONCE = 64


def find_store(what: Any) -> tuple[Any, str] | None:
    """Return the store that something is or has, and the path in it; None if it is none of zarr."""
    if isinstance(what, Group | Array | AsyncGroup | AsyncArray):
        what = what.store_path
    if isinstance(what, StorePath):
        return what.store, what.path
    return (what, "") if isinstance(what, Store | MutableMapping) else None


@contextmanager
def opened(
    store: Store | MutableMapping[str, Any], path: str, *, write: bool
) -> Iterator[PlainStore]:
    """Open a store unless it is open; what was opened to be read is closed again.

    One that was written to stays open: a ``ZipStore`` would begin anew if it were used again.
    """
    if not isinstance(store, Store):
        yield of_mapping(store)
        return
    if write and (store.read_only or not store.supports_writes):
        raise ReadOnlyStoreError(f"{store!r} does not allow writing")
    inner = _unwrapped(store)
    root = getattr(inner, "root", None)
    if not write and isinstance(root, Path) and not root.exists():
        raise FileNotFoundError(f"no folder {str(root)!r} of a Zarr store")
    with ExitStack() as stack:
        with explained(f"cannot open {type(inner).__name__}"):
            was_open = store._is_open
            sync(store._ensure_open())
            if not was_open and not write:
                stack.callback(store.close)
            plain = _plain(store) if write else _listed(store, path, repr(inner))
        yield plain


@contextmanager
def open_location(location: Location, *, write: bool) -> Iterator[PlainStore]:
    """Open the store at a path or URL."""
    with ExitStack() as stack:
        with explained(f"cannot open {location.shown}", location.url):
            store = _make_store(location, write)
            sync(store._ensure_open())
            stack.callback(store.close)
            plain = _plain(store) if write else _listed(store, "", location.shown)
        yield plain


def _make_store(location: Location, write: bool) -> Store:
    if location.path is not None and location.is_zip:
        return ZipStore(location.path, mode="w" if write else "r", read_only=not write)
    if location.path is not None:
        return LocalStore(location.path, read_only=not write)
    if location.scheme in _HTTP and write:
        raise ReadOnlyStoreError(f"{location.shown} is on a web server, and cannot be written to")
    if location.scheme in SCHEMES:
        return ObjectStore(open_store(location.url, timeout=REQUEST_SECONDS), read_only=not write)
    if location.scheme in _HTTP:
        return ObjectStore(_open_web(location), read_only=True)
    return FsspecStore.from_url(location.url, read_only=not write)


def _open_web(location: Location) -> Any:
    try:
        from obstore.store import HTTPStore
    except ImportError:
        raise BackendError(
            "Zarr stores on web servers need the package obstore: pip install 'ipldstore[objects]'"
        ) from None
    return HTTPStore.from_url(
        location.url,
        client_options={
            "allow_http": location.scheme == "http",
            "timeout": f"{REQUEST_SECONDS}s",
            "connect_timeout": f"{CONNECT_SECONDS}s",
        },
        retry_config={"max_retries": 4},
    )


def _unwrapped(store: Store) -> Store:
    while isinstance(store, WrapperStore):
        store = store._store
    return store


def _plain(store: Store, keys: Iterable[str] = (), *, is_exact: bool = True) -> PlainStore:
    prototype = default_buffer_prototype()

    def get(key: str) -> bytes | None:
        value: Any = sync(store.get(key, prototype))
        return None if value is None else value.to_bytes()

    def put(key: str, data: bytes) -> None:
        sync(store.set(key, prototype.buffer.from_bytes(data)))

    return PlainStore(lambda: keys, get, put, is_exact=is_exact)


def _listed(store: Store, path: str, shown: str) -> PlainStore:
    """List the keys at and below a path, as far as the store can tell."""
    get = _plain(store).get
    if not _lists(store):
        return _plain(store, find_possible(get, shown, path), is_exact=False)
    try:
        keys = sync(_collect(store.list_prefix(f"{path}/") if path else store.list()))
    except NotImplementedError:
        keys = sync(_list_directories(store, path, get, shown))
        return _plain(store, keys, is_exact=False)
    keys = distinct_keys(keys)
    if not keys and (path or not _is_there(store)):
        raise FileNotFoundError(f"nothing at {path!r} in {shown}")
    return _plain(store, keys)


def _lists(store: Store) -> bool:
    """Whether a store lists its keys; some on web servers say so and do not."""
    inner = _unwrapped(store)
    if isinstance(inner, FsspecStore):
        protocol = inner.fs.protocol
        return set(_HTTP).isdisjoint([protocol] if isinstance(protocol, str) else protocol)
    if isinstance(inner, ObjectStore):
        return type(inner.store).__name__ != "HTTPStore"
    return store.supports_listing


def _is_there(store: Store) -> bool:
    """Whether an empty store exists, as far as that can be told."""
    inner = _unwrapped(store)
    if isinstance(inner, ObjectStore):  # a prefix in a bucket is what is below it
        return type(inner.store).__name__ in ("LocalStore", "MemoryStore")
    if isinstance(inner, FsspecStore):
        return bool(sync(inner.fs._exists(inner.path)))
    return True


async def _collect(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]


async def _list_directories(
    store: Store, path: str, get: Callable[[str], bytes | None], shown: str
) -> list[str]:
    """List what is in directories; a name is that of a key unless there is something in it."""
    names = await _names_in(store, path)
    if names is None:
        raise BackendError(f"{shown} cannot list its keys: it has neither list() nor list_dir()")
    keys: list[str] = []
    folders = [(path, names)]
    while folders:
        folder, names = folders.pop()
        inner = (f"{folder}/{name.rstrip('/')}".lstrip("/") for name in names)
        while batch := list(islice(inner, _ASKED_AT_ONCE)):
            answers = await asyncio.gather(*(_names_in(store, key) for key in batch))
            for key, found in zip(batch, answers, strict=True):
                if found is None:
                    keys += await _keys_of_array(store, key, shown)
                elif found:
                    folders.append((key, found))
                else:
                    keys.append(key)
    return keys


async def _names_in(store: Store, folder: str) -> list[str] | None:
    """Return the names in a directory, none in what is no directory; None if nobody can tell."""
    if folder.rpartition("/")[2] in METADATA_NAMES:
        return []
    try:
        return await _collect(store.list_dir(folder))
    except NotImplementedError:
        return None
    except (FileNotFoundError, NotADirectoryError):
        return []


async def _keys_of_array(store: Store, path: str, shown: str) -> list[str]:
    """Return the keys that an array can have whose directory is not listed."""
    for name in (".zarray", "zarr.json"):
        document = await store.get(f"{path}/{name}", default_buffer_prototype())
        if document is None:
            continue
        grid = read_grid(f"{path}/{name}", document.to_bytes(), shown)
        if grid is not None:
            return [f"{path}/{name}", f"{path}/.zattrs", *grid]
    raise BackendError(f"{shown} does not list what is in {path!r}")
