"""The buffer before a node: bounded, in order, and nothing is lost when shipments fail."""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipldstore.backends.shipping import Shipping
from ipldstore.cid import make_link
from ipldstore.errors import BackendError

DEADLINE = 20


class Harbour:
    """Takes shipments, and turns them away while it is closed."""

    def __init__(self):
        self.blocks = {}
        self.shipments = []
        self.is_closed = False
        self.gate = threading.Event()
        self.gate.set()
        self.arrival = threading.Semaphore(0)

    def __call__(self, shipment):
        self.arrival.release()
        assert self.gate.wait(DEADLINE)
        if self.is_closed:
            raise BackendError("the harbour is closed", retryable=True)
        self.shipments.append(list(shipment))
        self.blocks.update(shipment)


def block(number, size=10):
    data = (b"%d." % number * size)[:size]
    return make_link(data), data


def held(shipping):
    return [(link, kept.data) for link, kept in shipping._blocks.items()]


@pytest.fixture
def harbour():
    return Harbour()


def test_blocks_arrive_in_order_and_once(harbour):
    shipping = Shipping(harbour, 80)
    blocks = [block(i) for i in range(100)]
    for link, data in blocks:
        shipping.put(link, data)
    shipping.flush()
    assert harbour.blocks == dict(blocks)
    assert sum(map(len, harbour.shipments)) == 100
    assert held(shipping) == []
    shipping.close()


def test_a_block_is_read_until_it_has_arrived(harbour):
    shipping = Shipping(harbour, 80)
    harbour.gate.clear()
    link, data = block(1)
    shipping.put(link, data)
    assert harbour.arrival.acquire(timeout=DEADLINE)
    assert shipping.get(link) == data
    harbour.gate.set()
    shipping.flush()
    assert shipping.get(link) is None
    assert harbour.blocks == {link: data}


def test_a_block_that_is_in_the_buffer_is_not_taken_twice(harbour):
    shipping = Shipping(harbour, 1000)
    for _ in range(50):
        shipping.put(*block(1))
    shipping.flush()
    assert harbour.shipments == [[block(1)]]


def test_the_writer_waits_while_the_buffer_is_full(harbour):
    shipping = Shipping(harbour, 80)
    harbour.gate.clear()
    for i in range(8):
        assert shipping.offer(*block(i))
    assert not shipping.offer(*block(8))
    assert sum(len(data) for _, data in held(shipping)) == 80
    writer = threading.Thread(target=shipping.put, args=block(8))
    writer.start()
    harbour.gate.set()
    writer.join(DEADLINE)
    assert not writer.is_alive()
    shipping.flush()
    assert len(harbour.blocks) == 9


def test_a_block_larger_than_the_buffer_is_taken_alone(harbour):
    shipping = Shipping(harbour, 80)
    shipping.put(*block(1))
    shipping.put(*block(2, 500))
    shipping.flush()
    assert harbour.blocks == dict([block(1), block(2, 500)])


@pytest.mark.parametrize("size", [0, 1])
def test_small_blocks_arrive(harbour, size):
    shipping = Shipping(harbour, 32 << 20)
    shipping.put(make_link(b"x" * size), b"x" * size)
    shipping.flush()
    assert list(harbour.blocks.values()) == [b"x" * size]


def test_a_failed_shipment_is_raised_by_flush_and_kept_for_the_next(harbour):
    shipping = Shipping(harbour, 800)
    harbour.is_closed = True
    blocks = [block(i) for i in range(30)]
    for link, data in blocks:
        shipping.put(link, data)
    for _ in range(3):
        with pytest.raises(BackendError, match="harbour is closed"):
            shipping.flush()
        assert dict(held(shipping)) == dict(blocks)
    harbour.is_closed = False
    shipping.flush()
    assert harbour.blocks == dict(blocks)
    assert held(shipping) == []


def test_a_full_buffer_that_cannot_be_sent_refuses_the_next_block(harbour):
    shipping = Shipping(harbour, 80)
    harbour.is_closed = True
    blocks = [block(i) for i in range(8)]
    for link, data in blocks:
        shipping.put(link, data)
    with pytest.raises(BackendError, match="harbour is closed"):
        shipping.put(*block(8))
    assert dict(held(shipping)) == dict(blocks)
    harbour.is_closed = False
    shipping.put(*block(8))
    shipping.flush()
    assert harbour.blocks == dict([*blocks, block(8)])


def test_many_writers_and_flushes_at_once(harbour):
    shipping = Shipping(harbour, 200)
    failures = []

    def write(writer):
        try:
            for i in range(100):
                shipping.put(*block(writer * 1000 + i))
                if i % 25 == 0:
                    shipping.flush()
            shipping.flush()
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(DEADLINE)
    assert not failures
    assert len(harbour.blocks) == 800
    assert held(shipping) == []


def test_flush_does_not_wait_for_what_others_put_later(harbour):
    shipping = Shipping(harbour, 1000)
    shipping.put(*block(1))
    harbour.gate.clear()
    flushing = threading.Thread(target=shipping.flush)
    flushing.start()
    assert harbour.arrival.acquire(timeout=DEADLINE)
    shipping.put(*block(2))
    harbour.gate.set()
    flushing.join(DEADLINE)
    assert not flushing.is_alive()
    assert block(1)[0] in harbour.blocks
    shipping.flush()
    assert block(2)[0] in harbour.blocks


def test_closed_buffer_goes_on(harbour):
    shipping = Shipping(harbour, 80)
    shipping.put(*block(1))
    shipping.flush()
    shipping.close()
    shipping.close()
    shipping.put(*block(2))
    shipping.flush()
    assert len(harbour.blocks) == 2


def test_flush_in_a_thread_leaves_the_event_loop_free(harbour):
    shipping = Shipping(harbour, 80)
    harbour.gate.clear()
    shipping.put(*block(1))

    async def flush_while_the_loop_opens_the_gate():
        flushing = asyncio.create_task(asyncio.to_thread(shipping.flush))
        await asyncio.sleep(0)
        harbour.gate.set()
        await flushing

    asyncio.run(flush_while_the_loop_opens_the_gate())
    assert len(harbour.blocks) == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 20)),
        st.tuples(st.sampled_from(["flush", "open", "close"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_every_block_that_was_taken_arrives(steps):
    harbour, taken = Harbour(), {}
    shipping = Shipping(harbour, 50)
    for what, number in steps:
        if what in ("open", "close"):
            harbour.is_closed = what == "close"
            continue
        try:
            if what == "flush":
                shipping.flush()
                assert harbour.blocks == taken
            else:
                link, data = block(number)
                shipping.put(link, data)
                taken[link] = data
        except BackendError:
            assert harbour.is_closed
        for link, data in taken.items():
            # the buffer first: a block may arrive between the two looks
            assert shipping.get(link) or harbour.blocks.get(link) == data
    harbour.is_closed = False
    shipping.flush()
    shipping.close()
    assert harbour.blocks == taken
