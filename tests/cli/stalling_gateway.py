"""A gateway that serves a folder of blocks and, at one request, stops until it is let go."""

from __future__ import annotations

import threading
from base64 import b32decode, b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit


class Gateway(NamedTuple):
    """A running gateway.

    Attributes
    ----------
    url : str
        Its address.
    stalled : threading.Event
        Set once a request waits.
    go_on : threading.Event
        To be set to let requests go.
    """

    url: str
    stalled: threading.Event
    go_on: threading.Event


def block_file(folder: Path, cid: str) -> Path:
    """Return where a folder in the flatfs layout keeps the block of a CIDv1 in base32."""
    text = cid[1:].upper()
    multihash = b32decode(text + "=" * (-len(text) % 8))[2:]
    key = b32encode(multihash).decode().rstrip("=")
    return folder / key[-3:-1] / f"{key}.data"


@contextmanager
def serving(folder: Path, *, stall_at: int) -> Iterator[Gateway]:
    """Serve the blocks of a folder, and stall at the request of this number and those after it."""
    stalled, go_on = threading.Event(), threading.Event()
    count, lock = 0, threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal count
            with lock:
                count += 1
                waits = count >= stall_at and not go_on.is_set()
            if waits:
                stalled.set()
                go_on.wait()
            cid = urlsplit(self.path).path.rpartition("/")[2]
            data = block_file(folder, cid).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.ipld.raw")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *request: object) -> None:
            """Say nothing of those that went away meanwhile."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Gateway(f"http://127.0.0.1:{server.server_port}", stalled, go_on)
    finally:
        go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
