"""Places in a grid as few boxes, and as the elements that these cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ipldstore.limits import MAX_HELD_BOXES
from ipldstore.model.cells import CellShape, Runs, Shape

Box: TypeAlias = tuple[tuple[int, int], ...]
"""For each dimension where it begins, and where what is behind it begins."""

MAX_BOXES = 20
"""Boxes that are told; more are no help to a reader."""


class Places:
    """Gathers places in a grid, mostly in their order, as boxes."""

    def __init__(self) -> None:
        self._boxes: list[Box] | None = []
        self._span: Box | None = None
        self._limit = MAX_HELD_BOXES

    def add(self, place: Sequence[int]) -> None:
        """Add a place; those with another number of dimensions than the first are left out."""
        unit = tuple((index, index + 1) for index in place)
        if self._span is not None and len(self._span) != len(unit):
            return
        self._span = unit if self._span is None else span_of((self._span, unit))
        if self._boxes is None:
            return
        last = self._boxes[-1] if self._boxes else ()
        if last and last[:-1] == unit[:-1] and last[-1][1] == unit[-1][0]:
            self._boxes[-1] = (*last[:-1], (last[-1][0], unit[-1][1]))
            return
        self._boxes.append(unit)
        if len(self._boxes) > self._limit:
            joined = join_boxes(self._boxes)
            self._boxes = joined if len(joined) <= self._limit // 2 else None

    def boxes(self) -> tuple[list[Box], bool]:
        """Return boxes that hold all places, and whether they hold no others."""
        if self._span is None:
            return [], True
        joined = None if self._boxes is None else join_boxes(self._boxes)
        if joined is None or len(joined) > MAX_BOXES:
            return [self._span], False
        return joined, True


def span_of(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that holds some."""
    axes = zip(*boxes, strict=True)
    return tuple((min(low for low, _ in axis), max(high for _, high in axis)) for axis in axes)


def join_boxes(boxes: Iterable[Box]) -> list[Box]:
    """Join boxes side by side along the last dimension, then along the one before it, and so on."""
    found = sorted(set(boxes))
    for axis in reversed(range(len(found[0]) if found else 0)):
        found = _join_along(axis, found)
    return sorted(found)


def _join_along(axis: int, boxes: list[Box]) -> list[Box]:
    boxes.sort(key=lambda box: (box[:axis], box[axis + 1 :], box[axis]))
    joined: list[Box] = []
    for box in boxes:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last[:axis] == box[:axis]
            and last[axis + 1 :] == box[axis + 1 :]
            and last[axis][1] >= box[axis][0]
        ):
            high = max(last[axis][1], box[axis][1])
            joined[-1] = (*last[:axis], (last[axis][0], high), *last[axis + 1 :])
        else:
            joined.append(box)
    return joined


def elements_of(box: Box, cells: CellShape, shape: Shape) -> Box | None:
    """Return the elements in a box of chunks; None if there are none within the shape."""
    ranges = tuple(
        (min(_start_of(side, low), size), min(_start_of(side, high), size))
        for (low, high), side, size in zip(box, cells, shape, strict=True)
    )
    return ranges if all(low < high for low, high in ranges) else None


def _start_of(side: int | Runs, index: int) -> int:
    """Return the first element of a chunk along a dimension, or the end of the last one."""
    if isinstance(side, int):
        return side * index
    start = 0
    for length, count in side:
        taken = min(index, count)
        start += length * taken
        index -= taken
    return start
