"""Warnings at the line that led to them: the nearest one that is not of this package."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import NamedTuple

_PACKAGE = __name__.partition(".")[0]


class Line(NamedTuple):
    """A line of code: its file, its number, and how many calls it is away."""

    filename: str
    number: int
    calls: int


def find_line() -> Line:
    """Return the nearest line outside of this package that led to the function that asks."""
    frame = sys._getframe(1)
    calls = 0
    while frame.f_back is not None and _is_passed_over(frame):
        frame = frame.f_back
        calls += 1
    return Line(frame.f_code.co_filename, frame.f_lineno, calls)


def _is_passed_over(frame: FrameType) -> bool:
    """Whether a call is of this package, or of Python's own machinery, as when a class is made."""
    module = str(frame.f_globals.get("__name__"))
    is_frozen = frame.f_code.co_filename.startswith("<frozen ")
    return is_frozen or module.partition(".")[0] == _PACKAGE


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line outside of this package."""
    warnings.warn(message, category, stacklevel=1 + find_line().calls)
