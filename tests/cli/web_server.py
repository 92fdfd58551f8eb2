"""A web server that serves a folder, and answers in other ways where it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head></html>\n"
_PART = b"CDF\x01"
_WHOLE = 5000


class Web(NamedTuple):
    """A running server.

    Attributes
    ----------
    url : str
        Its address.
    asked : list of str
        The path of each request and its headers.
    stalled : threading.Event
        Set once a body stops in the middle, which it does until the server ends.
    """

    url: str
    asked: list[str]
    stalled: threading.Event


class _Handler(SimpleHTTPRequestHandler):
    def __init__(
        self,
        *arguments: Any,
        asked: list[str],
        stalled: threading.Event,
        ended: threading.Event,
        **options: Any,
    ) -> None:
        self.asked, self.stalled, self.ended = asked, stalled, ended
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        is_first = not any(asked.startswith(f"{self.path}\n") for asked in self.asked)
        self.asked.append(f"{self.path}\n{self.headers}")
        first, _, rest = urlsplit(self.path).path[1:].partition("/")
        name = first.partition(".")[0]
        redirects = {"to": f"/{rest}", "loop": self.path, "away": "file:///etc/hostname"}
        if name in redirects:
            self.answer(302, location=redirects[name])
        elif name.isdecimal():
            self.answer(int(name), b"no")
        elif name == "page":
            self.answer(200, PAGE)
        elif name == "long":
            self.answer(200, PAGE, length="1" * 5000)
        elif name in ("short", "stall") or (name == "once" and is_first):
            self.answer(200, _PART, length=_WHOLE)
            if name == "stall":
                self.stalled.set()
                self.ended.wait()
        else:
            self.path = f"/{rest}" if name == "once" else self.path
            super().do_GET()

    def answer(
        self, status: int, body: bytes = b"", *, location: str = "", length: object = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *request: object) -> None:
        """Say nothing of those that went away meanwhile."""


@contextmanager
def serving_files(folder: Path) -> Iterator[Web]:
    """Serve a folder.

    ``/to/PATH`` leads to PATH, ``/loop`` to itself, ``/away`` to a file of the machine, ``/NUMBER``
    is answered with that status, ``/page`` with HTML, ``/long`` with a length of 5,000 digits,
    ``/short`` and ``/stall`` with a part of what they say, and ``/once/PATH`` at first so, then
    with PATH.
    """
    asked: list[str] = []
    stalled, ended = threading.Event(), threading.Event()
    handler = partial(_Handler, directory=str(folder), asked=asked, stalled=stalled, ended=ended)
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Web(f"http://127.0.0.1:{server.server_port}", asked, stalled)
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
