"""Grids of chunks laid out in two dimensions and counted in a bounded number of cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ipldstore.model.cells import Shape

KINDS = ("added", "changed", "removed", "same")

MAX_PANELS = 12
MAX_CELLS = 128
"""Panels, and cells of a panel in each direction: more cannot be told apart in a picture."""

MAX_FOLDED_ROWS = 16


class Side:
    """One direction of a picture: some axes of a grid, run through as one and cut into bins.

    The slowest of the axes is the first. `length` is the chunks along them, `bins` the cells that
    these fall into.
    """

    def __init__(self, grid: Shape, axes: Sequence[int], limit: int) -> None:
        self.axes = tuple(axes)
        self._sizes = [grid[axis] for axis in axes]
        self.length = math.prod(self._sizes)
        self.bins = max(1, min(self.length, limit))

    def bin_of(self, place: Sequence[int]) -> int:
        """Return the cell of a chunk."""
        index = 0
        for axis, size in zip(self.axes, self._sizes, strict=True):
            index = index * size + place[axis]
        return index * self.bins // self.length

    def place_of(self, index: int) -> list[int]:
        """Return where a chunk is on the axes."""
        place: list[int] = []
        for size in reversed(self._sizes):
            index, rest = divmod(index, size)
            place.insert(0, rest)
        return place

    @property
    def chunks_per_cell(self) -> int:
        """How many chunks the largest cell stands for."""
        return -(-self.length // self.bins)


class ChunkGrid:
    """The grid of an array's chunks, with a count of each kind in every cell of a picture.

    One or two long axes make a picture; a few short ones beside a long one are folded into rows,
    and further ones into panels.

    `panels`, `rows` and `columns` are what is next to each other, below each other, and side by
    side. `counts` are, for each of `KINDS`, chunks by panel, row and column.
    """

    def __init__(self, grid: Shape) -> None:
        self.grid = grid
        panels, rows, columns = _arrange(grid)
        self.panels = Side(grid, panels, MAX_PANELS)
        self.rows = Side(grid, rows, MAX_CELLS)
        self.columns = Side(grid, columns, MAX_CELLS)
        shape = self.panels.bins, self.rows.bins, self.columns.bins
        self.counts = {kind: np.zeros(shape, np.int64) for kind in KINDS}

    def add(self, kind: str, place: Sequence[int]) -> None:
        """Count a chunk, if it is one of the grid."""
        if len(place) == len(self.grid) and all(map(int.__lt__, place, self.grid)):
            sides = self.panels, self.rows, self.columns
            cell = tuple(side.bin_of(place) for side in sides)
            self.counts[kind][cell] += 1

    def set_present(self, places: Iterable[Sequence[int]]) -> None:
        """Count as the same what is there and is neither added nor changed."""
        for place in places:
            self.add("same", place)
        self.counts["same"] -= self.counts["added"] + self.counts["changed"]

    def totals(self) -> dict[str, int]:
        """Return how many chunks there are of each kind."""
        return {kind: int(counts.sum()) for kind, counts in self.counts.items()}

    @property
    def chunks_per_cell(self) -> int:
        """How many chunks the largest cell stands for."""
        return math.prod(side.chunks_per_cell for side in (self.panels, self.rows, self.columns))


def _arrange(grid: Shape) -> tuple[list[int], list[int], list[int]]:
    """Say which axes go into panels, rows and columns."""
    axes = [axis for axis, size in enumerate(grid) if size != 1]
    if len(axes) <= 2:
        return [], axes[:-1], axes[-1:]
    longest = max(axes, key=lambda axis: grid[axis])
    others = [axis for axis in axes if axis != longest]
    if math.prod(grid[axis] for axis in others) <= MAX_FOLDED_ROWS:
        return [], others, [longest]
    return axes[:-2], axes[-2:-1], axes[-1:]
