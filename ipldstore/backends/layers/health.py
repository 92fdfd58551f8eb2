"""Which of several sources to ask first: those that failed lately come last."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ipldstore.locks import Guard, Turn, Turns

FIRST_REST = 1.0
LONGEST_REST = 60.0
MOST_REQUESTS = 32
"""About how many requests to a source may be under way before others are asked first."""


class _Record(NamedTuple):
    """How often a source failed in a row, and until when it rests."""

    failures: int = 0
    until: float = float("-inf")


class Health:
    """What is known of a source.

    Parameters
    ----------
    clock
        A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._guard = Guard()
        self._record = _Record()
        self._requests = Turns()

    @property
    def is_good(self) -> bool:
        """Whether the source answers, as far as is known, and keeps up with what it is asked."""
        return len(self._requests) < MOST_REQUESTS and self._clock() >= self._record.until

    def begin(self) -> Turn:
        """Note that the source is being asked, until the turn ends."""
        return self._requests.begin()

    def note_success(self) -> None:
        """Note that it answered, with a block or with "not there"."""
        self._record = _Record()

    def note_failure(self) -> None:
        """Note that it failed or lied: it rests, each time in a row twice as long."""
        now = self._clock()
        with self._guard():
            failures = self._record.failures
            rest = min(FIRST_REST * 2 ** min(failures, 16), LONGEST_REST)
            self._record = _Record(failures + 1, now + rest)
