"""Whole DAGs as CAR streams: which blocks are taken from one, and how long it is listened to."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator

from ipldstore.backends.http.answers import Stream
from ipldstore.cid import Link, identity_data
from ipldstore.dag import links_of
from ipldstore.errors import BackendError, CarFormatError, CorruptBlockError
from ipldstore.formats.car import CarReader
from ipldstore.limits import MAX_CAR_HEAD_BYTES, MAX_IPFS_BLOCK_BYTES, MAX_USELESS_BYTES

CAR = "application/vnd.ipld.car"
CAR_ACCEPT = f"{CAR}; version=1; order=dfs; dups=n"
CAR_QUERY = "format=car&car-version=1&dag-scope=all&car-order=dfs&car-dups=n"


class Wanted:
    """The CIDs of a DAG's blocks that are still to come, as far as its links are known."""

    def __init__(self, root: Link) -> None:
        self._known: set[Link] = set()
        self._missing: set[Link] = set()
        self.bytes = 0
        self._want([root])

    def __bool__(self) -> bool:
        return bool(self._missing)

    def take(self, link: Link, data: bytes) -> bool:
        """Count a verified block as there, and its links as missing, if it is wanted at all."""
        if link not in self._missing:
            return False
        self._missing.remove(link)
        self.bytes += len(data) + MAX_CAR_HEAD_BYTES
        self._want(links_of(link, data))
        return True

    def load_one(self, load: Callable[[Link], bytes]) -> tuple[Link, bytes]:
        """Load one of the blocks that are missing."""
        link = self._missing.pop()
        data = load(link)
        self._want(links_of(link, data))
        return link, data

    def _want(self, links: list[Link]) -> None:
        while links:
            link = links.pop()
            if link not in self._known:
                self._known.add(link)
                inline = identity_data(link)
                if inline is None:
                    self._missing.add(link)
                else:
                    links += links_of(link, inline)


def iter_wanted(stream: Stream, wanted: Wanted, seconds: float) -> Iterator[tuple[Link, bytes]]:
    """Iterate the verified blocks of a CAR stream that are wanted, until none is.

    Blocks that nothing links to by then are dropped. `seconds` is how long each block may take.
    Raises `CarFormatError` if the archive is malformed or truncated, or a block in it is over 2
    MiB, `CorruptBlockError` if a block does not hash to its CID, and `BackendError` if the stream
    ends in an error, stalls, or holds too much that is not wanted.
    """
    body = _Body(stream.pieces, wanted.bytes + MAX_USELESS_BYTES, seconds)
    limit = MAX_IPFS_BLOCK_BYTES + MAX_CAR_HEAD_BYTES
    reader = CarReader(io.BufferedReader(body), max_section_bytes=limit)
    try:
        for link, data in reader:
            if len(data) <= MAX_IPFS_BLOCK_BYTES and wanted.take(link, data):
                yield link, data
                body.go_on(len(data) + MAX_CAR_HEAD_BYTES)
            if not wanted:
                return
    except CarFormatError as error:
        if isinstance(error.__cause__, CorruptBlockError):
            raise CorruptBlockError(str(error)) from error
        raise


class _Body(io.RawIOBase):
    """The body of an answer as a file that ends in an error when it has gone on for too long."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        allowance: int,
        seconds: float,
    ) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._allowance = allowance
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        if time.monotonic() > self._deadline:
            raise BackendError(f"no further block within {self._seconds:g} s", retryable=True)
        size = min(len(buffer), len(self._piece))
        self._allowance -= size
        if self._allowance < 0:
            raise BackendError("the archive goes on without the blocks that are wanted")
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    def go_on(self, size: int) -> None:
        """Read so much more, and wait anew."""
        self._allowance += size
        self._deadline = time.monotonic() + self._seconds
