"""Counts, sizes and foreign text as short texts for people."""

from __future__ import annotations


def printable(text: str, *, ascii_only: bool = False) -> str:
    """Spell out the characters that could steer a terminal or end a line."""
    return "".join(
        char
        if char.isprintable() and (char.isascii() or not ascii_only)
        else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


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
