"""Zarr stores as zarr-python 2.18 has them: mappings."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from zarr import Array, Group
from zarr.storage import ConsolidatedMetadataStore, DirectoryStore, FSStore, ZipStore

from ipldstore.errors import BackendError, ReadOnlyStoreError
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.zarrstores.faults import explained
from ipldstore.zarrstores.locations import Location
from ipldstore.zarrstores.plain import PlainStore, distinct_keys, of_mapping
from ipldstore.zarrstores.possible import find_possible

_HTTP = ("http", "https")


def find_store(what: Any) -> tuple[Any, str] | None:
    """Return the store that something is or has, and the path in it; None if it is none of zarr."""
    if isinstance(what, Group | Array):
        documents, chunks = _documents_of(what.store), what.chunk_store
        is_one = chunks is documents or chunks is what.store
        return documents if is_one else _Divided(documents, chunks), what.path
    if isinstance(what, ConsolidatedMetadataStore):
        return _documents_of(what), ""
    return (what, "") if isinstance(what, MutableMapping) else None


def _documents_of(store: Any) -> Any:
    return store.store if isinstance(store, ConsolidatedMetadataStore) else store


class _Divided(MutableMapping[str, Any]):
    """Metadata documents in one store, and chunks in another."""

    def __init__(self, documents: MutableMapping[str, Any], chunks: MutableMapping[str, Any]):
        self._documents = documents
        self._chunks = chunks

    def _store_of(self, key: str) -> MutableMapping[str, Any]:
        is_document = key.rpartition("/")[2] in METADATA_NAMES
        return self._documents if is_document else self._chunks

    def __getitem__(self, key: str) -> Any:
        return self._store_of(key)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._store_of(key)[key] = value

    def __delitem__(self, key: str) -> None:
        del self._store_of(key)[key]

    def __iter__(self) -> Iterator[str]:
        for store in (self._documents, self._chunks):
            yield from (key for key in store if self._store_of(key) is store)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@contextmanager
def opened(store: MutableMapping[str, Any], path: str, *, write: bool) -> Iterator[PlainStore]:
    """Open a store."""
    if write:
        if getattr(store, "mode", None) == "r":
            raise ReadOnlyStoreError(f"{store!r} does not allow writing")
        yield of_mapping(store)
        return
    if isinstance(store, DirectoryStore) and not os.path.isdir(store.path):
        raise FileNotFoundError(f"no folder {store.path!r} of a Zarr store")
    with explained(f"cannot open {type(store).__name__}"):
        plain = _listed(store, path, type(store).__name__)
    yield plain


@contextmanager
def open_location(location: Location, *, write: bool) -> Iterator[PlainStore]:
    """Open the store at a path or URL."""
    with ExitStack() as stack:
        with explained(f"cannot open {location.shown}", location.url):
            store = _make_store(location, write)
            if isinstance(store, ZipStore):
                stack.callback(store.close)
            plain = of_mapping(store) if write else _listed(store, "", location.shown)
        yield plain


def _make_store(location: Location, write: bool) -> Any:
    if location.path is None:
        return _open_url(location, write)
    if location.is_zip:
        return ZipStore(str(location.path), mode="w" if write else "r")
    return DirectoryStore(str(location.path))


def _open_url(location: Location, write: bool) -> FSStore:
    if location.scheme in _HTTP and write:
        raise ReadOnlyStoreError(f"{location.shown} is on a web server, and cannot be written to")
    if location.scheme in _HTTP and "?" in location.url:
        raise BackendError(f"{location.shown} came with parameters: these need zarr-python 3")
    # by default, faults of a network would count as missing keys
    return FSStore(location.url, mode="w" if write else "r", exceptions=(KeyError,))


def _listed(store: Any, path: str, shown: str) -> PlainStore:
    """List the keys, as far as the store can tell."""
    if isinstance(store, FSStore) and not set(_HTTP).isdisjoint(_protocols(store)):
        plain = of_mapping(store.map)  # past what the store counts as missing
        keys = find_possible(plain.get, shown, path)
        return replace(plain, list_keys=lambda: keys, is_exact=False)
    found = distinct_keys(store)
    if not found and isinstance(store, FSStore) and not store.fs.exists(store.path):
        raise FileNotFoundError(f"nothing at {store.path!r} in {shown}")
    return replace(of_mapping(store), list_keys=lambda: found)


def _protocols(store: FSStore) -> tuple[str, ...]:
    protocol = store.fs.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
