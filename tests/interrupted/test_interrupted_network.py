"""Interrupts and forks in the middle of requests and shipments, with a server in this process."""

import contextlib
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ipldstore.backends.http.client import HTTPClient
from tests.interrupts import PACKAGE, count_points, interrupt_at

pytestmark = pytest.mark.once

DEADLINE = 30
WITHIN = PACKAGE, contextlib.__file__


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        """Say nothing of clients that hang up."""


@pytest.fixture
def url():
    with Server(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupted_request_costs_no_connection(url):
    client = HTTPClient(timeout=DEADLINE, connections=1)

    def send():
        assert client.send("GET", url, limit=10).body == b"hello"

    send()
    count = count_points(send, within=WITHIN)
    assert count > 20
    for point in range(1, count + 1):
        interrupt_at(point, send, within=WITHIN)
        thread = Thread(target=send, daemon=True)
        thread.start()
        thread.join(DEADLINE)
        assert not thread.is_alive(), f"point {point}: the next request waits for a connection"
    client.close()


FORKED_SHIPPING = """
import os, threading
from ipldstore.backends.shipping import Shipping
from ipldstore.cid import make_link

under_way, go, arrived = threading.Event(), threading.Event(), {}

def ship(blocks):
    if os.getpid() == parent:
        under_way.set()
        assert go.wait(60)
    arrived.update(blocks)

parent = os.getpid()
blocks = [(make_link(b"%d" % number), b"%d" % number) for number in range(30)]
shipping = Shipping(ship, 1000)
for block in blocks:
    shipping.put(*block)
flushing = threading.Thread(target=shipping.flush)
flushing.start()
assert under_way.wait(60)
child = os.fork()
if not child:
    assert shipping.get(blocks[0][0]) == b"0"
    shipping.put(make_link(b"of the child"), b"of the child")
    shipping.flush()
    os._exit(arrived == {**dict(blocks), make_link(b"of the child"): b"of the child"})
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go.set()
flushing.join(60)
print(arrived == dict(blocks))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_is_under_way_in_the_parent_waits_in_the_child():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_SHIPPING],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.stdout.split() == ["1", "True"], done.stderr
