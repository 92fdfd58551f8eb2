"""Natural order of segments, in which ``2.10`` follows ``2.9``."""

from __future__ import annotations

import re

_DIGITS = re.compile("([0-9]+)")
_MAX_REMEMBERED = 1 << 17
_MAX_REMEMBERED_DIGITS = 20


class _NumberKeys(dict[str, str]):
    """Sort keys of runs of digits: a NUL, their number without leading zeros, then they."""

    def __missing__(self, run: str) -> str:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        digits = run.lstrip("0")
        key = f"\0{chr(len(digits) + 1)}{digits}"
        if len(run) <= _MAX_REMEMBERED_DIGITS:
            self[run] = key
        return key


_number_keys = _NumberKeys()


def natural_key(segment: str) -> str:
    """Return a text by which segments sort in natural order.

    A segment is compared run by run, a run being ASCII digits or anything else: digits before
    text, digits by value, text by its bytes in UTF-8 (which is the order of code points), a prefix
    first; at last by the whole segment. No segment holds a NUL, so it can stand for a number's
    begin and, doubled, for the end of the runs.
    """
    parts = _DIGITS.split(segment)
    parts[1::2] = [_number_keys[run] for run in parts[1::2]]
    return f"{''.join(parts)}\0\0{segment}"


def in_natural_order(segments: list[str], data: list[bytes]) -> tuple[list[str], list[bytes]]:
    """Sort segments, and what is encoded of each, which begins with the segment as DAG-CBOR."""
    if _are_numbers(segments):
        return sorted(sorted(segments), key=len), sorted(data)
    keys = list(map(natural_key, segments))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [segments[index] for index in order], [data[index] for index in order]


def _are_numbers(segments: list[str]) -> bool:
    """Whether all are digits without leading zeros, which sort by length and bytes."""
    joined = "".join(segments)
    return (
        joined.isascii()
        and joined.isdigit()
        and all(segments)
        and [segment for segment in segments if segment[0] == "0"] in ([], ["0"])
    )
