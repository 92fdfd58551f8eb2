"""When requests to an object store are tried again, by a clock that only waits move."""

import asyncio

import pytest

from ipldstore.backends.objects import patience as patience_module
from ipldstore.backends.objects.patience import Patience

RESET = "Generic S3 error: HTTP error: error sending request"
REFUSED = f"{RESET}\nkind: Connect, ConnectionRefused"
BUSY = "Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>"
DENIED = "Server returned non-2xx status code: 403 Forbidden: <Code>AccessDenied</Code>"


class Clock:
    """Time that passes while somebody waits."""

    def __init__(self):
        self.now = 1000.0
        self.waits = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(patience_module, "time", clock)
    monkeypatch.setattr(patience_module.asyncio, "sleep", clock.sleep_async)
    return clock


class Server:
    """Answers with faults, each as often as it says, and then well."""

    def __init__(self, clock, *faults, seconds=0.0):
        self.clock, self.faults, self.seconds = clock, list(faults), seconds
        self.asked = 0

    def __call__(self):
        self.asked += 1
        self.clock.now += self.seconds
        if self.faults:
            raise OSError(self.faults.pop(0))
        return "answer"

    async def ask(self):
        return self()


def sync(patience, server):
    return patience.run(server)


def on_loop(patience, server):
    with asyncio.Runner() as runner:
        return runner.run(patience.run_async(server.ask))


faces = pytest.mark.parametrize("face", [sync, on_loop])


@faces
@pytest.mark.parametrize("fault", [RESET, BUSY])
def test_what_fails_for_now_is_tried_again_with_growing_waits(clock, face, fault):
    server = Server(clock, *[fault] * 6)
    assert face(Patience(180, 32), server) == "answer"
    waits = [wait for wait in clock.waits if wait]
    assert server.asked == 7
    assert waits[0] < 0.2 < 3 < waits[-1] <= 10
    assert clock.now - 1000 < 20


@faces
def test_what_is_refused_for_good_is_not(clock, face):
    server = Server(clock, DENIED)
    with pytest.raises(OSError, match="AccessDenied"):
        face(Patience(180, 32), server)
    assert (server.asked, clock.now) == (1, 1000)


@faces
@pytest.mark.parametrize("fault", [RESET, BUSY])
@pytest.mark.parametrize("seconds", [5, 180])
def test_it_ends_with_the_patience(clock, face, fault, seconds):
    server = Server(clock, *[fault] * 1000)
    with pytest.raises(OSError, match=fault[:20]):
        face(Patience(seconds, 32), server)
    assert max(0, seconds - 10) < clock.now - 1000 <= seconds


@faces
def test_a_server_that_was_never_reached_is_soon_given_up(clock, face):
    patience = Patience(180, 32)
    with pytest.raises(OSError, match="Refused"):
        face(patience, Server(clock, *[REFUSED] * 1000))
    assert clock.now - 1000 <= 4
    assert face(patience, Server(clock)) == "answer"
    begun = clock.now
    with pytest.raises(OSError, match="Refused"):
        face(patience, Server(clock, *[REFUSED] * 1000))
    assert clock.now - begun > 150, "one that was reached may be starting anew"


@faces
def test_none_at_all(clock, face):
    server = Server(clock, RESET, RESET)
    for _ in range(2):
        with pytest.raises(OSError, match="error sending"):
            face(Patience(0, 32), server)
    assert clock.now == 1000


def test_requests_wait_together_while_none_succeeds(clock):
    patience = Patience(180, 32)
    patience.run(Server(clock, *[BUSY] * 7))
    other = Patience(180, 32)
    with pytest.raises(OSError, match="503"):
        other.run(Server(clock, *[BUSY] * 1000))
    begun = clock.now
    other.run(Server(clock))
    assert clock.now > begun, "another request waited for the pause to end"
    begun = clock.now
    other.run(Server(clock))
    patience.run(Server(clock))
    assert clock.now == begun, "and none waits after one that succeeded"


def test_one_that_fails_among_others_holds_up_itself(clock):
    patience = Patience(180, 32)
    for _ in range(20):
        patience.run(Server(clock, BUSY))
        begun = clock.now
        patience.run(Server(clock))
        assert clock.now == begun


def test_a_stall_is_counted_by_the_time_it_took(clock):
    server = Server(clock, *[f"{RESET}: operation timed out"] * 1000, seconds=15)
    with pytest.raises(OSError, match="timed out"):
        Patience(60, 32).run(server)
    assert server.asked == 4
