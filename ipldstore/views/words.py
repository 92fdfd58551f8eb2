"""Names, shapes, counts and sizes as short texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipldstore.views.outline import Outline

TIMES = "×"  # noqa: RUF001


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


def shape_text(shape: tuple[int, ...] | None, times: str = TIMES) -> str:
    """Write a shape."""
    if shape is None:
        return "?"
    return times.join(map(number_text, shape)) or "scalar"


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
