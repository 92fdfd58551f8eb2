"""Sessions of event loops end with the client that they belong to, also where it is garbage."""

import asyncio
import gc
import threading

import pytest

from ipldstore.backends.http.loops import Loops

DEADLINE = 60


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def on(loop, work):
    return asyncio.run_coroutine_threadsafe(work, loop).result(DEADLINE)


async def until_closed(session):
    async with asyncio.timeout(DEADLINE):
        while not session.closed:
            await asyncio.sleep(0)


def test_garbage_closes_its_sessions(loop):
    loops = Loops(4)
    loops.itself = loops
    session = on(loop, loops.here()).session
    assert not session.closed
    del loops
    gc.collect()
    on(loop, until_closed(session))


def test_a_closed_client_opens_a_session_anew(loop):
    loops = Loops(4)
    first = on(loop, loops.here()).session
    loops.close()
    assert first.closed
    second = on(loop, loops.here()).session
    assert not second.closed
    loops.close()
    assert second.closed
