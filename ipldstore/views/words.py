"""What is in an outline as short texts: types, shapes and counts."""

from __future__ import annotations

from itertools import chain, islice, repeat, starmap

from ipldstore.basics.words import number_text
from ipldstore.model.cells import CellShape, Runs
from ipldstore.model.outline import Outline

TIMES = "×"  # noqa: RUF001

_MOST_LENGTHS = 4


def type_text(node: Outline) -> str:
    """Say what a node is: of an array its type."""
    if not node.is_loaded:
        return "not loaded"
    return node.dtype or "unknown" if node.kind == "array" else node.kind


def shape_text(shape: CellShape | None, times: str = TIMES) -> str:
    """Write a shape; lengths that vary as a sum, of which the middle is left out if it is long."""
    if shape is None:
        return "?"
    return times.join(map(_side_text, shape)) or "scalar"


def _side_text(side: int | Runs) -> str:
    if isinstance(side, int):
        return number_text(side)
    first = list(islice(chain.from_iterable(starmap(repeat, side)), _MOST_LENGTHS + 1))
    if len(first) == 1:
        return number_text(first[0])
    if len(first) > _MOST_LENGTHS:
        texts = [*map(number_text, first[:2]), "...", number_text(side[-1][0])]
    else:
        texts = [*map(number_text, first)]
    return f"({'+'.join(texts)})"


def chunk_shape_text(node: Outline, times: str = TIMES) -> str:
    """Write the shape of an array's chunks, and of its shards."""
    text = shape_text(node.chunk_shape, times)
    return f"{text} in {shape_text(node.shard_shape, times)}" if node.shard_shape else text


def count_text(node: Outline) -> str:
    """Say how many chunks, or shards, of an array are stored, of how many."""
    if node.kind != "array":
        return ""
    if node.chunks_present is None:
        return "not counted"
    possible = "?" if node.chunks_possible is None else number_text(node.chunks_possible)
    shards = " shards" if node.shard_shape else ""
    return f"{number_text(node.chunks_present)}/{possible}{shards}"
