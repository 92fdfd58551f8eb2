"""Which of several sources did well lately: gateways, or the stores of a union."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

from ipldstore.basics.locks import Guard

Source = TypeVar("Source", bound=Hashable)


class Penalty(NamedTuple):
    """How many seconds a source is asked after the others: each time twice as long, bounded."""

    first: float
    longest: float


FAILURE = Penalty(2.0, 120.0)
LIE = Penalty(60.0, 3600.0)


class _Record(NamedTuple):
    """What is held against a source: how often it did badly, and until when that counts."""

    times: int = 0
    until: float = float("-inf")


class Health:
    """What is known of sources. It is safe under threads."""

    def __init__(self) -> None:
        self._guard = Guard()
        self._records: dict[Hashable, _Record] = {}

    def is_well(self, source: Hashable) -> bool:
        """Whether nothing is held against a source."""
        return time.monotonic() >= self._records.get(source, _Record()).until

    def order(self, sources: Sequence[Source]) -> list[Source]:
        """Return all sources: those that are well as given, then those that are so the soonest."""
        now = time.monotonic()
        untils = [self._records.get(source, _Record()).until for source in sources]
        places = sorted(range(len(sources)), key=lambda place: max(untils[place], now))
        return [sources[place] for place in places]

    def punish(self, source: Hashable, penalty: Penalty) -> None:
        """Ask a source after the others for a while; what fails together counts once."""
        now = time.monotonic()
        with self._guard():
            times, until = self._records.get(source, _Record())
            if now >= until:
                times += 1
            seconds = min(penalty.first * 2.0 ** min(times - 1, 32), penalty.longest)
            self._records[source] = _Record(times, max(until, now + seconds))

    def clear(self, source: Hashable) -> None:
        """Forget what is held against a source: it did well."""
        self._records.pop(source, None)
