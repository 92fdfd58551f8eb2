"""The connections of event loops, which are closed before their loop ends."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import NamedTuple

import aiohttp

from ipldstore.limits import CONNECT_SECONDS


class LoopSession(NamedTuple):
    """What belongs to one event loop."""

    session: aiohttp.ClientSession
    slots: asyncio.Semaphore
    closer: AsyncGenerator[None]


class Loops:
    """The sessions of a client, one for each event loop that it is used on."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._own: dict[asyncio.AbstractEventLoop, LoopSession] = {}
        # a client may be garbage together with its sessions, which then would not be closed
        weakref.finalize(self, _leave, self._own).atexit = False

    async def here(self) -> LoopSession:
        """Return the session of the event loop that runs."""
        loop = asyncio.get_running_loop()
        own = self._own.get(loop)
        if own is None:
            for other in [other for other in self._own if other.is_closed()]:
                del self._own[other]
            own = self._own[loop] = _make_session(self._connections)
            self._close_before_the_loop_ends()
            await anext(own.closer)
        return own

    def close(self) -> None:
        """Close all sessions; the next request opens them anew."""
        while self._own:
            _close_on_loop(*self._own.popitem())

    def _close_before_the_loop_ends(self) -> None:
        """Have the sessions closed at exit, before what ends the loop: zarr's ends at exit, too."""
        _in_use.add(self)
        atexit.unregister(_close_at_exit)
        atexit.register(_close_at_exit)


_in_use: weakref.WeakSet[Loops] = weakref.WeakSet()


def _close_at_exit() -> None:
    for loops in list(_in_use):
        loops.close()


def _make_session(connections: int) -> LoopSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return LoopSession(session, asyncio.Semaphore(connections), _close_with_loop(session))


async def _close_with_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """Close a session when the event loop ends: a loop closes the generators that began on it."""
    try:
        yield
    finally:
        await session.close()


def _leave(own: dict[asyncio.AbstractEventLoop, LoopSession]) -> None:
    """Have loops that go on close sessions, without waiting for them."""
    for loop, one in own.items():
        if loop.is_running():
            with suppress(RuntimeError):  # it may end meanwhile, and then closes them itself
                asyncio.run_coroutine_threadsafe(one.closer.aclose(), loop)


def _close_on_loop(loop: asyncio.AbstractEventLoop, own: LoopSession) -> None:
    if loop.is_closed():
        return
    if not loop.is_running():
        loop.run_until_complete(own.closer.aclose())
        return
    closing = asyncio.run_coroutine_threadsafe(own.closer.aclose(), loop)
    with suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            return
    closing.result(CONNECT_SECONDS)
