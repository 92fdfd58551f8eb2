"""Which version came from which, drawn as lines of text."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple

from ipldstore.basics.words import printable

SHORT = 15
"""Characters of a CID that are shown: enough to name a version by, eight of them its own."""

_MOST_MESSAGE = 72
_MOST_COLUMNS = 40
"""Lines side by side that are drawn; of more, only those at the left."""


class Drawn(NamedTuple):
    """A version as it is drawn; `link` and `parents` only tell which is which."""

    link: Hashable
    parents: Sequence[Hashable]
    cid: str
    refs: Sequence[str]
    time: datetime
    author: str
    message: str


class _Marks(NamedTuple):
    """The characters of a drawing: a version, lines, and where these meet, begin and end."""

    version: str
    down: str
    across: str
    cross: str
    fork: str
    begin: str
    join: str
    end: str


_UNICODE = _Marks("●", "│", "─", "┼", "├", "╮", "┤", "╯")
_ASCII = _Marks("*", "|", "-", "+", "+", "+", "+", "+")


def iter_ancestry_lines(versions: Iterable[Drawn], *, ascii_only: bool = False) -> Iterator[str]:
    """Iterate the lines of a drawing, one a version and one for each line that begins or ends.

    Each version has to come before its parents.
    """
    lanes: list[Hashable | None] = []
    marks = _ASCII if ascii_only else _UNICODE
    for version in versions:
        column = lanes.index(version.link) if version.link in lanes else _free(lanes)
        lanes[column] = version.link
        row = [marks.down if lane is not None else " " for lane in lanes[:_MOST_COLUMNS]]
        row[column : column + 1] = [marks.version] * (column < _MOST_COLUMNS)
        yield f"{' '.join(row)}  {_tell(version, ascii_only)}".rstrip()
        yield from _go_on(lanes, column, version.parents, marks)
        while lanes and lanes[-1] is None:
            lanes.pop()


def _free(lanes: list[Hashable | None]) -> int:
    """Return a column that is free, a new one if none is."""
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


def _go_on(
    lanes: list[Hashable | None], column: int, parents: Sequence[Hashable], marks: _Marks
) -> Iterator[str]:
    """Have the lines go on to the parents of a version, one that no line leads to straight on."""
    others = list(parents)
    straight = next((parent for parent in others if parent not in lanes), None)
    if straight is not None:
        others.remove(straight)
    last = others.pop() if others and straight is None else None
    lanes[column] = straight if last is None else lanes[column]
    for parent in others:
        is_new = parent not in lanes
        end = _free_beside(lanes, column) if is_new else lanes.index(parent)
        lanes[end] = parent
        far = marks.begin if is_new and end > column else marks.join
        yield _connect(lanes, column, end, (marks.fork, far), marks)
    if last is not None:
        end = lanes.index(last)
        lanes[column] = lanes[end] = None
        lanes[min(column, end)] = last
        yield _connect(lanes, column, end, (marks.fork, marks.end), marks)


def _free_beside(lanes: list[Hashable | None], column: int) -> int:
    for index in range(column + 1, len(lanes)):
        if lanes[index] is None:
            return index
    lanes.append(None)
    return len(lanes) - 1


def _connect(
    lanes: Sequence[Hashable | None],
    column: int,
    end: int,
    ends: tuple[str, str],
    marks: _Marks,
) -> str:
    """Draw a line between two columns, whose ends are given from left to right."""
    width = 2 * min(max(len(lanes), column + 1, end + 1), _MOST_COLUMNS) - 1
    cells = [" "] * width
    for index, lane in enumerate(lanes[:_MOST_COLUMNS]):
        if lane is not None:
            cells[2 * index] = marks.down
    low, high = sorted((2 * column, 2 * end))
    for index in range(low + 1, min(high, width)):
        cells[index] = marks.cross if cells[index] == marks.down else marks.across
    for index, mark in zip((low, high), ends, strict=True):
        cells[index : index + 1] = [mark] * (index < width)
    return "".join(cells).rstrip()


def _tell(version: Drawn, ascii_only: bool) -> str:
    first = first_line(version.message, ascii_only=ascii_only)
    refs = f" ({', '.join(printable(ref, ascii_only=ascii_only) for ref in version.refs)})"
    author = f" - {printable(version.author, ascii_only=ascii_only)}" * bool(version.author)
    named = refs * bool(version.refs)
    return f"{version.cid[:SHORT]}  {version.time:%Y-%m-%d %H:%M}{named}  {first}{author}"


def first_line(message: str, *, ascii_only: bool = False) -> str:
    """Return the first line of a message, cut to a length."""
    lines = message.strip().splitlines()
    first = printable(lines[0] if lines else "", ascii_only=ascii_only)
    return first if len(first) <= _MOST_MESSAGE else first[: _MOST_MESSAGE - 3] + "..."


def draw_text(versions: Iterable[Drawn]) -> str:
    """Draw versions as text."""
    return "\n".join(iter_ancestry_lines(versions))


def draw_html(versions: Iterable[Drawn]) -> str:
    """Draw versions as an HTML element, for notebooks."""
    return f'<pre class="ipldstore-log">{escape(draw_text(versions))}</pre>'
