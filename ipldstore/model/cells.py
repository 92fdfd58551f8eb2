"""The shapes of chunks: one for all, or lengths that vary along dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ipldstore.limits import MAX_DIMENSIONS

Shape: TypeAlias = tuple[int, ...]

Runs: TypeAlias = tuple[tuple[int, int], ...]
"""Lengths along a dimension in order, each with how many chunks in a row have it."""

CellShape: TypeAlias = tuple[int | Runs, ...]
"""The shape of chunks: for each dimension their length, or the lengths of a rectilinear grid."""


def _is_size(number: Any) -> bool:
    """Whether a JSON value is an integer that is not negative."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def read_shape(value: Any) -> Shape | None:
    """Read a shape; None if it is malformed."""
    if not isinstance(value, list) or len(value) > MAX_DIMENSIONS or not all(map(_is_size, value)):
        return None
    return tuple(value)


def read_cell(value: Any, shape: Shape | None) -> Shape | None:
    """Read the one shape of all chunks, whose sides are at least 1; None if it is malformed."""
    cell = read_shape(value)
    if cell is None or shape is None or len(cell) != len(shape) or 0 in cell:
        return None
    return cell


def read_cells(configuration: dict[str, Any], shape: Shape | None) -> CellShape | None:
    """Read the configuration of a rectilinear chunk grid; None if it is malformed.

    Its ``chunk_shapes`` are, for each dimension, one length or the list of all, in which ``[length,
    count]`` stands for several. They have to cover the shape of the array.
    """
    sides = configuration.get("chunk_shapes")
    if configuration.get("kind") != "inline" or shape is None:
        return None
    if not isinstance(sides, list) or len(sides) != len(shape):
        return None
    cells = tuple(map(_read_side, sides, shape))
    return None if None in cells else cells  # type: ignore[return-value]


def _read_side(side: Any, size: int) -> int | Runs | None:
    if not isinstance(side, list):
        return side if _is_size(side) and side else None
    runs = tuple(
        tuple(run) if isinstance(run, list) and len(run) == 2 else (run, 1) for run in side
    )
    if not runs or not all(_is_size(number) and number for run in runs for number in run):
        return None
    return runs if sum(length * count for length, count in runs) >= size else None


def count_cells(size: int, side: int | Runs) -> int:
    """Count the chunks that a dimension needs; further ones may be listed, after it was cut."""
    if isinstance(side, int):
        return -(-size // side)
    found = 0
    for length, count in side:
        if size <= 0:
            break
        needed = min(count, -(-size // length))
        found += needed
        size -= needed * length
    return found


def shape_at(cells: CellShape, place: Sequence[int]) -> Shape:
    """Return the shape of the chunk at a place of the grid."""
    return tuple(map(_length_at, cells, place))


def _length_at(side: int | Runs, index: int) -> int:
    if isinstance(side, int):
        return side
    for length, count in side:
        index -= count
        if index < 0:
            return length
    raise IndexError(index)
