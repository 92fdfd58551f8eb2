"""What goes wrong with a request, as errors of this package that show nothing secret."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import aiohttp
import requests
import urllib3

from ipldstore.backends.http.proxies import secrets_of_proxies
from ipldstore.backends.http.secrets import without_sent
from ipldstore.backends.retries import TransientError
from ipldstore.basics.urls import secrets_in, show_url
from ipldstore.errors import BackendError, raise_alone


class Asked(NamedTuple):
    """A request, for the messages of its errors, none of which show what is secret in it."""

    method: str
    url: str
    headers: Mapping[str, str]
    seconds: float

    def timed_out(self) -> BackendError:
        """Make the error for a request that took too long."""
        return BackendError(
            f"{self.method} {show_url(self.url)}: not answered within {self.seconds:g} s",
            retryable=True,
        )

    def fault(self, kind: type[BackendError], text: str) -> BackendError:
        """Make the error for what a library or a server says."""
        return kind(f"{self.method} {show_url(self.url)}: {self.clean(text)}")

    def clean(self, text: str) -> str:
        """Return text without passwords and tokens of this request, of its proxies neither."""
        return without_sent(text, self.headers, {*secrets_in(self.url), *secrets_of_proxies()})

    def check_size(self, size: int, limit: int | None) -> None:
        """Raise `BackendError` if more came than was to."""
        if limit is not None and size > limit:
            raise BackendError(f"{show_url(self.url)}: the answer is longer than {limit} bytes")

    def check_plain(self, headers: Mapping[str, str]) -> None:
        """Raise `BackendError` if the headers of an answer say that it is compressed."""
        encoding = headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise BackendError(
                f"{show_url(self.url)}: the answer is compressed ({self.clean(encoding)[:40]!r}) "
                "without being asked"
            )


@contextmanager
def requests_errors(asked: Asked) -> Iterator[None]:
    """Raise `BackendError` for what the library of threads raises."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise_alone(_requests_fault(error, asked))


def _requests_fault(error: Exception, asked: Asked) -> BackendError:
    if isinstance(error, requests.ConnectTimeout):
        return asked.fault(TransientError, f"no connection: {error}")
    if isinstance(error, requests.Timeout | urllib3.exceptions.ReadTimeoutError):
        return asked.timed_out()
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.HTTPError):
        if "Read timed out" in str(error):
            return asked.timed_out()
        return asked.fault(TransientError, _reason(error))
    if isinstance(error, requests.exceptions.InvalidHeader):
        return asked.fault(BackendError, "a header is malformed")
    return asked.fault(BackendError, str(error))


@asynccontextmanager
async def aiohttp_errors(asked: Asked) -> AsyncIterator[None]:
    """Raise `BackendError` for what the library of event loops raises."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise_alone(_aiohttp_fault(error, asked))


def _aiohttp_fault(error: Exception, asked: Asked) -> BackendError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return asked.fault(TransientError, f"no connection: {error}")
    if isinstance(error, TimeoutError):
        return asked.timed_out()
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
        return asked.fault(TransientError, _reason(error))
    return asked.fault(BackendError, str(error))


def _reason(error: Any) -> str:
    """Return the innermost of the errors that libraries wrap around each other."""
    seen = error
    while (inner := getattr(seen, "reason", None) or next(iter(seen.args[:1]), None)) is not None:
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return str(seen) or type(seen).__name__
