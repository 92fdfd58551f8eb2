"""HTTP with two faces, requests for threads and aiohttp for event loops, bounded in size and time.

Redirects are never followed, bodies are taken uncompressed only, and neither proxies' nor users'
configuration files add credentials.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import io
import re
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import requests
import urllib3
from requests.adapters import HTTPAdapter

from ipldstore.backends.retries import TransientError
from ipldstore.errors import BackendError, raise_alone
from ipldstore.limits import CONNECT_SECONDS, CONNECTIONS, MAX_WAIT_SECONDS, REQUEST_SECONDS
from ipldstore.locks import Guard
from ipldstore.urls import secrets_in, show_url, without_secrets

Auth: TypeAlias = "tuple[str, str] | str | None"
"""A user's name and password, or a bearer token."""

DEFAULT_TIMEOUT = REQUEST_SECONDS
DEFAULT_CONNECTIONS = CONNECTIONS

_PIECE_BYTES = 1 << 18
_BUSY = (408, 425, 429, 502, 503, 504)

_SHORTEST_SECRET = 4
_AUTH_SCHEMES = ("basic", "bearer", "digest", "token", "negotiate")
_HARMLESS = (
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "range",
    "user-agent",
)


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
        asked = _Asked(method, url, _plain(headers), seconds)
        session = self._threads_session()
        try:
            with _requests_errors(asked):
                response = session.request(
                    method,
                    url,
                    headers=asked.headers,
                    data=body,
                    stream=True,
                    allow_redirects=False,
                    proxies=self._proxies(url),
                    timeout=(min(CONNECT_SECONDS, seconds), seconds),
                )
            try:
                asked.check_plain(response.headers)
                # read1 returns what has come, so that single bytes cannot outlast the deadline
                pieces = iter(lambda: response.raw.read1(_PIECE_BYTES), b"")
                yield Stream(
                    response.status_code,
                    response.headers,
                    _bounded(pieces, asked, limit, deadline),
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
        asked = _Asked(method, url, _plain(headers), seconds)
        request = own.session.request(
            method,
            url,
            headers=asked.headers,
            data=None if body is None else io.BytesIO(body),
            allow_redirects=False,
            proxy=_http_proxy(self._proxies(url).get(urlsplit(url).scheme)),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        )
        async with own.slots, _aiohttp_errors(asked), request as response:
            asked.check_plain(response.headers)
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
        if not self._use_proxies or proxy_bypass(host):
            return {}
        wanted = (urlsplit(url).scheme, "all")
        found = {scheme: proxy for scheme, proxy in getproxies().items() if scheme in wanted}
        return {scheme: _proxy_url(proxy) for scheme, proxy in found.items()}

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


def _check_size(size: int, limit: int | None, url: str) -> None:
    if limit is not None and size > limit:
        raise BackendError(f"{show_url(url)}: the answer is longer than {limit} bytes")


def _bounded(
    pieces: Iterator[bytes], asked: _Asked, limit: int | None, deadline: float | None
) -> Iterator[bytes]:
    size = 0
    with _requests_errors(asked):
        for piece in pieces:
            size += len(piece)
            _check_size(size, limit, asked.url)
            if deadline is not None and time.monotonic() > deadline:
                raise asked.timed_out()
            yield piece


class _Asked(NamedTuple):
    """A request, for the messages of its errors, none of which show what is secret in it."""

    method: str
    url: str
    headers: Mapping[str, str]
    seconds: float

    def timed_out(self) -> BackendError:
        return BackendError(
            f"{self.method} {show_url(self.url)}: not answered within {self.seconds:g} s",
            retryable=True,
        )

    def fault(self, kind: type[BackendError], text: str) -> BackendError:
        """Make the error for what a library or a server says."""
        return kind(f"{self.method} {show_url(self.url)}: {self.clean(text)}")

    def clean(self, text: str) -> str:
        """Return text without passwords and tokens of this request, of its proxies neither."""
        proxies = [secret for proxy in getproxies().values() for secret in _secrets_of(proxy)]
        return without_sent(text, self.headers, (*secrets_in(self.url), *proxies))

    def check_plain(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise BackendError(
                f"{show_url(self.url)}: the answer is compressed ({self.clean(encoding)[:40]!r}) "
                "without being asked"
            )


def _secrets_of(proxy: str) -> set[str]:
    """Return what is secret in a proxy's address, which may lack its scheme."""
    user = proxy.rpartition("@")[0].rpartition(":")[2]
    return {*secrets_in(_with_scheme(proxy)), *_spellings([user])}


def _proxy_url(proxy: str) -> str:
    """Return a proxy's address as a URL with a host, without which libraries fail in odd ways."""
    url = _with_scheme(proxy)
    try:
        parts = urlsplit(url)
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise _malformed_proxy()
    return url


def _http_proxy(proxy: str | None) -> str | None:
    """Return a proxy's URL if aiohttp takes its scheme."""
    if proxy is not None and urlsplit(proxy).scheme not in ("http", "https"):
        raise _malformed_proxy()
    return proxy


def _malformed_proxy() -> BackendError:
    return BackendError(
        "the proxy that the environment names cannot be used: expected one such as http://HOST:PORT"
    )


def _with_scheme(proxy: str) -> str:
    """Return a proxy's address as a URL: ``user:password@host:port`` is one for many programs."""
    return proxy if "://" in proxy else f"http://{proxy.lstrip('/')}"


def without_sent(text: str, headers: Mapping[str, str], secrets: Iterable[str] = ()) -> str:
    """Return what a server or a library says without what was sent to be let in.

    Parameters
    ----------
    text
        What is said.
    headers
        The request's, in which all is left out that is not known to be harmless.
    secrets
        What is left out, too.
    """
    for secret in sorted({*secrets, *_secrets_sent(headers)}, key=len, reverse=True):
        text = re.sub(_however_quoted(secret), "***", text)
    return without_secrets(text)


def _however_quoted(secret: str) -> str:
    """Return a pattern of a text that was quoted, maybe more than once."""
    parts = (char if char.isalnum() else rf"\\*{re.escape(char)}" for char in secret)
    return "".join(parts)


def _secrets_sent(headers: Mapping[str, str]) -> set[str]:
    words: list[str] = []
    for name, value in headers.items():
        if name.lower() not in _HARMLESS:
            words += [value, *re.split(r"[\s;,]+", value), *re.split(r"[\s;,=:]+", value)]
    words += [word for text in words for word in _in_base64(text)]
    return _spellings(word for word in words if word.lower() not in _AUTH_SCHEMES)


def _in_base64(text: str) -> list[str]:
    """Return user and password of basic authentication, and the password."""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return []
    return [decoded, decoded.partition(":")[2]] if ":" in decoded else []


def _spellings(words: Iterable[str]) -> set[str]:
    """Return how a library may spell words in a message, but for those too short to tell apart."""
    found: set[str] = set()
    for word in words:
        bare = word.strip()
        found |= {bare, repr(bare)[1:-1], repr(bare.encode())[2:-1], quote(bare, safe="")}
    return {word for word in found if len(word) >= _SHORTEST_SECRET}


@contextmanager
def _requests_errors(asked: _Asked) -> Iterator[None]:
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise_alone(_requests_fault(error, asked))


def _requests_fault(error: Exception, asked: _Asked) -> BackendError:
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
async def _aiohttp_errors(asked: _Asked) -> AsyncIterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise_alone(_aiohttp_fault(error, asked))


def _aiohttp_fault(error: Exception, asked: _Asked) -> BackendError:
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
