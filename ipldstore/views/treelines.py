"""A hierarchy as lines of text: `iter_tree_lines`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from ipldstore.basics.words import printable, size_text
from ipldstore.model.outline import Outline
from ipldstore.views.words import TIMES, chunk_shape_text, count_text, shape_text, type_text

MIN_WIDTH = 40

_HEADS = ("name", "type", "shape", "chunk shape", "chunks", "stored")
_RIGHT = (False, False, False, False, True, True)
_GAP = "  "


class _Marks(NamedTuple):
    """The characters that a tree is drawn with."""

    child: str
    last: str
    down: str
    times: str
    cut: str


_UNICODE = _Marks("├── ", "└── ", "│   ", TIMES, "…")
_ASCII = _Marks("|-- ", "`-- ", "|   ", "x", "~")


def iter_tree_lines(outline: Outline, *, width: int, ascii_only: bool = False) -> Iterator[str]:
    """Iterate the lines of a table, of which the first column is the tree of names.

    `width` is how many cells of a terminal a line may take, at least 40; columns that are too wide
    for that are cut. With `ascii_only`, all that is not ASCII is spelled out.

    Examples
    --------
    >>> from ipldstore.model.outline import Outline
    >>> t = Outline("t", "t", "array", 3, (8, 9), None, "float64", (4, 9), None, 1, 2, 99)
    >>> top = Outline("", "", "group", children=[t])
    >>> for line in iter_tree_lines(top, width=80, ascii_only=True):
    ...     print(line)
    name   type     shape  chunk shape  chunks    stored
    /      group
    `-- t  float64  8x9    4x9             1/2  99 bytes
    """
    marks = _ASCII if ascii_only else _UNICODE
    rows = [_HEADS, *(_cells(node, prefix, marks) for node, prefix in _iter_rows(outline, marks))]
    widths = _fit([max(map(cell_len, column)) for column in zip(*rows, strict=True)], width)
    for row in rows:
        yield _line(row, widths, marks.cut)


def _iter_rows(top: Outline, marks: _Marks) -> Iterator[tuple[Outline, str]]:
    """Iterate nodes and what stands before their names."""
    stack = [(top, "", "")]
    while stack:
        node, prefix, below = stack.pop()
        yield node, prefix
        for child in reversed(node.children):
            is_last = child is node.children[-1]
            branch = marks.last if is_last else marks.child
            stack.append((child, below + branch, below + ("    " if is_last else marks.down)))


def _cells(node: Outline, prefix: str, marks: _Marks) -> tuple[str, ...]:
    name = node.name or "/"
    cells = (
        prefix + printable(name, ascii_only=marks is _ASCII),
        type_text(node),
        shape_text(node.shape, marks.times) if node.kind == "array" else "",
        chunk_shape_text(node, marks.times) if node.kind == "array" else "",
        count_text(node),
        "" if node.stored_bytes is None else size_text(node.stored_bytes),
    )
    return (cells[0], *(printable(cell, ascii_only=marks is _ASCII) for cell in cells[1:]))


def _fit(widths: list[int], width: int) -> list[int]:
    """Make the widest columns narrower until all fit; names may have twice the width of others."""
    width = max(width, MIN_WIDTH) - len(_GAP) * (len(widths) - 1)
    widths = [min(column, width) for column in widths]
    while sum(widths) > width:
        widest = max(range(len(widths)), key=lambda index: widths[index] / (2 if index == 0 else 1))
        widths[widest] -= 1
    return widths


def _line(row: Iterable[str], widths: list[int], mark: str) -> str:
    cells = []
    for text, width, right in zip(row, widths, _RIGHT, strict=True):
        is_cut = cell_len(text) > width
        shown = set_cell_size(text, width - 1).rstrip() + mark if is_cut else text
        pad = " " * (width - cell_len(shown))
        cells.append(pad + shown if right else shown + pad)
    return _GAP.join(cells).rstrip()
