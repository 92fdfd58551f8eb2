"""Calls of Kubo's RPC API, and what its answers mean.

The commands are those of Kubo's RPC API v0 reference.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from urllib3.filepost import encode_multipart_formdata

from ipldstore.backends.http.answers import Reply, check_busy
from ipldstore.backends.http.client import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT, HTTPClient
from ipldstore.backends.http.secrets import Auth, authorization, without_sent
from ipldstore.backends.ipfs.address import find_address
from ipldstore.backends.retries import DEFAULT_RETRIES, Retries, TransientError
from ipldstore.cid import Link, parse_text
from ipldstore.errors import BackendError, BlockNotFoundError, InvalidCIDError
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import (
    MAX_LINE_BYTES,
    MAX_MESSAGE_LENGTH,
    MAX_NODE_ANSWER_BYTES,
    STREAM_SECONDS,
)

Option: TypeAlias = "str | int | float | bool | tuple[str, ...] | None"

T = TypeVar("T")


@contextmanager
def _hinting() -> Iterator[None]:
    """Add to what fails before there is an answer what mostly is the reason."""
    try:
        yield
    except TransientError as error:
        error.add_note("does the IPFS node run? `ipfs daemon` starts it")
        raise


class KuboRPC:
    """The RPC API of one node.

    `address` is as in `find_address`, `auth` a user and password, or a bearer token. `timeout` is
    how many seconds a call may take, `connections` how many may be under way at once.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth = None,
        timeout: float = DEFAULT_TIMEOUT,
        connections: int = DEFAULT_CONNECTIONS,
        retries: Retries = DEFAULT_RETRIES,
    ) -> None:
        self.url, found_auth = find_address(address)
        self.auth = auth or found_auth
        self.timeout = timeout
        self._headers = {**(headers or {}), **authorization(self.auth)}
        self._retries = retries
        self._client = HTTPClient(timeout=timeout, connections=connections)

    def call(
        self,
        command: str,
        *arguments: str,
        file: bytes | None = None,
        timeout: float | None = None,
        **options: Option,
    ) -> bytes:
        """Call a command and return what it answers.

        Commands are such as ``"block/get"``. `timeout` is how many seconds it may take, in the node
        as well; the client's own if None. Options are named with ``_`` for ``-``; those that are
        None are left out, tuples are given once for each of their values. Raises
        `BlockNotFoundError` if the node says that a block is not there, and `BackendError` if it
        cannot be reached, refuses, or fails.
        """
        request = self._request(command, arguments, file, timeout, options)
        return self._retries.run(lambda: self._send(command, request))

    def call_once(
        self, command: str, *arguments: str, timeout: float | None = None, **options: Option
    ) -> dict[str, Any]:
        """`call_json` for commands that must not be sent twice."""
        request = self._request(command, arguments, None, timeout, options)
        return self._parse(command, self._send(command, request))

    def _send(self, command: str, request: Mapping[str, Any]) -> bytes:
        with _hinting():
            reply = self._client.send(**request)
        return self._result(command, reply)

    async def call_async(
        self,
        command: str,
        *arguments: str,
        file: bytes | None = None,
        timeout: float | None = None,
        **options: Option,
    ) -> bytes:
        """`call` for event loops."""
        request = self._request(command, arguments, file, timeout, options)

        async def attempt() -> bytes:
            with _hinting():
                reply = await self._client.send_async(**request)
            return self._result(command, reply)

        return await self._retries.run_async(attempt)

    def call_json(
        self,
        command: str,
        *arguments: str,
        file: bytes | None = None,
        timeout: float | None = None,
        **options: Option,
    ) -> dict[str, Any]:
        """`call` for commands that answer with one JSON object."""
        data = self.call(command, *arguments, file=file, timeout=timeout, **options)
        return self._parse(command, data)

    async def call_json_async(
        self,
        command: str,
        *arguments: str,
        file: bytes | None = None,
        timeout: float | None = None,
        **options: Option,
    ) -> dict[str, Any]:
        """`call_json` for event loops."""
        data = await self.call_async(command, *arguments, file=file, timeout=timeout, **options)
        return self._parse(command, data)

    def iter_json(
        self, command: str, *arguments: str, timeout: float | None = None, **options: Option
    ) -> Generator[dict[str, Any]]:
        """Iterate the JSON objects that a command answers with as they come; it is sent once.

        The timeout bounds the wait for each of them; the whole may take a day. A node that fails
        after the first says so in an HTTP trailer, which is not read: look for the object that
        tells of success. Raises `BackendError` if the node cannot be reached, refuses, or fails.
        """
        request = self._request(command, arguments, None, STREAM_SECONDS, options)
        bounds = {"limit": None, "timeout": timeout or self.timeout}
        deadline = time.monotonic() + STREAM_SECONDS
        with self._client.stream(**{**request, **bounds}) as stream:
            rest = b""
            for piece in stream.pieces:
                if stream.status != 200:
                    rest += piece
                    if len(rest) > MAX_LINE_BYTES:
                        break
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    raise BackendError(f"{self._name(command)}: a line of over 1 MiB")
                if time.monotonic() > deadline:
                    raise BackendError(f"{self._name(command)}: no end within a day")
                for line in lines:
                    yield self._parse(command, line)
            if stream.status != 200:
                self._result(command, Reply(stream.status, stream.headers, rest))
            if rest.strip():
                yield self._parse(command, rest)

    def close(self) -> None:
        """Close all connections; the next call opens them anew."""
        self._client.close()

    def _request(
        self,
        command: str,
        arguments: tuple[str, ...],
        file: bytes | None,
        timeout: float | None,
        options: Mapping[str, Option],
    ) -> dict[str, Any]:
        seconds = timeout or self.timeout
        # the node gives up first, so that it can say what it was doing
        query = [("arg", argument) for argument in arguments]
        query += [("timeout", f"{seconds * 0.95:.3f}s")]
        query += [
            (name.replace("_", "-"), str(value).lower() if isinstance(value, bool) else str(value))
            for name, given in options.items()
            for value in (given if isinstance(given, tuple) else (given,))
            if value is not None
        ]
        headers, body = dict(self._headers), None
        if file is not None:
            part = {"file": ("file", file, "application/octet-stream")}
            body, headers["Content-Type"] = encode_multipart_formdata(part)
        return {
            "method": "POST",
            "url": f"{self.url}/api/v0/{command}?{urlencode(query)}",
            "headers": headers,
            "body": body,
            "limit": MAX_NODE_ANSWER_BYTES,
            "timeout": seconds,
        }

    def _name(self, command: str) -> str:
        return f"IPFS node {self.url}, {command}"

    def _parse(self, command: str, line: bytes) -> dict[str, Any]:
        try:
            value = load_json(line, limit=MAX_NODE_ANSWER_BYTES)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            found = self._clean(line[: 4 * MAX_MESSAGE_LENGTH].decode(errors="replace"))[:80]
            raise BackendError(f"{self._name(command)}: expected JSON, not {found!r}")
        if value.get("Type") == "error" and "Message" in value:
            self._fail(command, str(value["Message"]))
        return value

    def _result(self, command: str, reply: Reply) -> bytes:
        name = self._name(command)
        if reply.status == 200:
            return reply.body
        check_busy(reply, name)
        if reply.status in (401, 403):
            raise BackendError(f"{name}: the node refuses access (HTTP status {reply.status})")
        if reply.status == 500:
            self._parse(command, reply.body)
        raise BackendError(
            f"{name}: HTTP status {reply.status}: expected the RPC API of an IPFS node there"
        )

    def _clean(self, message: str) -> str:
        """Return what the node says without what it was sent to let us in."""
        return without_sent(message[: 4 * MAX_MESSAGE_LENGTH], self._headers)

    def _fail(self, command: str, message: str) -> None:
        text = f"{self._name(command)}: {self._clean(message)[:MAX_MESSAGE_LENGTH]}"
        if "ipld: could not find" in message or "block was not found locally" in message:
            raise BlockNotFoundError(text)
        if "context deadline exceeded" in message:
            raise BackendError(f"{text} (not found or done in time)", retryable=True)
        if "context canceled" in message:
            raise TransientError(text)
        raise BackendError(text)


def expect(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return what an answer holds under a name, which has to be of a type."""
    value = answer.get(name)
    if not isinstance(value, kind):
        raise BackendError(
            f"the IPFS node's answer has {str(value)[:80]!r} as {name}, expected {kind.__name__}"
        )
    return value


def expect_cid(text: Any) -> Link:
    """Read a CID in an answer."""
    try:
        return parse_text(text)
    except (InvalidCIDError, TypeError):
        raise BackendError(
            f"the IPFS node's answer has {str(text)[:80]!r}, expected a CID"
        ) from None
