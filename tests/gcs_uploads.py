"""Uploads by the XML API of Google Cloud Storage, which fake-gcs-server knows as JSON API only.

obstore puts objects by ``PUT /BUCKET/OBJECT``. This forwards such a request as the upload of the
JSON API that means the same, and every other request as it is.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import requests

_CONDITION = "x-goog-if-generation-match"
_OF_CONNECTION = ("connection", "content-length", "transfer-encoding", "date")


class Uploads:
    """A server before another one, on a free port; between `with` and its end."""

    def __init__(self, target):
        handler = type("Handler", (_Handler,), {"target": target})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    sessions = threading.local()

    def log_message(self, *arguments):
        pass

    def _forward(self):
        headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        answer = self._send(self.command, self.path, headers=headers)
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_CONNECTION}
        size = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status_code, headers, answer.content, size)

    do_GET = do_HEAD = do_DELETE = do_POST = _forward  # noqa: N815

    def do_PUT(self):
        _, bucket, name = self.path.split("/", 2)
        query = {"uploadType": "media", "name": unquote(name)}
        if _CONDITION in self.headers:
            query["ifGenerationMatch"] = self.headers[_CONDITION]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {"Content-Type": self.headers.get("Content-Type", "application/octet-stream")}
        path = f"/upload/storage/v1/b/{unquote(bucket)}/o"
        answer = self._send("POST", path, params=query, data=body, headers=headers)
        tags = {}
        if answer.status_code == 200:
            made = answer.json()
            tags = {"ETag": made["etag"], "x-goog-generation": str(made["generation"])}
        self._answer(answer.status_code, tags, b"" if tags else answer.content)

    def _send(self, method, path, **request):
        if not hasattr(self.sessions, "own"):
            self.sessions.own = requests.Session()
            self.sessions.own.trust_env = False
        return self.sessions.own.request(method, self.target + path, timeout=60, **request)

    def _answer(self, status, headers, body, size=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(body)))
        self.end_headers()
        self.wfile.write(body)
