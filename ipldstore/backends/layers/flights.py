"""Fetching a block once for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock
from typing import TypeAlias

from ipldstore.cid import Link

_Key: TypeAlias = tuple[asyncio.AbstractEventLoop | None, Link]


class _AbandonedError(Exception):
    """Whoever was fetching the block was cancelled or interrupted."""


class Flights:
    """The blocks that are being fetched.

    Threads wait for threads, and tasks for tasks of their own event loop: a thread that waited
    for a task of the loop that it runs would wait for ever. If the one that fetches is cancelled,
    another one that waits fetches instead; if it fails, all get its error.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._going: dict[_Key, Future[bytes]] = {}

    def run(self, cid: Link, fetch: Callable[[Link], bytes]) -> bytes:
        """Fetch a block, or wait until another thread has fetched it."""
        key = None, cid
        while (flight := self._join(key)) is not None:
            try:
                return flight.result()
            except _AbandonedError:
                continue
        with self._lead(key) as flight:
            data = fetch(cid)
            flight.set_result(data)
        return data

    async def run_async(self, cid: Link, fetch: Callable[[Link], Awaitable[bytes]]) -> bytes:
        """`run` for tasks of an event loop."""
        key = asyncio.get_running_loop(), cid
        while (flight := self._join(key)) is not None:
            try:
                return await asyncio.wrap_future(flight)
            except _AbandonedError:
                continue
        with self._lead(key) as flight:
            data = await fetch(cid)
            flight.set_result(data)
        return data

    def _join(self, key: _Key) -> Future[bytes] | None:
        """Return what is under way; None if the caller is the one to fetch."""
        with self._lock:
            flight = self._going.get(key)
            if flight is None:
                mine: Future[bytes] = Future()
                # from here on no one who waits can cancel it for the others
                mine.set_running_or_notify_cancel()
                self._going[key] = mine
            return flight

    @contextmanager
    def _lead(self, key: _Key) -> Iterator[Future[bytes]]:
        flight = self._going[key]
        error: BaseException = _AbandonedError()
        try:
            yield flight
        except Exception as fault:
            error = fault
            raise
        finally:
            with self._lock:
                del self._going[key]
            if not flight.done():
                flight.set_exception(error)
