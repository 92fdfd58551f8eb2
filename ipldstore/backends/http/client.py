"""What sends requests, from threads and from event loops."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from ipldstore.backends.http.answers import Reply, Stream
from ipldstore.backends.http.faults import Asked, aiohttp_errors, requests_errors
from ipldstore.backends.http.loops import Loops
from ipldstore.backends.http.proxies import http_proxy, proxies_for
from ipldstore.basics.locks import Guard
from ipldstore.limits import CONNECT_SECONDS, CONNECTIONS, REQUEST_SECONDS

DEFAULT_TIMEOUT = REQUEST_SECONDS
DEFAULT_CONNECTIONS = CONNECTIONS

_PIECE_BYTES = 1 << 18


class _Session(requests.Session):
    """Leaves redirects alone; requests reads all of their bodies and looks into them otherwise."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class HTTPClient:
    """Sends requests, so many at once, from threads and from event loops.

    `timeout` is how many seconds a request may take, until the last byte of its answer.
    `connections` is how many are under way at once, for the threads together and for each event
    loop. Proxies are taken from the environment only with `use_proxies`.
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
        self._loops = Loops(self.connections)

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
        """Send a request and return its answer, whatever its status, of at most `limit` bytes."""
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
        """Send a request and read its answer piece by piece; parameters as in `send`.

        With no limit, `timeout` bounds the wait for each piece, not for the whole.
        """
        seconds = timeout or self.timeout
        deadline = time.monotonic() + seconds if limit is not None else None
        asked = Asked(method, url, _plain(headers), seconds)
        session = self._threads_session()
        try:
            with requests_errors(asked):
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
        own = await self._loops.here()
        seconds = timeout or self.timeout
        asked = Asked(method, url, _plain(headers), seconds)
        request = own.session.request(
            method,
            url,
            headers=asked.headers,
            data=None if body is None else io.BytesIO(body),
            allow_redirects=False,
            proxy=http_proxy(self._proxies(url).get(urlsplit(url).scheme)),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        )
        async with own.slots, aiohttp_errors(asked), request as response:
            asked.check_plain(response.headers)
            pieces = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                asked.check_size(size, limit)
                pieces.append(piece)
        return Reply(response.status, response.headers, b"".join(pieces))

    def close(self) -> None:
        """Close all connections; the next request opens them anew."""
        session, loops = self._session, self._loops
        self._start()
        if session is not None:
            session.close()
        loops.close()

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

    def _proxies(self, url: str) -> dict[str, str]:
        return proxies_for(url) if self._use_proxies else {}


def _plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"User-Agent": "ipldstore", "Accept-Encoding": "identity", **(headers or {})}


def _bounded(
    pieces: Iterator[bytes], asked: Asked, limit: int | None, deadline: float | None
) -> Iterator[bytes]:
    size = 0
    with requests_errors(asked):
        for piece in pieces:
            size += len(piece)
            asked.check_size(size, limit)
            if deadline is not None and time.monotonic() > deadline:
                raise asked.timed_out()
            yield piece
