"""A line to an HTTP server that counts what passes, and holds each request back for a while."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
LIMIT = 1 << 20

_LISTS = re.compile(rb"[?&](list-type|prefix|delimiter)=")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass
class Passed:
    """What went over the line: requests by method, where `LIST` is one of its own, and bytes."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    @property
    def dollars(self) -> float:
        """What Amazon S3 Standard takes for the requests in us-east-1; deleting costs nothing."""
        dear = sum(self.requests[method] for method in ("PUT", "POST", "LIST"))
        cheap = sum(self.requests[method] for method in ("GET", "HEAD"))
        return dear * 5e-6 + cheap * 0.4e-6


class CountingLine:
    """A proxy in a process of its own, between `with` and its end.

    Parameters
    ----------
    port
        The server's, on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._ours, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(port, theirs), daemon=True)
        self._process.start()
        self.port: int = self._ours.recv()

    def __enter__(self) -> CountingLine:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.join()

    def begin(self, latency: float) -> None:
        """Count from nothing, and hold each request back for so many seconds from now on."""
        self._ours.send(latency)
        self._ours.recv()

    def read(self) -> Passed:
        self._ours.send(None)
        passed: Passed = self._ours.recv()
        return passed


def _serve(port: int, pipe: Any) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(_Line(port, pipe).serve())


class _Line:
    def __init__(self, port: int, pipe: Any) -> None:
        self._port = port
        self._pipe = pipe
        self._latency = 0.0
        self._passed = Passed()
        self._is_over = asyncio.Event()

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0, backlog=512, limit=LIMIT)
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._answer)
        self._pipe.send(server.sockets[0].getsockname()[1])
        await self._is_over.wait()

    def _answer(self) -> None:
        try:
            latency = self._pipe.recv()
        except EOFError:  # whoever began this was killed
            self._is_over.set()
            return
        if latency is not None:
            self._latency, self._passed = latency, Passed()
        self._pipe.send(self._passed)

    async def _connect(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, there = await asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT)
        answers = asyncio.create_task(self._pass_answers(server, back))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._pass_request(client, there)
        there.close()
        with suppress(ConnectionError):
            await answers

    async def _pass_answers(self, server: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            while data := await server.read(LIMIT):
                self._passed.received += len(data)
                back.write(data)
                await back.drain()
        finally:
            back.close()

    async def _pass_request(
        self, client: asyncio.StreamReader, there: asyncio.StreamWriter
    ) -> None:
        head = await client.readuntil(b"\r\n\r\n")
        self._passed.requests[_method_of(head)] += 1
        await asyncio.sleep(self._latency)
        self._send(there, head)
        if _CHUNKED.search(head):
            await self._pass_chunks(client, there)
        elif length := _LENGTH.search(head):
            await self._pass_bytes(client, there, int(length[1]))
        await there.drain()

    async def _pass_bytes(
        self, client: asyncio.StreamReader, there: asyncio.StreamWriter, length: int
    ) -> None:
        while length:
            data = await client.readexactly(min(length, LIMIT))
            self._send(there, data)
            await there.drain()
            length -= len(data)

    async def _pass_chunks(self, client: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        size = -1
        while size:
            line = await client.readuntil(b"\r\n")
            self._send(there, line)
            size = int(line.partition(b";")[0], 16)
            await self._pass_bytes(client, there, size)
            self._send(there, await client.readuntil(b"\r\n"))

    def _send(self, there: asyncio.StreamWriter, data: bytes) -> None:
        self._passed.sent += len(data)
        there.write(data)


def _method_of(head: bytes) -> str:
    method, target, _ = head.split(b" ", 2)
    return "LIST" if method == b"GET" and _LISTS.search(target) else method.decode()
