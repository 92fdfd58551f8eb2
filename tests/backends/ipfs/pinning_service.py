"""A pinning service in memory, with the four calls of the IPFS Pinning Service API 1.0."""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class PinningService:
    """Answers on loopback from the beginning until it is closed.

    Every new pin gets `status` at once; nothing is fetched. While `is_broken`, it shows the first
    page of a list only.
    """

    def __init__(self, token):
        self.token = token
        self.status = "pinned"
        self.is_broken = False
        self._pins = {}
        self._lock = threading.Lock()
        service = self

        class Handler(_Handler):
            owner = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pins(self):
        return [(pin["pin"]["cid"], pin["pin"].get("name")) for pin in self._pins.values()]

    def keep(self, cid, name):
        return self._keep({"cid": cid, "name": name})

    def _keep(self, pin):
        with self._lock:
            number = len(self._pins) + 1
            created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
            entry = {
                "requestid": f"request-{number}",
                "status": self.status,
                "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "pin": pin,
                "delegates": [],
            }
            self._pins[entry["requestid"]] = entry
            return entry

    def _find(self, query):
        """Return how many pins match and, the newest first, as many as are asked for."""
        statuses = query.get("status", ["pinned"])[0].split(",")
        cids = query["cid"][0].split(",") if "cid" in query else None
        found = [
            entry
            for entry in reversed(self._pins.values())
            if entry["status"] in statuses
            and (cids is None or entry["pin"]["cid"] in cids)
            and ("name" not in query or entry["pin"].get("name") == query["name"][0])
            and ("before" not in query or entry["created"] < query["before"][0])
        ]
        return {"count": len(found), "results": found[: int(query.get("limit", ["10"])[0])]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self):
        url = urlsplit(self.path)
        if not self._is_authorized():
            return
        number = url.path.removeprefix("/pins").removeprefix("/")
        if self.owner.is_broken and "before" in url.query:
            self._answer(500, {"error": {"reason": "INTERNAL_SERVER_ERROR"}})
        elif not number:
            self._answer(200, self.owner._find(parse_qs(url.query)))
        elif number in self.owner._pins:
            self._answer(200, self.owner._pins[number])
        else:
            self._answer(404, {"error": {"reason": "NOT_FOUND"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_authorized():
            self._answer(202, self.owner._keep(body))

    def do_DELETE(self):
        if self._is_authorized():
            self.owner._pins.pop(self.path.removeprefix("/pins/"))
            self._answer(202, None)

    def _is_authorized(self):
        if self.headers["Authorization"] == f"Bearer {self.owner.token}":
            return True
        self._answer(401, {"error": {"reason": "UNAUTHORIZED"}})
        return False

    def _answer(self, status, value):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass
