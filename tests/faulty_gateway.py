"""A gateway in front of a real one that spoils its answers, and the ways in which it does."""

import contextlib
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

MOST_SECONDS = 20


class Server(ThreadingHTTPServer):
    request_queue_size = 100
    # closing waits for all exchanges, so that a client that never leaves is noticed
    daemon_threads = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = MOST_SECONDS

    def do_GET(self):
        self.gateway.seen.append((self.path, dict(self.headers)))
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            self.gateway.fault(Exchange(self, self.gateway.upstream))

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.do_GET()

    def log_message(self, *arguments):
        pass


class FaultyGateway:
    """A server on loopback that gets an answer from upstream and lets a fault send it on.

    A fault is a function of the exchange. `seen` lists the paths and headers of the requests.
    """

    def __init__(self, upstream, fault):
        self.upstream = upstream
        self.fault = fault
        self.seen = []
        handler = type("BoundHandler", (Handler,), {"gateway": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()


class Exchange:
    """One request, what the real gateway answers to it, and ways to answer it."""

    def __init__(self, handler, upstream):
        self.handler = handler
        self.path = handler.path
        self.cid = self.path.split("/ipfs/")[-1].split("?")[0]
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self._upstream = upstream

    def ask(self):
        """Return the status, the type and the body that the real gateway answers with."""
        answer = requests.request(
            self.handler.command,
            self._upstream + self.path,
            data=self.body,
            headers={
                name: self.handler.headers[name]
                for name in ("Accept", "Content-Type")
                if name in self.handler.headers
            },
            timeout=MOST_SECONDS,
        )
        return answer.status_code, answer.headers.get("Content-Type", ""), answer.content

    def start(self, status=200, **headers):
        self.handler.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data):
        if self.handler.command != "HEAD":
            self.handler.wfile.write(data)
            self.handler.wfile.flush()

    def answer(self, body, status=200, kind="application/vnd.ipld.raw", **headers):
        headers.setdefault("Content_Length", str(len(body)))
        self.start(status, Content_Type=kind, **headers)
        self.write(body)

    def wait_until_left(self):
        """Return when the client closes the connection, or resets it."""
        with contextlib.suppress(ConnectionError):
            while self.handler.connection.recv(1 << 16):
                pass


def honest(exchange):
    status, kind, body = exchange.ask()
    exchange.answer(body, status, kind)


def bit_flipped(exchange):
    _, kind, body = exchange.ask()
    middle = len(body) // 2
    spoilt = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    exchange.answer(spoilt, kind=kind)


def shortened(exchange):
    _, kind, body = exchange.ask()
    exchange.answer(body[: len(body) // 2], kind=kind)


def cut_off(exchange):
    _, kind, body = exchange.ask()
    exchange.answer(body[: len(body) // 2], kind=kind, Content_Length=str(len(body)))


def cut_off_without_length(exchange):
    _, kind, body = exchange.ask()
    exchange.start(Content_Type=kind)
    exchange.write(body[: len(body) // 2])


def empty(exchange):
    exchange.answer(b"")


def too_long(exchange):
    _, kind, body = exchange.ask()
    exchange.answer(body + bytes(2 << 20), kind=kind)


def endless(exchange):
    exchange.start(Content_Type="application/vnd.ipld.raw")
    while True:
        exchange.write(bytes(1 << 16))


def endless_redirect(exchange):
    exchange.start(302, Location=exchange.path)
    while True:
        exchange.write(bytes(1 << 16))


def endless_headers(exchange):
    exchange.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        exchange.write(b"X-More: %s\r\n" % (b"x" * 4096))


def stalled(exchange):
    exchange.wait_until_left()


def stalled_in_body(exchange):
    _, kind, body = exchange.ask()
    exchange.start(Content_Type=kind, Content_Length=str(len(body)))
    exchange.write(body[: len(body) // 2])
    exchange.wait_until_left()


def trickling(exchange):
    """Send a byte whenever the client would not wait much longer for the next one."""
    _, kind, body = exchange.ask()
    exchange.start(Content_Type=kind, Content_Length=str(len(body)))
    left = threading.Event()
    watcher = threading.Thread(target=lambda: (exchange.wait_until_left(), left.set()))
    watcher.start()
    for byte in body:
        if left.wait(0.05):
            break
        exchange.write(bytes([byte]))
    watcher.join()


def hung_up(exchange):
    pass


def no_http(exchange):
    exchange.write(b"220 mail.example.org ESMTP\r\n")


def page(exchange):
    exchange.answer(b"<html>Please log in</html>", kind="text/html; charset=utf-8")


def compressed(exchange):
    _, kind, body = exchange.ask()
    exchange.answer(gzip.compress(body), kind=kind, Content_Encoding="gzip")


def other_block(exchange):
    exchange.answer(b"another block")


def status(code, **headers):
    def answer(exchange):
        exchange.answer(b"" if code in (204, 304) else b"sorry", code, "text/plain", **headers)

    answer.__name__ = f"status_{code}"
    return answer


def redirect(location, code=302):
    """Redirect to a location, in which {cid} and {path} stand for those of the request."""

    def answer(exchange):
        exchange.answer(b"", code, Location=location.format(cid=exchange.cid, path=exchange.path))

    answer.__name__ = f"redirect_to_{location}"
    return answer


def patience(fault, *, in_vain=0.5):
    """Return a client's timeout: short where only that ends the exchange."""
    return in_vain if fault in (stalled, stalled_in_body, trickling) else 10


def patience_for_honest(fault):
    """Return a timeout that an honest answer keeps on a busy machine too."""
    return patience(fault, in_vain=4)
