"""Which gateways did well lately."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ipldstore.backends.gateway.address import Gateway
from ipldstore.locks import Guard


class Penalty(NamedTuple):
    """How long a gateway is asked after the others: each time twice as long, up to a bound."""

    first: float
    longest: float


FAILURE = Penalty(2.0, 120.0)
LIE = Penalty(60.0, 3600.0)


class _Record(NamedTuple):
    """What is held against a gateway: how often it did badly, and until when that counts."""

    times: int = 0
    until: float = float("-inf")


class Health:
    """Puts the gateways in the order in which they are asked. It is safe under threads.

    Parameters
    ----------
    clock
        Returns seconds, and never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = Guard()
        self._records: dict[Gateway, _Record] = {}

    def order(self, gateways: Sequence[Gateway]) -> list[Gateway]:
        """Return all gateways: those that are well as given, then those that are so the soonest."""
        now = self._clock()
        untils = [self._records.get(gateway, _Record()).until for gateway in gateways]
        places = sorted(range(len(gateways)), key=lambda place: max(untils[place], now))
        return [gateways[place] for place in places]

    def punish(self, gateway: Gateway, penalty: Penalty) -> None:
        """Ask a gateway after the others for a while; what fails together counts once."""
        now = self._clock()
        with self._guard():
            times, until = self._records.get(gateway, _Record())
            if now >= until:
                times += 1
            seconds = min(penalty.first * 2.0 ** min(times - 1, 32), penalty.longest)
            self._records[gateway] = _Record(times, max(until, now + seconds))

    def clear(self, gateway: Gateway) -> None:
        """Forget what is held against a gateway: it did well."""
        self._records.pop(gateway, None)
