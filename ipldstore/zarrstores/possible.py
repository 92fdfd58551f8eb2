"""Keys that can be in a store, as its metadata says: for stores that do not list all their keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

from ipldstore.errors import BackendError, LimitExceededError
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.model.cells import Shape
from ipldstore.model.chunkkeys import ChunkKeys
from ipldstore.model.metadata import read_document

_AT_ONCE = 16
_ARRAY_NAMES = (".zarray", "zarr.json")
_FORMAT_2 = (".zarray", ".zattrs", ".zgroup")


@dataclass(frozen=True)
class Grid:
    """How many chunks, or shards, an array has along each dimension, and how their keys begin."""

    prefix: str
    keys: ChunkKeys
    shape: Shape

    def __iter__(self) -> Iterator[str]:
        for place in product(*map(range, self.shape)):
            yield self.prefix + self.keys.key(place)


class PossibleKeys:
    """Documents, and the keys of chunks in grids, which are made as they are iterated."""

    def __init__(self, documents: Iterable[str], grids: Iterable[Grid], shown: str) -> None:
        self._documents = list(dict.fromkeys(documents))
        self._grids = list(grids)
        count = sum(math.prod(grid.shape) for grid in self._grids)
        if count > MAX_HELD_KEYS:
            raise LimitExceededError(
                f"{shown} does not list its keys, and its arrays can have {count:,} chunks, more "
                f"than the {MAX_HELD_KEYS:,} that are asked for one by one"
            )

    def __iter__(self) -> Iterator[str]:
        yield from self._documents
        for grid in self._grids:
            yield from grid


def find_possible(get: Callable[[str], bytes | None], shown: str, path: str = "") -> PossibleKeys:
    """Find out what can be in a store that does not list its keys.

    Consolidated metadata says which groups and arrays there are, at the top or, if it is not there,
    at `path`. How many chunks an array has, its own document says, which may be newer.
    """
    found = _find_documents(get, "", shown)
    if found is None and path:
        found = _find_documents(get, f"{path}/", shown)
    if found is None:
        if any(get(f"{path}/{name}".lstrip("/")) for name in (*_FORMAT_2, "zarr.json")):
            raise BackendError(
                f"{shown} does not list its keys, and its metadata is not consolidated, so that "
                "nobody can tell what is in it: have its owner call zarr.consolidate_metadata"
            )
        raise FileNotFoundError(f"no Zarr metadata at {shown}")
    arrays = [key for key in found if key.rpartition("/")[2] in _ARRAY_NAMES]
    with ThreadPoolExecutor(_AT_ONCE, "ipldstore-metadata") as pool:
        grids = [
            read_grid(key, data, shown)
            for key, data in zip(arrays, pool.map(get, arrays), strict=True)
            if data is not None
        ]
    return PossibleKeys(found, filter(None, grids), shown)


def _find_documents(get: Callable[[str], bytes | None], top: str, shown: str) -> list[str] | None:
    """List the documents that there can be, by what is at the top; None if that does not tell."""
    found: list[str] = []
    document = _read(get, f"{top}zarr.json", shown)
    consolidated = document.get("consolidated_metadata")
    if document.get("node_type") == "array" or isinstance(consolidated, dict):
        members = _part(_part(document, "consolidated_metadata"), "metadata")
        found += [
            f"{top}{name}" for name in ("zarr.json", *(f"{key}/zarr.json" for key in members))
        ]
    listed = _part(_read(get, f"{top}.zmetadata", shown), "metadata")
    if listed:
        folders = dict.fromkeys(name.rpartition("/")[0] for name in listed)
        names = [f"{folder}/{name}".lstrip("/") for folder in folders for name in _FORMAT_2]
        found += [f"{top}{name}" for name in (".zmetadata", *_FORMAT_2, *names)]
    elif not found and get(f"{top}.zarray") is not None:
        found += [f"{top}{name}" for name in _FORMAT_2]
    return found or None


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _read(get: Callable[[str], bytes | None], key: str, shown: str) -> dict[str, Any]:
    """Read a document, empty if there is none."""
    data = get(key)
    if data is None:
        return {}
    try:
        document = load_json(data)
    except (ValueError, RecursionError) as error:
        raise BackendError(f"{key!r} of {shown} is malformed: {error}") from None
    if not isinstance(document, dict):
        raise BackendError(f"{key!r} of {shown} is malformed: expected a JSON object")
    return document


def read_grid(key: str, data: bytes, shown: str) -> Grid | None:
    """Read which chunks an array can have; None if the document is that of a group."""
    folder, _, name = key.rpartition("/")
    document = _read(lambda _: data, key, shown)
    if name == "zarr.json" and document.get("node_type") != "array":
        return None
    metadata = read_document(name, document)
    if metadata.keys is None or metadata.grid is None:
        raise BackendError(
            f"{shown} does not list its keys, and {key!r} does not say which chunks there can be"
        )
    return Grid(f"{folder}/" if folder else "", metadata.keys, metadata.grid)
