"""How many requests an object store is sent at once: fewer after it says that it is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from ipldstore.backends.objects.faults import is_busy, may_pass
from ipldstore.basics.locks import Guard, Turns

T = TypeVar("T")


_TOLERATED = 8
"""One busy answer among so many says nothing: some servers give one now and then."""


class Pace(NamedTuple):
    """How many requests may be under way at once, and what led to that.

    `most` is how many there may be at most, `at_once` how many there may be now. `good` and `busy`
    are how many answers of either kind have come since that was last changed or kept, `halvings`
    how often it was halved.
    """

    most: int
    at_once: int
    good: int = 0
    busy: int = 0
    halvings: int = 0

    @property
    def is_full(self) -> bool:
        """Whether good answers change nothing."""
        return self.at_once == self.most and not self.busy

    def after_busy(self) -> Pace:
        """Return the pace after an answer of a busy server: half as many if these are too many."""
        busy = self.busy + 1
        if busy * _TOLERATED <= self.most:
            return self._replace(busy=busy)
        return Pace(self.most, max(1, self.at_once // 2), halvings=self.halvings + 1)

    def after_good(self) -> Pace:
        """Return the pace after any other answer: one more after `most` of them."""
        good = self.good + 1
        if good < self.most:
            return self._replace(good=good)
        return Pace(self.most, min(self.at_once + 1, self.most), halvings=self.halvings)


class Load:
    """Bounds how many requests are under way at once, by what a server turns out to bear.

    Requests that were under way when the number was halved do not change it again: they say nothing
    about the new one. `most` is how many there may be at most, of threads together; `share` how
    many of an event loop count as one of those.
    """

    def __init__(self, most: int, share: int = 1) -> None:
        self.pace = Pace(most, most)
        self.share = share
        self._guard = Guard()
        self._turns = Turns(most)
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, _Slots] = WeakKeyDictionary()

    def run(self, call: Callable[[], T]) -> T:
        """Send a request when not too many others of threads are under way."""
        turn = self._turns.begin()
        sent_at = self.pace
        try:
            result = call()
        except Exception as error:
            self._note_answer(sent_at, error)
            raise
        finally:
            turn.end()
        self._note_answer(sent_at)
        return result

    async def run_async(self, call: Callable[[], Awaitable[T]]) -> T:
        """`run` for event loops."""
        slots = self._slots_here()
        await slots.take(self)
        sent_at = self.pace
        try:
            result = await call()
        except Exception as error:
            self._note_answer(sent_at, error)
            raise
        finally:
            slots.give_back(self)
        self._note_answer(sent_at)
        return result

    def _slots_here(self) -> _Slots:
        loop = asyncio.get_running_loop()
        slots = self._slots.get(loop)
        if slots is None:
            slots = self._slots[loop] = _Slots(self.share * self.pace.at_once)
        return slots

    def _note_answer(self, sent_at: Pace, error: Exception | None = None) -> None:
        """Learn from how a request ended; one that is not answered says nothing about load."""
        was_busy = error is not None and is_busy(error)
        if error is None or was_busy or not may_pass(error):
            self._learn(sent_at, was_busy)

    def _learn(self, sent_at: Pace, was_busy: bool) -> None:
        if not was_busy and self.pace.is_full:
            return
        with self._guard():
            if sent_at.halvings == self.pace.halvings:
                self.pace = self.pace.after_busy() if was_busy else self.pace.after_good()
            self._turns.limit = self.pace.at_once


class _Slots(asyncio.Semaphore):
    """The slots for the requests of one event loop, `size` of them, taken or free."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    async def take(self, load: Load) -> None:
        """Take a slot, after dropping those that are too many."""
        await self.acquire()
        while self.size > load.share * load.pace.at_once:
            self.size -= 1
            await self.acquire()

    def give_back(self, load: Load) -> None:
        """Give a slot back, and add those that are missing."""
        while self.size < load.share * load.pace.at_once:
            self.size += 1
            self.release()
        self.release()
