"""Which of several sources to ask first: those that failed lately come last."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

FIRST_REST = 1.0
LONGEST_REST = 60.0
MOST_REQUESTS = 32
"""About how many requests to a source may be under way before others are asked first."""


class Health:
    """What is known of a source.

    Parameters
    ----------
    clock
        A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._rests_until = float("-inf")
        self._requests = 0

    @property
    def is_good(self) -> bool:
        """Whether the source answers, as far as is known, and keeps up with what it is asked."""
        return self._requests < MOST_REQUESTS and self._clock() >= self._rests_until

    def begin(self) -> None:
        """Note that the source is being asked."""
        with self._lock:
            self._requests += 1

    def end(self) -> None:
        """Note that it is not being asked any more."""
        with self._lock:
            self._requests -= 1

    def note_success(self) -> None:
        """Note that it answered, with a block or with "not there"."""
        with self._lock:
            self._failures = 0
            self._rests_until = float("-inf")

    def note_failure(self) -> None:
        """Note that it failed or lied: it rests, each time in a row twice as long."""
        with self._lock:
            rest = min(FIRST_REST * 2 ** min(self._failures, 16), LONGEST_REST)
            self._failures += 1
            self._rests_until = self._clock() + rest
