"""An HTTP server before a real object store, for the faults that a real one cannot be made to show.

`faults` holds the answers that the next requests get; after them they go on to the real server,
but for those beyond `at_most` at once. `before_put` is called when a put comes.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUT = "close the connection without an answer"
LOST = "do what was asked for, and close the connection without an answer"


class FaultyStore:
    """Between `with` and its end."""

    def __init__(self, port):
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.target = port
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.faults = []
        self.requests = []
        self.at_most = None
        self.before_put = lambda: None
        self.slots = threading.Lock()
        self.under_way = 0
        self.turned_away = []

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def _answer(self):
        self.front.requests.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "PUT":
            self.front.before_put()
        fault = self.front.faults.pop(0) if self.front.faults else None
        if fault == CUT:
            self.close_connection = True
        elif fault == LOST:
            self._forward(body, is_answered=False)
            self.close_connection = True
        elif fault is not None:
            status, text = fault
            self._reply(status, {}, text.encode())
        elif not self._enter():
            self._reply(503, {}, s3_error("SlowDown").encode())
        else:
            try:
                self._forward(body)
            finally:
                self._leave()

    do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815

    def _enter(self):
        front = self.front
        with front.slots:
            is_full = front.at_most is not None and front.under_way >= front.at_most
            front.turned_away.append(is_full)
            front.under_way += not is_full
        return not is_full

    def _leave(self):
        with self.front.slots:
            self.front.under_way -= 1

    def _forward(self, body, *, is_answered=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.front.target, timeout=60)
        # the Host is signed, and goes on as it came
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        if not is_answered:
            connection.close()
            return
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in _OWN}
        size = answer.headers["Content-Length"] if self.command == "HEAD" else None
        self._reply(answer.status, headers, data, size)
        connection.close()

    def _reply(self, status, headers, data, size=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


_OWN = ("content-length", "connection", "date", "server", "transfer-encoding")


def s3_error(code):
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>"
