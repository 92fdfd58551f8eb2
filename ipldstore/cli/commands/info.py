"""``ipldstore info``: how much a root names, and where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from ipldstore.basics.words import filled_text, printable, size_text
from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show

if TYPE_CHECKING:
    from ipldstore.inventory import Info


def info(
    what: Root,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Say how much a hierarchy holds and where it is."""
    from ipldstore import inventory
    from ipldstore.cli.tools.roots import opened

    with opened(what, where) as (blocks, root):
        found = inventory.info(root, blocks)
        store = repr(blocks)
    show({**asdict(found), "store": store}, *_iter_lines(found, store))


def _iter_lines(found: Info, store: str) -> Iterator[str]:
    from ipldstore.cli.tools.blocks import Extent

    values = Extent(found.blocks - found.node_blocks, found.bytes - found.node_bytes)
    yield f"root    {found.root}"
    yield f"store   {store}"
    yield f"all     {Extent(found.blocks, found.bytes)}"
    yield f"nodes   {Extent(found.node_blocks, found.node_bytes)}"
    yield f"values  {values}"
    yield f"shared  {size_text(found.shared_bytes)} that equal blocks save"
    if found.blocks == found.bytes == 1:
        yield "empty   no groups, arrays or values"
    if found.arrays:
        yield f"{'chunks':>12} {'stored':>12} array"
    for path, array in found.arrays.items():
        size = size_text(array.stored_bytes)
        chunks = filled_text(array.chunks, array.chunks_possible)
        yield f"{chunks:>12} {size:>12} {printable(path) or '.'}"
