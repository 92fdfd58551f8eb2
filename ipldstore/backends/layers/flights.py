"""Fetching a block once for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ipldstore.basics.locks import Guard
from ipldstore.cid import Link
from ipldstore.errors import ReentrantCallError

_Answer: TypeAlias = bytes | Exception | None
"""What came of a flight; None if whoever was fetching was cancelled, interrupted or refused.

Only a signal handler or finalizer is refused, in the middle of a call of its own thread.
"""


class _Flight:
    """A block that a thread fetches: the one that is inside of the guard."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.answer: _Answer = None


class _LoopFlight:
    """A block that a task of an event loop fetches."""

    __slots__ = ("_answer", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self._answer: asyncio.Future[_Answer] | None = None

    @property
    def answer(self) -> asyncio.Future[_Answer]:
        """What comes of it, for those who wait."""
        if self._answer is None:
            self._answer = self.task.get_loop().create_future()
        return self._answer

    def land(self, answer: _Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


class Flights:
    """The blocks that are being fetched.

    Threads wait for threads, and tasks for tasks of their own event loop: a thread that waited
    for a task of the loop that it runs would wait for ever. If the one that fetches is cancelled
    or interrupted, wherever that is, another one that waits fetches instead; if it fails, all get
    its error.
    """

    def __init__(self) -> None:
        self._threads: dict[Link, _Flight] = {}
        self._tasks: dict[tuple[asyncio.AbstractEventLoop, Link], _LoopFlight] = {}

    def run(self, cid: Link, fetch: Callable[[Link], bytes]) -> bytes:
        """Fetch a block, or wait until another thread has fetched it."""
        flight = self._threads.setdefault(cid, _Flight())
        with flight.guard():
            if flight.answer is None:
                answer = _fetched(fetch, cid)
                # who comes now did not wait for this answer, and asks anew
                if self._threads.get(cid) is flight:
                    del self._threads[cid]
                flight.answer = answer
            return _unpacked(flight.answer)

    async def run_async(self, cid: Link, fetch: Callable[[Link], Awaitable[bytes]]) -> bytes:
        """`run` for tasks of an event loop."""
        task = asyncio.current_task()
        if task is None:
            return await fetch(cid)
        key = task.get_loop(), cid
        while (flight := self._tasks.setdefault(key, _LoopFlight(task))).task is not task:
            # a task that was interrupted may have ended without a word
            await asyncio.wait({flight.answer, flight.task}, return_when="FIRST_COMPLETED")
            answer = flight.answer.result() if flight.answer.done() else None
            if answer is not None:
                return _unpacked(answer)
            self._leave(key, flight)
        return await self._lead(key, flight, fetch)

    async def _lead(
        self,
        key: tuple[asyncio.AbstractEventLoop, Link],
        flight: _LoopFlight,
        fetch: Callable[[Link], Awaitable[bytes]],
    ) -> bytes:
        answer: _Answer = None
        try:
            answer = await fetch(key[1])
        except ReentrantCallError:
            raise
        except Exception as error:
            answer = error
            raise
        finally:
            self._leave(key, flight)
            flight.land(answer)
        return answer

    def _leave(self, key: tuple[asyncio.AbstractEventLoop, Link], flight: _LoopFlight) -> None:
        if self._tasks.get(key) is flight:
            del self._tasks[key]


def _fetched(fetch: Callable[[Link], bytes], cid: Link) -> _Answer:
    try:
        return fetch(cid)
    except ReentrantCallError:
        raise
    except Exception as error:
        return error


def _unpacked(answer: _Answer) -> bytes:
    assert answer is not None
    if isinstance(answer, Exception):
        raise answer
    return answer
