"""How many requests an object store is sent at once, by what it answers."""

import asyncio
import threading

import pytest
from faulty_store import FaultyStore
from hypothesis import given
from hypothesis import strategies as st

from ipldstore.backends.objects.load import Load, Pace
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link

DEADLINE = 30
RESET = "Generic S3 error: HTTP error: error sending request"
ANSWER = "Server returned non-2xx status code: "
BUSY = f"{ANSWER}503 Service Unavailable: <Code>SlowDown</Code>"
ABSENT = f"{ANSWER}404 Not Found: <Code>NoSuchKey</Code>"
CONFLICT = f"{ANSWER}409 Conflict: <Code>ConditionalRequestConflict</Code>"


def send(load, fault=None):
    def call():
        if fault is not None:
            raise OSError(fault)

    try:
        load.run(call)
    except OSError:
        assert fault is not None


def slow_down(load, at_once):
    while load.pace.at_once > at_once:
        send(load, BUSY)


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=400))
def test_there_is_always_one_and_never_more_than_allowed(most, answers):
    pace = Pace(most, most)
    for was_busy in answers:
        before, pace = pace.at_once, pace.after_busy() if was_busy else pace.after_good()
        assert 1 <= pace.at_once <= most
        if was_busy:
            assert pace.at_once in (before, max(1, before // 2))
        else:
            assert pace.at_once in (before, before + 1)


def test_many_busy_answers_halve_it_and_good_ones_give_one_more():
    load = Load(32)
    for at_once in (16, 8, 4, 2, 1, 1):
        for _ in range(5):
            send(load, BUSY)
        assert load.pace.at_once == at_once
    for at_once in range(2, 33):
        for _ in range(32):
            send(load)
        assert load.pace.at_once == at_once
    for _ in range(32):
        send(load)
    assert load.pace.at_once == 32


def test_a_busy_answer_now_and_then_changes_nothing():
    load = Load(32)
    for i in range(3200):
        send(load, BUSY if i % 10 == 0 else None)
    assert load.pace.at_once == 32


@pytest.mark.parametrize("fault", [RESET, f"{RESET}: operation timed out", CONFLICT])
def test_what_says_nothing_about_load_changes_nothing(fault):
    load = Load(32)
    before = load.pace
    for _ in range(100):
        send(load, fault)
    assert load.pace == before


def test_an_absence_is_an_answer():
    load = Load(4)
    slow_down(load, 1)
    for _ in range(4):
        send(load, ABSENT)
    assert load.pace.at_once == 2


def test_busy_answers_to_requests_that_were_under_way_together_count_once():
    load = Load(32)

    async def call():
        await asyncio.sleep(0)
        raise OSError(BUSY)

    async def main():
        await asyncio.gather(*(load.run_async(call) for _ in range(32)), return_exceptions=True)

    asyncio.run(main())
    assert load.pace.at_once == 16


class Crowd:
    """Counts how many are under way."""

    def __init__(self):
        self.now = self.most = 0

    async def call(self):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1


async def most_at_once(load, count=40):
    crowd = Crowd()
    await asyncio.gather(*(load.run_async(crowd.call) for _ in range(count)))
    assert crowd.now == 0
    return crowd.most


def test_a_loop_sends_fewer_at_once_and_more_again():
    load = Load(8)

    async def main():
        assert await most_at_once(load) == 8
        slow_down(load, 2)
        assert await most_at_once(load, 4) == 2
        for _ in range(8 * 8):
            send(load)
        return await most_at_once(load)

    assert asyncio.run(main()) == 8
    slow_down(load, 4)
    assert asyncio.run(most_at_once(load, 4)) == 4, "another loop, too"


def test_requests_that_are_cancelled_give_their_slots_back():
    load = Load(4)

    async def main():
        stuck = [asyncio.create_task(load.run_async(asyncio.Event().wait)) for _ in range(9)]
        await asyncio.sleep(0)
        slow_down(load, 1)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return await most_at_once(load, 3)

    assert asyncio.run(main()) == 1


def test_threads_send_fewer_at_once():
    load, crowd, counting = Load(8), Crowd(), threading.Lock()
    slow_down(load, 2)
    met = threading.Barrier(2)

    def call():
        with counting:
            crowd.now += 1
            crowd.most = max(crowd.most, crowd.now)
        met.wait(DEADLINE)
        with counting:
            crowd.now -= 1

    threads = [threading.Thread(target=load.run, args=(call,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert (crowd.now, crowd.most) == (0, 2)


@pytest.mark.parametrize("at_most", [3, 8])
def test_a_server_that_takes_few_at_once_is_soon_sent_no_more(s3, at_most):
    links = {make_link(data): data for data in (b"%d" % i for i in range(400))}
    with FaultyStore(s3.port) as front:
        front.at_most = at_most
        options = s3.make_options(endpoint=front.endpoint)
        with ObjectCAStore(s3.make_bucket(), **options) as store:
            for link, data in links.items():
                store.put_block(link, data)
            store.flush()
            later = front.turned_away[200:]
            assert any(front.turned_away)
            assert sum(later) < len(later) / 5
            assert dict(store.get_many(links)) == links
