"""A store as it stands, outlined."""

from __future__ import annotations

from typing import Any

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.model.outline import Outline, Spent, make_outline
from ipldstore.model.values import SizeOf, make_size_of
from ipldstore.store.expansion import check_held
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.nodes import Directory
from ipldstore.tree.pages import Load

SIZES_PER_NODE = 64
"""How many sizes a block store on this machine tells in the time of loading one node."""


def outline(store: Hierarchy, *, max_nodes: int | None = None) -> Outline:
    """Say which groups and arrays there are, without reading values.

    `max_nodes` is how many blocks may be loaded. Groups come first, then the chunks of the arrays
    are counted: ``chunks_present`` is None where they were not. Of sizes, a block store on a
    network is asked for as many, and one on this machine for `SIZES_PER_NODE` times as many.

    Examples
    --------
    >>> from ipldstore.store.hierarchy import Hierarchy
    >>> store = Hierarchy()
    >>> store[".zgroup"] = b'{"zarr_format": 2}'
    >>> store["a/.zarray"] = b'{"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<f8"}'
    >>> store["a/1"] = b"chunk"
    >>> found = outline(store)
    >>> found.kind, [(array.name, array.shape, array.dtype) for array in found.children]
    ('group', [('a', (4,), 'float64')])
    >>> found.children[0].chunks_present, found.children[0].chunks_possible
    (1, 2)
    """
    blocks = store.blocks

    def describe(top: Directory, root: Link | None) -> Outline:
        if max_nodes is None:
            check_held(top, blocks.get_block)
        load = _bounded(blocks.get_block, max_nodes)
        size_of = _bounded_sizes(blocks, max_nodes)
        found = make_outline(top, load, size_of, is_bounded=max_nodes is not None)
        if root is not None:
            found.cid = to_text(root)
        return found

    return store.reader.look(describe)


def _bounded(load: Load, bound: int | None) -> Load:
    """Return a load that raises `Spent` after a number of blocks."""
    if bound is None:
        return load
    left = bound

    def load_some(link: Link) -> bytes:
        nonlocal left
        if left <= 0:
            raise Spent
        left -= 1
        return load(link)

    return load_some


def _bounded_sizes(blocks: ContentAddressableStore, max_nodes: int | None) -> SizeOf:
    """Return what tells sizes, and None for all after a number of them."""
    size_of = make_size_of(blocks, blocks.get_block)
    if max_nodes is None:
        return size_of
    left = max_nodes * (SIZES_PER_NODE if blocks.is_local else 1)

    def size_of_some(entry: Any) -> int | None:
        nonlocal left
        left -= 1
        return size_of(entry) if left >= 0 else None

    return size_of_some
