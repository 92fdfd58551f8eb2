"""Trying again what failed for now: a bounded number of times, with growing waits between."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

from ipldstore.errors import BackendError

T = TypeVar("T")


class TransientError(BackendError):
    """A retryable fault of a node or gateway: trying again in a moment may succeed.

    It comes after the attempts that the block store makes by itself. `wait` is how many seconds the
    other side asks to wait.
    """

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message, retryable=True)
        self.wait = wait


class Retries(NamedTuple):
    """How often and how long.

    `attempts` counts the first one. `first_wait` is the seconds before the second; each further
    wait is twice as long, and all are made up to a half shorter by chance, so that clients do not
    come back together. No wait exceeds `longest_wait`: a server that asks for more is not tried
    again.
    """

    attempts: int = 4
    first_wait: float = 0.2
    longest_wait: float = 10.0

    def run(self, call: Callable[[], T]) -> T:
        """Call until it does not raise `TransientError`, and raise the last one."""
        for wait in self._iter_waits():
            try:
                return call()
            except TransientError as error:
                if error.wait > self.longest_wait:
                    raise
                time.sleep(max(wait, error.wait))
        return call()

    async def run_async(self, call: Callable[[], Awaitable[T]]) -> T:
        """`run` for event loops."""
        for wait in self._iter_waits():
            try:
                return await call()
            except TransientError as error:
                if error.wait > self.longest_wait:
                    raise
                await asyncio.sleep(max(wait, error.wait))
        return await call()

    def _iter_waits(self) -> Iterator[float]:
        for attempt in range(self.attempts - 1):
            yield min(self.first_wait * 2**attempt, self.longest_wait) * random.uniform(0.5, 1)


DEFAULT_RETRIES = Retries()
