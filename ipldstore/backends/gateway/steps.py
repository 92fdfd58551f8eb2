"""What the rules for gateways need from outside, as steps that a face performs for them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ipldstore.backends.http.answers import Stream
from ipldstore.backends.http.client import HTTPClient
from ipldstore.backends.retries import TransientError
from ipldstore.errors import BackendError

T = TypeVar("T")


class Ask(NamedTuple):
    """A request to be sent; the answer is a `Reply`, or a `Stream` where one was opened."""

    method: str
    url: str
    headers: Mapping[str, str]
    limit: int


class LookUp(NamedTuple):
    """A host whose IP addresses are wanted, as a list of text, those of IPv4 first."""

    host: str


Step: TypeAlias = "Ask | LookUp"
Steps: TypeAlias = Generator[Step, Any, T]
"""Rules: they yield steps, are sent the answer or thrown a `BackendError`, and return a result."""


def run(steps: Steps[T], client: HTTPClient) -> T:
    """Perform steps one after the other and return what they end with."""

    def send(step: Ask) -> Any:
        return client.send(step.method, step.url, limit=step.limit, headers=step.headers)

    return _run(steps, send)


async def run_async(steps: Steps[T], client: HTTPClient) -> T:
    """`run` for event loops."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await _perform_async(step, client)
            except BackendError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


@contextmanager
def opened(steps: Steps[Stream], client: HTTPClient) -> Iterator[Stream]:
    """Perform steps whose answers have bodies that are still to come; only the last stays open."""
    with ExitStack() as streams:

        def begin(step: Ask) -> Any:
            streams.close()
            return streams.enter_context(client.stream(step.method, step.url, headers=step.headers))

        yield _run(steps, begin)


def _run(steps: Steps[T], ask: Callable[[Ask], Any]) -> T:
    try:
        step = next(steps)
        while True:
            try:
                answer = _look_up(step.host) if isinstance(step, LookUp) else ask(step)
            except BackendError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def _perform_async(step: Step, client: HTTPClient) -> Any:
    if isinstance(step, LookUp):
        return await asyncio.to_thread(_look_up, step.host)
    return await client.send_async(step.method, step.url, limit=step.limit, headers=step.headers)


def _look_up(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TransientError(f"cannot look up the host {host!r}: {error}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [str(entry[4][0]) for entry in found]
