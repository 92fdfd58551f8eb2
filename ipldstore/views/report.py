"""What changed between two hierarchies, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain, islice
from typing import Any

from ipldstore.basics.words import number_text, printable
from ipldstore.model.boxes import Box
from ipldstore.model.nodechange import KINDS, MISSING, NodeChange, text_of
from ipldstore.views.style import STYLE

MAX_NODES = 50
"""Groups and arrays that are shown."""

MAX_LINES = 12
"""Lines of fields and attributes that are shown of each."""

MAX_SHOWN_BOXES = 4
_MAX_TEXT_LENGTH = 60
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_SHOWN_OF_NEW = ("dtype", "shape")


def draw_text(
    before: str | None, after: str | None, nodes: Sequence[NodeChange], other: Mapping[str, int]
) -> str:
    """Say what changed, in lines; the rest is counted where there is much."""
    return "\n".join(_iter_lines(before, after, nodes, other))


def draw_html(
    before: str | None, after: str | None, nodes: Sequence[NodeChange], other: Mapping[str, int]
) -> str:
    """Say the same as an HTML element, without scripts."""
    text = escape(draw_text(before, after, nodes, other))
    return f'<div class="ipldstore"><style>{STYLE}</style><pre>{text}</pre></div>'


def _iter_lines(
    before: str | None, after: str | None, nodes: Sequence[NodeChange], other: Mapping[str, int]
) -> Iterator[str]:
    yield f"before {before or 'not frozen'}"
    yield f"after  {after or 'not frozen'}"
    for node in nodes[:MAX_NODES]:
        yield _head(node)
        for line in _details(node):
            yield f"    {line}"
    if len(nodes) > MAX_NODES:
        yield f"and {len(nodes) - MAX_NODES:,} more groups and arrays"
    if any(other.values()):
        yield f"other keys: {_counts_text(other)}"
    elif not nodes:
        yield "nothing changed"


def _head(node: NodeChange) -> str:
    name = f"{_SIGNS[node.kind]} {node.node} {_cut(node.path or '/')}"
    said = _said_of_whole(node)
    if any(node.counts):
        said.append(f"chunks: {_counts_text(node.chunks)}")
    return f"{name}: {'; '.join(said)}" if said else name


def _said_of_whole(node: NodeChange) -> list[str]:
    """Return what is said of an array that came or went, instead of all of its metadata."""
    if node.kind == "changed":
        return []
    side = node.kind == "added"
    found = (node.fields.get(name, (MISSING, MISSING))[side] for name in _SHOWN_OF_NEW)
    words = " ".join(_value_text(value) for value in found if value is not MISSING)
    return [words] if words else []


def _details(node: NodeChange) -> Iterator[str]:
    if node.kind == "changed":
        fields = ((name, values) for name, values in node.fields.items())
        attributes = ((f"attribute {_cut(name)}", pair) for name, pair in node.attributes.items())
        for name, pair in islice(chain(fields, attributes), MAX_LINES):
            yield f"{printable(name)}: {_value_text(pair[0])} -> {_value_text(pair[1])}"
        more = len(node.fields) + len(node.attributes) - MAX_LINES
        if more > 0:
            yield f"and {more:,} more fields and attributes"
        if any(node.ranges):
            yield _ranges_text(node)
    for name, (first, last) in node.coordinates.items():
        if node.kind != "removed":
            yield f"{_cut(name)}: {_value_text(first)} to {_value_text(last)}"


def _ranges_text(node: NodeChange) -> str:
    shown = ", ".join(map(_box_text, node.ranges[:MAX_SHOWN_BOXES]))
    more = len(node.ranges) - MAX_SHOWN_BOXES
    if more > 0:
        shown += f" and {more} more"
    return f"elements {shown}" if node.is_exact else f"elements within {shown}"


def _box_text(box: Box) -> str:
    sides = (f"{number_text(low)}:{number_text(high)}" for low, high in box)
    return f"[{', '.join(sides)}]"


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind])


def _value_text(value: Any) -> str:
    if value is MISSING:
        return "none"
    return _cut(value if isinstance(value, str) else text_of(value))


def _cut(text: str) -> str:
    return printable(text if len(text) <= _MAX_TEXT_LENGTH else f"{text[: _MAX_TEXT_LENGTH - 1]}…")
