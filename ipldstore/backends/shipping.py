"""Blocks on their way to a server: collected, and sent while the writer goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from typing import TypeAlias

from ipldstore.cid import Link
from ipldstore.errors import BackendError

Ship: TypeAlias = Callable[[Sequence[tuple[Link, bytes]]], None]
"""Sends blocks and returns once all of them have arrived, or raises."""

_SHIPMENTS_PER_BUFFER = 8
_SHIPMENTS_AT_ONCE = 2


class Shipping:
    """A bounded buffer of blocks that empties itself.

    A block leaves the buffer when the shipment it is in has arrived. After a shipment has failed,
    its blocks are in the buffer still, and nothing is sent until a `put` needs room or a `flush`
    asks for it.

    Parameters
    ----------
    ship
        Sends a shipment; called in threads of the buffer's own.
    limit
        How many bytes may be in the buffer. A block that is larger is taken when it is empty.
    blocks
        What is in the buffer from the beginning.
    at_once
        How many shipments may be under way at once.
    one_by_one
        Whether each block is a shipment of its own, and not an eighth of `limit`.
    """

    def __init__(
        self,
        ship: Ship,
        limit: int,
        blocks: Iterable[tuple[Link, bytes]] = (),
        *,
        at_once: int = _SHIPMENTS_AT_ONCE,
        one_by_one: bool = False,
    ) -> None:
        self._ship = ship
        self._limit = limit
        self._at_once = at_once
        self._shipment_bytes = 1 if one_by_one else max(1, limit // _SHIPMENTS_PER_BUFFER)
        self._changed = Condition()
        self._blocks: dict[Link, bytes] = {}
        self._waiting: dict[Link, None] = {}
        self._awaited: list[set[Link]] = []
        self._bytes = self._waiting_bytes = 0
        self._begun = self._under_way = 0
        self._failed = 0
        self._error: BaseException | None = None
        self._pool: ThreadPoolExecutor | None = None
        for link, data in blocks:
            self._keep(link, data)

    def get(self, link: Link) -> bytes | None:
        """Return a block that is in the buffer, else None."""
        return self._blocks.get(link)

    def offer(self, link: Link, data: bytes) -> bool:
        """Take a block if there is room for it."""
        with self._changed:
            if link not in self._blocks:
                if self._bytes and self._bytes + len(data) > self._limit:
                    return False
                self._keep(link, data)
                self._start_shipments(at_least=self._shipment_bytes)
            return True

    def put(self, link: Link, data: bytes) -> None:
        """Take a block, and wait for room if there is none.

        Raises
        ------
        BackendError
            If there is no room because blocks cannot be sent. This one is not kept then.
        """
        with self._changed:
            begun = self._begun
            while not self.offer(link, data):
                self._wait_for_shipments(begun)

    def flush(self) -> None:
        """Send all that is in the buffer now and wait until it has arrived.

        Raises
        ------
        BackendError
            If a shipment fails; its blocks are in the buffer still.
        """
        with self._changed:
            begun = self._begun
            awaited = set(self._blocks)
            self._awaited.append(awaited)
            try:
                while awaited:
                    self._wait_for_shipments(begun)
            finally:
                self._awaited = [other for other in self._awaited if other is not awaited]

    def close(self) -> None:
        """End the threads once they have nothing to do."""
        with self._changed:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def list_blocks(self) -> list[tuple[Link, bytes]]:
        """Return what is in the buffer."""
        return list(self._blocks.items())

    def _keep(self, link: Link, data: bytes) -> None:
        self._blocks[link] = data
        self._bytes += len(data)
        self._wait_for_shipment(link, data)

    def _wait_for_shipment(self, link: Link, data: bytes) -> None:
        self._waiting[link] = None
        self._waiting_bytes += len(data)

    def _wait_for_shipments(self, begun: int) -> None:
        """Send what is in the buffer, and wait until something happens to it.

        What failed before, or was under way before, is tried again; raise the error of a shipment
        that was begun after the first `begun` ones.
        """
        if self._error is not None and not self._under_way:
            if self._failed > begun:
                raise _not_sent(self._error) from self._error
            self._error = None
        self._start_shipments(at_least=0)
        self._changed.wait()

    def _start_shipments(self, at_least: int) -> None:
        while (
            self._error is None
            and self._under_way < self._at_once
            and self._waiting
            and self._waiting_bytes >= at_least
        ):
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._at_once, "ipldstore-ship")
            self._begun += 1
            self._under_way += 1
            self._pool.submit(self._send, self._begun, self._take())

    def _take(self) -> list[tuple[Link, bytes]]:
        """Take the blocks of a shipment from those that wait, the oldest first."""
        shipment: list[tuple[Link, bytes]] = []
        size = 0
        for link in self._waiting:
            data = self._blocks[link]
            if shipment and size + len(data) > self._shipment_bytes:
                break
            shipment.append((link, data))
            size += len(data)
        for link, _ in shipment:
            del self._waiting[link]
        self._waiting_bytes -= size
        return shipment

    def _send(self, number: int, shipment: list[tuple[Link, bytes]]) -> None:
        error: BaseException | None = None
        try:
            self._ship(shipment)
        except BaseException as caught:
            error = caught
        with self._changed:
            self._under_way -= 1
            for link, data in shipment:
                if error is None:
                    del self._blocks[link]
                    self._bytes -= len(data)
                    for awaited in self._awaited:
                        awaited.discard(link)
                else:
                    self._wait_for_shipment(link, data)
            if error is not None:
                self._error, self._failed = error, number
            self._start_shipments(at_least=self._shipment_bytes)
            self._changed.notify_all()


def _not_sent(error: BaseException) -> BackendError:
    retryable = isinstance(error, BackendError) and error.retryable
    return BackendError(f"blocks could not be sent: {error}", retryable=retryable)
