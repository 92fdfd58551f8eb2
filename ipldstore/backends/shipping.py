"""Blocks on their way to a server: collected, and sent while the writer goes on."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from threading import Thread, current_thread
from typing import NamedTuple, TypeAlias

from ipldstore.basics.locks import Guard
from ipldstore.cid import Link
from ipldstore.errors import BackendError

Ship: TypeAlias = Callable[[Sequence[tuple[Link, bytes]]], None]
"""Sends blocks and returns once all of them have arrived, or raises."""

_SHIPMENTS_PER_BUFFER = 8
_SHIPMENTS_AT_ONCE = 2

_LINGER_SECONDS = 0.05
"""How long a thread waits for more to send, as to start one takes longer than a small block."""


class _Kept(NamedTuple):
    """A block in the buffer, with a number that is higher than those of all before it."""

    number: int
    data: bytes


class _Shipment(NamedTuple):
    """Blocks that are under way."""

    number: int
    blocks: list[tuple[Link, bytes]]


class Shipping:
    """A bounded buffer of blocks that empties itself.

    A block leaves the buffer when the shipment it is in has arrived. After a shipment has failed,
    its blocks are in the buffer still, and nothing is sent until a `put` needs room or a `flush`
    asks for it.

    What is in the buffer is true after every step. How much that is, and what of it waits, is
    counted again after an interrupt in the middle of a change. All else is changed by the threads
    that send, which are not interrupted; in a forked process, where they are not, nothing is under
    way.

    `ship` sends a shipment, in threads of the buffer's own. `limit` is how many bytes may be in the
    buffer; a block that is larger is taken when it is empty. `at_once` is how many shipments may be
    under way at once. With `one_by_one` each block is a shipment of its own, else an eighth of
    `limit` is.
    """

    def __init__(
        self,
        ship: Ship,
        limit: int,
        *,
        at_once: int = _SHIPMENTS_AT_ONCE,
        one_by_one: bool = False,
    ) -> None:
        self._ship = ship
        self._limit = limit
        self._at_once = at_once
        self._shipment_bytes = 1 if one_by_one else max(1, limit // _SHIPMENTS_PER_BUFFER)
        self._guard = Guard(self._start_over)
        self._numbers = count(1)
        self._blocks: OrderedDict[Link, _Kept] = OrderedDict()
        self._start_over()

    def _start_over(self) -> None:
        self._crew: list[Thread] = []
        self._shipments: dict[Thread, _Shipment] = {}
        self._begun = self._failed = self._urgent = 0
        self._is_closing = False
        self._error: BaseException | None = None
        self._count()

    def get(self, link: Link) -> bytes | None:
        """Return a block that is in the buffer, else None."""
        kept = self._blocks.get(link)
        return None if kept is None else kept.data

    def offer(self, link: Link, data: bytes) -> bool:
        """Take a block if there is room for it."""
        with self._guard():
            self._count_again()
            if link not in self._blocks:
                if self._bytes and self._bytes + len(data) > self._limit:
                    return False
                self._keep(link, data)
            self._start_shipments()
            return True

    def put(self, link: Link, data: bytes) -> None:
        """Take a block, and wait for room if there is none.

        Raises `BackendError` if there is no room because blocks cannot be sent. This one is not
        kept then.
        """
        begun = self._begun
        while not self.offer(link, data):
            self._wait_for_shipments(begun, next(self._numbers))

    def flush(self) -> None:
        """Send all that is in the buffer now and wait until it has arrived.

        Raises `BackendError` if a shipment fails; its blocks are in the buffer still.
        """
        with self._guard():
            begun, last = self._begun, next(self._numbers)
        while self._has_any_until(last):
            self._wait_for_shipments(begun, last)

    def _has_any_until(self, number: int) -> bool:
        with self._guard():
            oldest = next(iter(self._blocks.values()), None)
            return oldest is not None and oldest.number < number

    def close(self) -> None:
        """Wait until the threads have nothing to do, and are gone."""
        self._is_closing = True
        self._guard.ring()
        for thread in list(self._crew):
            if thread.ident is not None:
                thread.join()

    def _keep(self, link: Link, data: bytes) -> None:
        self._is_closing = self._is_counted = False
        self._blocks[link] = _Kept(next(self._numbers), data)
        self._bytes += len(data)
        self._wait(link, data)
        self._is_counted = True

    def _wait(self, link: Link, data: bytes) -> None:
        self._waiting[link] = None
        self._waiting_bytes += len(data)

    def _count_again(self) -> None:
        if not self._is_counted:
            self._count()

    def _count(self) -> None:
        self._is_counted = False
        under_way = {link for shipment in self._shipments.values() for link, _ in shipment.blocks}
        self._waiting: dict[Link, None] = {}
        self._bytes = self._waiting_bytes = 0
        for link, kept in self._blocks.items():
            self._bytes += len(kept.data)
            if link not in under_way:
                self._wait(link, kept.data)
        self._is_counted = True

    def _wait_for_shipments(self, begun: int, last: int) -> None:
        """Send what is in the buffer up to a number, and wait until something happens to it.

        What failed before, or was under way before, is tried again; raise the error of a shipment
        that was begun after the first `begun` ones.
        """
        with self._guard():
            self._count_again()
            if self._error is not None and not self._shipments:
                if self._failed > begun:
                    raise _not_sent(self._error) from self._error
                self._error = None
            self._urgent = max(self._urgent, last)
            self._start_shipments()
            is_busy = self._shipments or self._count_due()
            bell = self._guard.listen() if is_busy else None
        if bell is not None:
            bell.wait()

    def _count_due(self) -> int:
        """Return how many shipments can be made of what waits."""
        if self._error is not None or not self._waiting:
            return 0
        is_urgent = self._blocks[next(iter(self._waiting))].number <= self._urgent
        return min(len(self._waiting), max(self._waiting_bytes // self._shipment_bytes, is_urgent))

    def _start_shipments(self) -> None:
        """Wake the threads that linger, and start more if these are not enough."""
        # an interrupt may have kept a thread from being started
        self._crew = [thread for thread in self._crew if thread.ident is not None]
        due = self._count_due()
        ready = len(self._crew) - len(self._shipments)
        if due and ready:
            self._guard.ring()
        for _ in range(min(due - ready, self._at_once - len(self._crew))):
            thread = Thread(target=self._work, name="ipldstore-ship")
            self._crew.append(thread)
            thread.start()

    def _work(self) -> None:
        while (blocks := self._begin()) is not None:
            error: BaseException | None = None
            try:
                self._ship(blocks)
            except BaseException as caught:
                error = caught
            self._end(error)

    def _begin(self) -> list[tuple[Link, bytes]] | None:
        """Take a shipment; if there is none to be sent, this thread is not counted on any more."""
        deadline = time.monotonic() + _LINGER_SECONDS
        while True:
            with self._guard():
                self._count_again()
                if self._count_due():
                    self._begun += 1
                    shipment = _Shipment(self._begun, self._take())
                    self._shipments[current_thread()] = shipment
                    return shipment.blocks
                seconds = deadline - time.monotonic()
                if seconds <= 0 or self._is_closing:
                    self._leave()
                    return None
                bell = self._guard.listen()
            bell.wait(seconds)

    def _leave(self) -> None:
        with suppress(ValueError):
            self._crew.remove(current_thread())
        self._guard.ring()

    def _take(self) -> list[tuple[Link, bytes]]:
        """Take the blocks of a shipment from those that wait, the oldest first."""
        blocks: list[tuple[Link, bytes]] = []
        size = 0
        for link in self._waiting:
            data = self._blocks[link].data
            if blocks and size + len(data) > self._shipment_bytes:
                break
            blocks.append((link, data))
            size += len(data)
        for link, _ in blocks:
            del self._waiting[link]
        self._waiting_bytes -= size
        return blocks

    def _end(self, error: BaseException | None) -> None:
        """Note that the shipment of this thread has arrived, or failed."""
        with self._guard():
            self._count_again()
            shipment = self._shipments.pop(current_thread())
            for link, data in shipment.blocks:
                if error is None:
                    del self._blocks[link]
                    self._bytes -= len(data)
                else:
                    self._wait(link, data)
            if error is not None:
                self._error, self._failed = error, shipment.number
            self._guard.ring()


def _not_sent(error: BaseException) -> BackendError:
    retryable = isinstance(error, BackendError) and error.retryable
    return BackendError(f"blocks could not be sent: {error}", retryable=retryable)
