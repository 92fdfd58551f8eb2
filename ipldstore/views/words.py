"""Names, shapes, counts and sizes as short texts."""

from __future__ import annotations

from itertools import chain, islice, repeat, starmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipldstore.views.cells import CellShape, Runs
    from ipldstore.views.outline import Outline

TIMES = "×"  # noqa: RUF001

_MOST_LENGTHS = 4


def printable(text: str, *, ascii_only: bool = False) -> str:
    """Spell out the characters that could steer a terminal or end a line."""
    return "".join(
        char
        if char.isprintable() and (char.isascii() or not ascii_only)
        else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


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


def filled_text(present: int | None, possible: int | None) -> str:
    """Say how many are there of how many, such as ``0 of 8``, with ``?`` for what is unknown."""
    return " of ".join(
        "?" if number is None else number_text(number) for number in (present, possible)
    )


def number_text(number: int) -> str:
    """Write a number that may be of any length."""
    text = str(number) if number < 10**15 else f"{number:.1e}" if number < 10**300 else "huge"
    return text.replace("e+", "e")


def size_text(size: float) -> str:
    """Write a number of bytes in the unit that suits it, 1 kB being 1000 bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return _bytes_text(round(size)) if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _bytes_text(size: int) -> str:
    return f"{size} byte{'s' * (size != 1)}"
