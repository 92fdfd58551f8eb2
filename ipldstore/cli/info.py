"""``ipldstore info``: how much a root names, and where it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ipldstore.cli.blocks import Extent
from ipldstore.cli.roots import opened
from ipldstore.inventory import Info, info
from ipldstore.words import filled_text, printable, size_text


def measure_hierarchy(what: str, blocks: str) -> tuple[dict[str, Any], list[str]]:
    """Return how much a hierarchy holds, as facts and as lines.

    Parameters
    ----------
    what, blocks
        The hierarchy, as in `opened`.
    """
    with opened(what, blocks) as (backend, root):
        found = info(root, backend)
        store = repr(backend)
    return {**asdict(found), "store": store}, _lines(found, store)


def _lines(found: Info, store: str) -> list[str]:
    values = Extent(found.blocks - found.node_blocks, found.bytes - found.node_bytes)
    lines = [
        f"root    {found.root}",
        f"store   {store}",
        f"all     {Extent(found.blocks, found.bytes)}",
        f"nodes   {Extent(found.node_blocks, found.node_bytes)}",
        f"values  {values}",
        f"shared  {size_text(found.shared_bytes)} that equal blocks save",
    ]
    if found.blocks == found.bytes == 1:
        lines.append("empty   no groups, arrays or values")
    if found.arrays:
        lines.append(f"{'chunks':>12} {'stored':>12} array")
    for path, array in found.arrays.items():
        size = size_text(array.stored_bytes)
        chunks = filled_text(array.chunks, array.chunks_possible)
        lines.append(f"{chunks:>12} {size:>12} {printable(path) or '.'}")
    return lines
