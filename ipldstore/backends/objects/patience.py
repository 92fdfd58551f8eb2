"""When requests are sent to an object store, and sent again: all those of one store together."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ipldstore.backends.objects.faults import is_unconnected, may_pass
from ipldstore.backends.objects.load import Load

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_LOOP_SHARE = 4
"""How many requests of an event loop count as one of threads: whoever uses it bounds them, too."""

_ROW = 3
"""How many failures in a row, of all requests, are taken for a server that wants a pause."""

_SECONDS_FOR_STRANGERS = 4.0
"""How long a server that was never reached is tried: its address may be wrong."""


class Patience:
    """When the requests of a store are sent, and how long they are tried again.

    A request waits while too many others are under way, as `Load` says. Each is tried until it
    succeeds, is refused for good, or `seconds` are over, with growing waits. While several fail and
    none succeeds, all wait together. Reading and putting a block can be repeated, as a block is the
    same whoever puts it. `connections` is how many of threads are under way at once at most.
    """

    def __init__(self, seconds: float, connections: int) -> None:
        self.seconds = seconds
        self.load = Load(connections, _LOOP_SHARE)
        self._was_reached = False
        self._row = 0
        self._resumes = 0.0

    def run(self, call: Callable[[], T]) -> T:
        """Call until it does not fail for now; the last error of `call` comes as it is."""
        request = _Request()
        while True:
            if wait := request.wait(self._resumes):
                time.sleep(wait)
            try:
                return self._noted(self.load.run(call))
            except Exception as error:
                self._note_failure(request, error)

    async def run_async(self, call: Callable[[], Awaitable[T]]) -> T:
        """`run` for event loops."""
        request = _Request()
        while True:
            if wait := request.wait(self._resumes):
                await asyncio.sleep(wait)
            try:
                return self._noted(await self.load.run_async(call))
            except Exception as error:
                self._note_failure(request, error)

    def _noted(self, result: T) -> T:
        self._was_reached = True
        self._row = 0
        return result

    def _note_failure(self, request: _Request, error: Exception) -> None:
        """Say when the request is tried again; raise the error if it is not."""
        if not is_unconnected(error):
            self._was_reached = True
        if not may_pass(error):
            raise error
        self._row += 1
        now = time.monotonic()
        request.note_failure(now)
        if self.seconds and self._row >= _ROW and now >= self._resumes:
            self._resumes = now + _wait_after(self._row - _ROW)
        strangers = min(self.seconds, _SECONDS_FOR_STRANGERS)
        end = request.begun + (self.seconds if self._was_reached else strangers)
        if max(request.resumes, self._resumes) >= end:
            raise error


class _Request:
    """One request, and when it may be sent again."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.resumes = 0.0
        self._failures = 0

    def note_failure(self, now: float) -> None:
        self.resumes = now + _wait_after(self._failures)
        self._failures += 1

    def wait(self, resumes: float) -> float:
        resumes = max(self.resumes, resumes)
        return max(0.0, resumes - time.monotonic()) if resumes else 0.0


def _wait_after(failures: int) -> float:
    wait = min(_FIRST_WAIT * 2.0 ** min(failures, 10), _LONGEST_WAIT)
    return wait * random.uniform(0.5, 1)
