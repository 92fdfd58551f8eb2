"""Changes of chunks drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import BinaryIO

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ipldstore.basics.words import number_text, printable
from ipldstore.views.changes import ArrayChanges, Changes
from ipldstore.views.grids import KINDS, ChunkGrid, Side

COLORS = {"added": "#0072b2", "changed": "#e69f00", "removed": "#882255", "same": "#cccccc"}
"""Told apart with every kind of color blindness, and in print: they differ in lightness too."""

_ABSENT = "#ffffff"
_LINE = "#999999"
_FAINTEST = 0.35
_STYLE = {
    "svg.hashsalt": "ipldstore",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
}
_DPI = 120

# inches
_WIDTH = 8.0
_MARGIN = 0.6
_HEAD = 0.95
_FOOT = 0.55
_TITLE = 0.38
_LABELS = 0.55
_CELL = 0.3
_MIN_SIDE = 0.3
_MAX_SIDE = 3.2
_GAP = 0.35


def draw(changes: Changes, file: BinaryIO, kind: str) -> None:
    """Draw changes as ``"png"`` or ``"svg"``."""
    with matplotlib.style.context(["default", _STYLE]):
        blocks = [_Block(array) for array in changes.arrays]
        height = _HEAD + _FOOT + sum(block.height for block in blocks) + 0.4 * (not blocks)
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        _write_head(figure, changes, height)
        top = height - _HEAD
        for block in blocks:
            block.draw(figure, top, height)
            top -= block.height
        _write_foot(figure, blocks, height)
        canvas = (FigureCanvasAgg if kind == "png" else FigureCanvasSVG)(figure)
        metadata = {"Date": None} if kind == "svg" else {}
        canvas.print_figure(file, format=kind, dpi=_DPI, metadata=metadata)


class _Block:
    """An array's part of the picture: a title, and panels of cells in lines."""

    def __init__(self, array: ArrayChanges) -> None:
        self.array = array
        grid = array.grid
        # wide panels go below each other, and others side by side
        self.across = min(grid.panels.bins, 4 if grid.columns.bins <= 2 * grid.rows.bins else 2)
        self.down = -(-grid.panels.bins // self.across)
        room = (_WIDTH - 2 * _MARGIN - _GAP * (self.across - 1)) / self.across
        self.wide = min(room, max(_CELL * grid.columns.bins, _MIN_SIDE))
        cell = self.wide / grid.columns.bins
        self.high = min(max(cell * grid.rows.bins, _MIN_SIDE), _MAX_SIDE)
        self.height = _TITLE + self.down * (self.high + _LABELS)

    def draw(self, figure: Figure, top: float, height: float) -> None:
        """Draw with the upper edge at a place, in inches from below."""
        figure.text(_MARGIN / _WIDTH, (top - 0.1) / height, self._title(), va="top", weight="bold")
        colors = _colors(self.array.grid)
        for panel, image in enumerate(colors):
            line, column = divmod(panel, self.across)
            left = _MARGIN + column * (self.wide + _GAP)
            bottom = top - _TITLE - line * (self.high + _LABELS) - self.high
            box = (left / _WIDTH, bottom / height, self.wide / _WIDTH, self.high / height)
            self._draw_panel(figure, box, image, panel)

    def _draw_panel(
        self,
        figure: Figure,
        box: tuple[float, float, float, float],
        image: NDArray[np.uint8],
        panel: int,
    ) -> None:
        grid = self.array.grid
        axes = figure.add_axes(box)
        axes.imshow(image, aspect="auto", interpolation="nearest")
        for spine in axes.spines.values():
            spine.set_color(_LINE)
        rows, columns, _ = image.shape
        if self.wide / columns > 0.08 and self.high / rows > 0.08:
            axes.set_xticks(np.arange(0.5, columns - 1), minor=True)
            axes.set_yticks(np.arange(0.5, rows - 1), minor=True)
            axes.grid(which="minor", color=_LINE, linewidth=0.5)
        axes.tick_params(which="both", length=0, labelsize=7, pad=2)
        _label(axes.xaxis, grid.columns, self._names(grid.columns))
        _label(axes.yaxis, grid.rows, self._names(grid.rows) if panel % self.across == 0 else "")
        if grid.panels.length > 1:
            axes.set_title(self._panel_title(panel), fontsize=7, pad=2)

    def _names(self, side: Side) -> str:
        return _text(" × ".join(self.array.dimensions[axis] for axis in side.axes), 40)  # noqa: RUF001

    def _title(self) -> str:
        totals = self.array.grid.totals()
        counts = ", ".join(f"{totals[kind]:,} {kind}" for kind in KINDS if totals[kind])
        grid = " × ".join(map(number_text, self.array.grid.grid)) or "1"  # noqa: RUF001
        note = f" ({self.array.note})" if self.array.note else ""
        return f"{_text(self.array.path or '/', 40)}: {counts or 'nothing'} of {grid} chunks{note}"

    def _panel_title(self, panel: int) -> str:
        side = self.array.grid.panels
        first, end = (-(-number * side.length // side.bins) for number in (panel, panel + 1))
        places = side.place_of(first), side.place_of(end - 1)
        texts = [", ".join(map(number_text, place)) for place in places]
        return f"{self._names(side)}: {texts[0] if end - first == 1 else ' to '.join(texts)}"


def _label(axis: object, side: Side, name: str) -> None:
    """Write the name of a direction, and its first and last chunk."""
    last = side.bins - 1
    ends = [0, last] if last else [0]
    axis.set_ticks(ends, [number_text(side.length - 1 if end else 0) for end in ends])  # type: ignore[attr-defined]
    if name:
        axis.set_label_text(name, fontsize=8)  # type: ignore[attr-defined]
        axis.labelpad = 1  # type: ignore[attr-defined]
    else:
        axis.set_ticks([])  # type: ignore[attr-defined]


def _colors(grid: ChunkGrid) -> NDArray[np.uint8]:
    """Return the color of each cell, by panel, row and column.

    That of the kind of change that most of its chunks had, the fainter the fewer of its chunks
    changed.
    """
    counts = np.stack([grid.counts[kind] for kind in KINDS]).astype(float)
    changed, same = counts[:3].sum(0), counts[3]
    palette = np.array([to_rgb(COLORS[kind]) for kind in KINDS[:3]])
    ground = np.where((same > 0)[..., None], to_rgb(COLORS["same"]), to_rgb(_ABSENT))
    share = changed / np.maximum(changed + same, 1)
    strength = np.where(changed > 0, _FAINTEST + (1 - _FAINTEST) * share, 0)[..., None]
    mixed = ground + strength * (palette[counts[:3].argmax(0)] - ground)
    pixels: NDArray[np.uint8] = np.rint(255 * mixed).astype(np.uint8)
    return pixels


def _write_head(figure: Figure, changes: Changes, height: float) -> None:
    left = _MARGIN / _WIDTH
    lines = (("from", changes.before), ("to", changes.after))
    for number, (word, root) in enumerate(lines):
        figure.text(left, (height - 0.2 - 0.2 * number) / height, word, va="center")
        figure.text(
            left + 0.06, (height - 0.2 - 0.2 * number) / height, _text(root, 80), va="center"
        )
    summary = _summary(changes)
    figure.text(left, (height - 0.65) / height, summary, va="center", color="#444444")


def _summary(changes: Changes) -> str:
    parts = []
    if changes.more:
        parts.append(f"{changes.more:,} more arrays with changes are not drawn")
    other = ", ".join(f"{changes.other[kind]:,} {kind}" for kind in KINDS if changes.other[kind])
    if other:
        parts.append(f"other keys, such as metadata: {other}")
    is_changed = parts or any(
        total for array in changes.arrays for total in list(array.grid.totals().values())[:3]
    )
    return "; ".join(parts) if is_changed else "Nothing changed."


def _write_foot(figure: Figure, blocks: Sequence[_Block], height: float) -> None:
    if not blocks:
        return
    handles = [Patch(color=COLORS[kind], label=kind) for kind in KINDS]
    handles.append(Patch(facecolor=_ABSENT, edgecolor=_LINE, label="not stored"))
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(_MARGIN / _WIDTH - 0.01, 0.18 / height),
        ncols=len(handles),
        frameon=False,
        borderpad=0,
    )
    most = max(block.array.grid.chunks_per_cell for block in blocks)
    if most > 1:
        text = f"a cell stands for up to {number_text(most)} chunks: the fainter, the fewer changed"
        figure.text(_MARGIN / _WIDTH, 0.1 / height, text, va="center", fontsize=7, color="#444444")


def _text(text: str, length: int) -> str:
    """Cut a text, and spell out what the font cannot show."""
    shown = "".join(char if _has_glyph(char) else printable(char, ascii_only=True) for char in text)
    shown = printable(shown)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


@cache
def _has_glyph(char: str) -> bool:
    return get_font(findfont("DejaVu Sans")).get_char_index(ord(char)) != 0
