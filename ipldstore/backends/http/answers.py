"""What a server answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ipldstore.backends.retries import TransientError
from ipldstore.limits import MAX_WAIT_SECONDS

_BUSY = (408, 425, 429, 502, 503, 504)


class Reply(NamedTuple):
    """What a server answered; the names of headers may be asked for in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(NamedTuple):
    """An answer whose body is still to come, in pieces; the other fields are as in `Reply`."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


def check_busy(reply: Reply | Stream, what: str) -> None:
    """Raise `TransientError`, which says `what` was asked for, if a server cannot answer now."""
    if reply.status in _BUSY:
        wait = _parse_wait(reply.headers.get("Retry-After", ""))
        raise TransientError(f"{what}: HTTP status {reply.status}", wait=wait)


def _parse_wait(text: str) -> float:
    """Read how many seconds a server asks to wait; dates are not worth their trouble."""
    return min(float(text), MAX_WAIT_SECONDS) if text.isdecimal() and len(text) < 9 else 0.0
