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
