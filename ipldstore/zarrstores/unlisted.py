"""Keys of stores that cannot be listed, such as web servers: consolidated metadata tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice, product
from math import ceil
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.core.sync import sync
from zarr.errors import BaseZarrError

from ipldstore.errors import BackendError
from ipldstore.tree.keys import METADATA_NAMES

_ASKED_AT_ONCE = 64


def list_consolidated(store: Store, shown: str) -> list[str]:
    """List the keys of a store that are there, of all that its metadata allows.

    Parameters
    ----------
    store
        The store.
    shown
        What errors call it.

    Raises
    ------
    FileNotFoundError
        If there is no Zarr metadata.
    BackendError
        If the metadata is not consolidated, or its chunks are no regular grid.
    """
    try:
        top = zarr.open(store, mode="r")
    except (BaseZarrError, FileNotFoundError, KeyError):
        raise FileNotFoundError(f"no Zarr metadata at {shown!r}") from None
    if isinstance(top, zarr.Group) and top.metadata.consolidated_metadata is None:
        raise BackendError(
            f"{shown!r} cannot be listed, and its metadata is not consolidated, so that nobody "
            "can tell what is in it: have its owner call zarr.consolidate_metadata"
        )
    return list(_iter_present(store, _iter_possible(top, shown)))


def _iter_possible(top: Any, shown: str) -> Iterator[str]:
    nodes = [("", top)]
    if isinstance(top, zarr.Group):
        nodes += top.members(max_depth=None)
    for path, node in nodes:
        prefix = f"{path}/" if path else ""
        yield from (prefix + name for name in METADATA_NAMES)
        if isinstance(node, zarr.Array):
            yield from (prefix + key for key in _iter_chunk_keys(node, path, shown))


def _iter_chunk_keys(array: Any, path: str, shown: str) -> Iterator[str]:
    try:
        sizes = array.shards or array.chunks
    except NotImplementedError:
        raise BackendError(
            f"{shown!r} cannot be listed, and array {path!r} has chunks of different shapes"
        ) from None
    counts = (ceil(size / step) for size, step in zip(array.shape, sizes, strict=True))
    for place in product(*map(range, counts)):
        yield array.metadata.encode_chunk_key(place)


def _iter_present(store: Store, keys: Iterator[str]) -> Iterator[str]:
    while batch := list(islice(keys, _ASKED_AT_ONCE)):
        present = sync(_ask(store, batch))
        yield from (key for key, is_there in zip(batch, present, strict=True) if is_there)


async def _ask(store: Store, keys: list[str]) -> list[bool]:
    return await asyncio.gather(*map(store.exists, keys))
