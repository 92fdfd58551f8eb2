"""How much a root names: blocks, bytes, what is shared, and each array's chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from ipldstore.cid import RAW, CIDLike, Link, as_link, codec_of, identity_data, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag, links_of
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.tree import Tree


@dataclass(frozen=True)
class ArrayInfo:
    """What is stored of one array.

    Attributes
    ----------
    chunks : int
        Values under the array that are no metadata: its chunks, or shards, that were written.
    stored_bytes : int
        The sizes of these values as they are stored, such as compressed; equal ones count each.
    """

    chunks: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True)
class Info:
    """What is stored under a root.

    Attributes
    ----------
    root : str
        The root's CID.
    blocks, bytes : int
        Distinct blocks, and their bytes.
    node_blocks, node_bytes : int
        Of these, the ones that lead to others: directories, documents and the inner blocks of
        large values; all but raw blocks.
    shared_bytes : int
        Bytes that need not be kept because equal blocks are one: the sizes of what all links in
        all distinct blocks lead to, and of the root, less the sizes of the distinct blocks.
    arrays : dict of str to ArrayInfo
        By the array's path, which is empty for an array that is the root itself.
    """

    root: str
    blocks: int
    bytes: int
    node_blocks: int
    node_bytes: int
    shared_bytes: int
    arrays: dict[str, ArrayInfo]


def info(
    root_or_store: CIDLike | HierarchyMapping, backend: ContentAddressableStore | None = None
) -> Info:
    """Say how much is stored under a root.

    Loads every directory; values are not read where the block store knows their sizes.

    Parameters
    ----------
    root_or_store
        The root CID of a hierarchy, or a store, which is frozen.
    backend
        Where the blocks of a root are; a store has its own.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had.
    InvalidNodeError
        If the root is not that of a hierarchy.

    Examples
    --------
    >>> from ipldstore import IPLDStore, info
    >>> store = IPLDStore()
    >>> store["a/.zarray"] = b"{}"
    >>> store["a/0"] = store["a/1"] = b"chunk"
    >>> found = info(store)
    >>> found.blocks, found.bytes, found.shared_bytes, found.arrays
    (2, 104, 5, {'a': ArrayInfo(chunks=2, stored_bytes=10)})
    """
    if isinstance(root_or_store, HierarchyMapping):
        root, backend = as_link(root_or_store.freeze()), root_or_store.backend
    elif backend is None:
        raise TypeError("a root needs the backend that holds its blocks")
    else:
        root = as_link(root_or_store)
    sizes: dict[Link, int] = {}
    nodes: list[int] = []
    referenced = 0
    for link, data in iter_dag(root, backend.get_block, children_first=True):
        if data is None:
            sizes[link] = _size_of(link, backend)
        else:
            sizes[link] = len(data)
            nodes.append(len(data))
            referenced += sum(sizes[child] for child in _references(link, data))
    total = sum(sizes.values())
    return Info(
        root=to_text(root),
        blocks=len(sizes),
        bytes=total,
        node_blocks=len(nodes),
        node_bytes=sum(nodes),
        shared_bytes=referenced + sizes.get(root, 0) - total,
        arrays=_arrays(root, backend, sizes),
    )


def _size_of(link: Link, backend: ContentAddressableStore) -> int:
    size = backend.size_of(link)
    return len(backend.get_block(link)) if size is None else size


def _references(link: Link, data: bytes) -> Iterator[Link]:
    """Iterate the blocks that a block leads to, also through CIDs that carry their own data."""
    for child in links_of(link, data):
        inline = identity_data(child)
        if inline is None:
            yield child
        else:
            yield from _references(child, inline)


def _arrays(
    root: Link, backend: ContentAddressableStore, sizes: Mapping[Link, int]
) -> dict[str, ArrayInfo]:
    """Count the chunks of each array, whose metadata may come before or after them."""
    directories: dict[str, ArrayInfo] = {}
    arrays: dict[str, ArrayInfo] = {}
    for key, entry in Tree(backend.get_block, root).iter_entries():
        path, _, name = key.rpartition("/")
        if name not in METADATA_NAMES:
            size = sizes.get(entry) if _is_raw(entry) else None
            found = ArrayInfo(1, value_size(backend, entry) if size is None else size)
            directories[path] = _sum(directories.get(path), found)
        elif name == ".zarray" or (name == "zarr.json" and _is_array(backend, entry)):
            arrays[path] = ArrayInfo()
    for path, found in directories.items():
        array = next((above for above in _upwards(path) if above in arrays), None)
        if array is not None:
            arrays[array] = _sum(arrays[array], found)
    return arrays


def _sum(one: ArrayInfo | None, other: ArrayInfo) -> ArrayInfo:
    if one is None:
        return other
    return ArrayInfo(one.chunks + other.chunks, one.stored_bytes + other.stored_bytes)


def _is_raw(entry: Link | Document) -> TypeGuard[Link]:
    return isinstance(entry, Link) and codec_of(entry) == RAW


def _is_array(backend: ContentAddressableStore, entry: Link | Document) -> bool:
    try:
        metadata = json.loads(bytes(read_value(backend, entry)))
    except ValueError:
        return False
    return isinstance(metadata, dict) and metadata.get("node_type") == "array"


def _upwards(path: str) -> Iterator[str]:
    yield path
    while path:
        path = path.rpartition("/")[0]
        yield path
