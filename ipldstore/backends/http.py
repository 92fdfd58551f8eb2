"""HTTP with two faces, requests for threads and aiohttp for event loops, bounded in size and time.

Redirects are never followed, bodies are taken uncompressed only, and neither proxies' nor users'
configuration files add credentials.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import io
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import requests
import urllib3
from requests.adapters import HTTPAdapter

from ipldstore.backends.retries import TransientError
from ipldstore.errors import BackendError
from ipldstore.limits import CONNECT_SECONDS, CONNECTIONS, MAX_WAIT_SECONDS, REQUEST_SECONDS
from ipldstore.locks import Guard
from ipldstore.urls import secrets_in, show_url, without_secrets

Auth: TypeAlias = "tuple[str, str] | str | None"
"""A user's name and password, or a bearer token."""

DEFAULT_TIMEOUT = REQUEST_SECONDS
DEFAULT_CONNECTIONS = CONNECTIONS

_PIECE_BYTES = 1 << 18
_BUSY = (408, 425, 429, 502, 503, 504)


class Reply(NamedTuple):
    """What a server answered.

    Attributes
    ----------
    status : int
        The HTTP status.
    headers : mapping of str to str
        The headers, whose names may be asked for in any case.
    body : bytes
        The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(NamedTuple):
    """An answer whose body is still to come, in pieces; the other fields are as in `Reply`."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class _LoopSession(NamedTuple):
    """What belongs to one event loop."""

    session: aiohttp.ClientSession
    slots: asyncio.Semaphore
    closer: AsyncGenerator[None]


class _Session(requests.Session):
    """Leaves redirects alone; requests reads all of their bodies and looks into them otherwise."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class HTTPClient:
    """Sends requests, so many at once, from threads and from event loops.

    Parameters
    ----------
    timeout
        How many seconds a request may take, until the last byte of its answer.
    connections
        How many requests are under way at once, for the threads together and for each event loop.
    use_proxies
        Whether proxies are taken from the environment.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        connections: int = DEFAULT_CONNECTIONS,
        use_proxies: bool = False,
    ) -> None:
        if timeout <= 0 or connections < 1:
            raise ValueError(f"timeout {timeout} and connections {connections} must be positive")
        self.timeout = timeout
        self.connections = connections
        self._use_proxies = use_proxies
        # connections belong to the process that opened them
        self._guard = Guard(self._start)
        self._start()

    def _start(self) -> None:
        self._session: requests.Session | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopSession] = {}

    def send(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Send a request and return its answer, whatever its status.

        Parameters
        ----------
        method, url, headers, body
            The request.
        limit
            How many bytes the answer's body may have.
        timeout
            As for the client, whose own is taken if None.

        Raises
        ------
        BackendError
            If there is no answer, or not all of it, or too much of it.
        """
        with self.stream(
            method, url, limit=limit, headers=headers, body=body, timeout=timeout
        ) as stream:
            return Reply(stream.status, stream.headers, b"".join(stream.pieces))

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        limit: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Iterator[Stream]:
        """Send a request and read its answer piece by piece; parameters and errors as in `send`.

        With no limit, `timeout` bounds the wait for each piece, not for the whole.
        """
        seconds = timeout or self.timeout
        deadline = time.monotonic() + seconds if limit is not None else None
        session = self._threads_session()
        try:
            with _requests_errors(method, url, seconds):
                response = session.request(
                    method,
                    url,
                    headers=_plain(headers),
                    data=body,
                    stream=True,
                    allow_redirects=False,
                    proxies=self._proxies(url),
                    timeout=(min(CONNECT_SECONDS, seconds), seconds),
                )
            try:
                _check_plain(response.headers, url)
                # read1 returns what has come, so that single bytes cannot outlast the deadline
                pieces = iter(lambda: response.raw.read1(_PIECE_BYTES), b"")
                yield Stream(
                    response.status_code,
                    response.headers,
                    _bounded(pieces, method, url, limit, seconds, deadline),
                )
            finally:
                response.close()
        except Exception:
            raise
        except BaseException:
            # an interrupt may have cost the session one of its connections
            if self._session is session:
                self._session = None
            raise

    async def send_async(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """`send` for event loops."""
        own = await self._loop_session()
        seconds = timeout or self.timeout
        request = own.session.request(
            method,
            url,
            headers=_plain(headers),
            data=None if body is None else io.BytesIO(body),
            allow_redirects=False,
            proxy=self._proxies(url).get(urlsplit(url).scheme),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        )
        async with own.slots, _aiohttp_errors(method, url, seconds), request as response:
            _check_plain(response.headers, url)
            pieces = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                _check_size(size, limit, url)
                pieces.append(piece)
        return Reply(response.status, response.headers, b"".join(pieces))

    def close(self) -> None:
        """Close all connections; the next request opens them anew."""
        session, loops = self._session, self._loops
        self._start()
        if session is not None:
            session.close()
        for loop, own in loops.items():
            _close_on_loop(loop, own)

    def _proxies(self, url: str) -> dict[str, str]:
        """Return the proxies for a URL by the schemes that they serve."""
        host = urlsplit(url).hostname or ""
        return getproxies() if self._use_proxies and not proxy_bypass(host) else {}

    def _threads_session(self) -> requests.Session:
        with self._guard():
            if self._session is None:
                self._session = self._make_session()
            return self._session

    def _make_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        adapter = HTTPAdapter(pool_maxsize=self.connections, pool_block=True)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    async def _loop_session(self) -> _LoopSession:
        loop = asyncio.get_running_loop()
        own = self._loops.get(loop)
        if own is None:
            for other in [other for other in self._loops if other.is_closed()]:
                del self._loops[other]
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            own = _LoopSession(
                session, asyncio.Semaphore(self.connections), _close_with_loop(session)
            )
            self._loops[loop] = own
            self._close_before_the_loop_ends()
            await anext(own.closer)
        return own

    def _close_before_the_loop_ends(self) -> None:
        """Have the sessions closed at exit, before what ends the loop: zarr's ends at exit, too."""
        _with_loops.add(self)
        atexit.unregister(_close_at_exit)
        atexit.register(_close_at_exit)


async def _close_with_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """Close a session when the event loop ends: a loop closes the generators that began on it."""
    try:
        yield
    finally:
        await session.close()


def _close_at_exit() -> None:
    for client in list(_with_loops):
        client.close()


_with_loops: weakref.WeakSet[HTTPClient] = weakref.WeakSet()


def _close_on_loop(loop: asyncio.AbstractEventLoop, own: _LoopSession) -> None:
    if loop.is_closed():
        return
    if not loop.is_running():
        loop.run_until_complete(own.closer.aclose())
        return
    closing = asyncio.run_coroutine_threadsafe(own.closer.aclose(), loop)
    with suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            return
    closing.result(CONNECT_SECONDS)


def authorization(auth: Auth) -> dict[str, str]:
    """Return the header that carries credentials, if there are any."""
    if auth is None:
        return {}
    if isinstance(auth, str):
        return {"Authorization": f"Bearer {auth}"}
    user, password = auth
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def check_busy(reply: Reply | Stream, what: str) -> None:
    """Raise `TransientError` if a server says that it cannot answer now.

    Parameters
    ----------
    reply
        Its answer.
    what
        Who was asked for what, for the message.
    """
    if reply.status in _BUSY:
        wait = _parse_wait(reply.headers.get("Retry-After", ""))
        raise TransientError(f"{what}: HTTP status {reply.status}", wait=wait)


def _parse_wait(text: str) -> float:
    """Read how many seconds a server asks to wait; dates are not worth their trouble."""
    return min(float(text), MAX_WAIT_SECONDS) if text.isdecimal() and len(text) < 9 else 0.0


def _plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"User-Agent": "ipldstore", "Accept-Encoding": "identity", **(headers or {})}


def _check_plain(headers: Mapping[str, str], url: str) -> None:
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise BackendError(
            f"{show_url(url)}: the answer is compressed ({encoding[:40]!r}) without being asked"
        )


def _check_size(size: int, limit: int | None, url: str) -> None:
    if limit is not None and size > limit:
        raise BackendError(f"{show_url(url)}: the answer is longer than {limit} bytes")


def _bounded(
    pieces: Iterator[bytes],
    method: str,
    url: str,
    limit: int | None,
    seconds: float,
    deadline: float | None,
) -> Iterator[bytes]:
    size = 0
    with _requests_errors(method, url, seconds):
        for piece in pieces:
            size += len(piece)
            _check_size(size, limit, url)
            if deadline is not None and time.monotonic() > deadline:
                raise _timed_out(method, url, seconds)
            yield piece


def _timed_out(method: str, url: str, seconds: float) -> BackendError:
    return BackendError(
        f"{method} {show_url(url)}: not answered within {seconds:g} s", retryable=True
    )


@contextmanager
def _requests_errors(method: str, url: str, seconds: float) -> Iterator[None]:
    try:
        yield
    except requests.Timeout as error:
        if isinstance(error, requests.ConnectTimeout):
            raise _fault(TransientError, method, url, f"no connection: {error}") from None
        raise _timed_out(method, url, seconds) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise _timed_out(method, url, seconds) from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        if "Read timed out" in str(error):
            raise _timed_out(method, url, seconds) from None
        raise _fault(TransientError, method, url, _reason(error)) from None
    except requests.exceptions.InvalidHeader:
        raise _fault(BackendError, method, url, "a header is malformed") from None
    except (requests.RequestException, ValueError) as error:
        raise _fault(BackendError, method, url, str(error)) from None


@asynccontextmanager
async def _aiohttp_errors(method: str, url: str, seconds: float) -> AsyncIterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise _fault(TransientError, method, url, f"no connection: {error}") from None
    except TimeoutError:
        raise _timed_out(method, url, seconds) from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise _fault(TransientError, method, url, _reason(error)) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise _fault(BackendError, method, url, str(error)) from None


def _fault(kind: type[BackendError], method: str, url: str, text: str) -> BackendError:
    """Make the error for what a library says, without passwords, also of proxies.

    What the library raised is not its cause: it may hold them in any of its parts.
    """
    proxies = (secret for proxy in getproxies().values() for secret in secrets_in(proxy))
    clean = without_secrets(text, (*secrets_in(url), *proxies))
    return kind(f"{method} {show_url(url)}: {clean}")


def _reason(error: Any) -> str:
    """Return the innermost of the errors that libraries wrap around each other."""
    seen = error
    while (inner := getattr(seen, "reason", None) or next(iter(seen.args[:1]), None)) is not None:
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return str(seen) or type(seen).__name__
