"""Servers that lie, flood, stall or redirect, for the backends and readers that use a network."""

import asyncio
import json
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import ipldstore
from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    IPFSStore,
    IPLDStore,
    IPLDStoreError,
    LimitExceededError,
)
from ipldstore.backends.ipfs import pinning
from ipldstore.backends.ipfs.names import list_keys, publish_name, resolve_name
from ipldstore.backends.ipfs.pinning import Pins
from ipldstore.backends.ipfs.rpc import KuboRPC
from ipldstore.backends.retries import Retries
from ipldstore.cid import make_link, to_text
from ipldstore.limits import MAX_BLOCK_BYTES, MAX_LINE_BYTES, MAX_MESSAGE_LENGTH
from ipldstore.references import references

BLOCK = b"a block of some bytes"
CID = make_link(BLOCK)
ONCE = Retries(attempts=1)
ROOT = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers))
        self.close_connection = True
        with suppress(ConnectionError):
            self.server.fault(self)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, *arguments):
        pass

    def reply(self, body, status=200, size=None, kind="application/octet-stream", **headers):
        self.send_response(status)
        headers = {"Content-Type": kind, "ETag": '"x"', "Connection": "close", **headers}
        if size is not False:
            headers["Content-Length"] = str(len(body) if size is None else size)
        headers.setdefault("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()

    def wait_until_left(self):
        while self.connection.recv(1 << 16):
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, fault):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.seen = fault, []
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(fault):
    with Server(fault) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            server.shutdown()


def changed(handler):
    handler.reply(bytes([BLOCK[0] ^ 1]) + BLOCK[1:])


def shortened(handler):
    handler.reply(BLOCK[:-1])


def another(handler):
    handler.reply(b"another block")


def empty(handler):
    handler.reply(b"")


def longer(handler):
    handler.reply(BLOCK * 2)


def cut_off(handler):
    handler.reply(BLOCK[:5], size=len(BLOCK))


def of_a_terabyte(handler):
    handler.reply(BLOCK, size=1 << 40)


def without_length(handler):
    handler.reply(BLOCK, size=False)


def endless(handler):
    handler.reply(b"", size=False)
    while True:
        handler.wfile.write(bytes(1 << 16))


def stalled(handler):
    handler.wait_until_left()


def stalled_in_body(handler):
    handler.reply(BLOCK[:5], size=len(BLOCK))
    handler.wait_until_left()


def hung_up(handler):
    pass


def no_http(handler):
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n")


def web_page(handler):
    handler.reply(b"<html>Please log in</html>", kind="text/html")


def compressed(handler):
    import gzip

    handler.reply(gzip.compress(bytes(1 << 20)), Content_Encoding="gzip")


def status(code, body=b"", **headers):
    def fault(handler):
        handler.reply(body, code, **headers)

    fault.__name__ = f"status_{code}"
    return fault


def get(store):
    return store.get_block(CID)


def get_async(store):
    return asyncio.run(store.get_block_async(CID))


@pytest.fixture(params=[get, get_async], ids=["sync", "async"])
def read(request):
    return request.param


# Buckets of object stores


def open_bucket(url, **options):
    pytest.importorskip("obstore")
    from ipldstore.backends.objects.store import ObjectCAStore

    config = {
        "endpoint": url,
        "region": "us-east-1",
        "access_key_id": "me",
        "secret_access_key": "secret",
    }
    return ObjectCAStore(
        "s3://bucket",
        config=config,
        client_options={"allow_http": True},
        retry_config={"max_retries": 1, "backoff": {"init_backoff": timedelta(milliseconds=1)}},
        **{"timeout": 0.5, "patience": 0.5, **options},
    )


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (changed, CorruptBlockError),
        (shortened, CorruptBlockError),
        (another, CorruptBlockError),
        (empty, CorruptBlockError),
        (longer, CorruptBlockError),
        (web_page, CorruptBlockError),
        (compressed, CorruptBlockError),
        (cut_off, BackendError),
        (of_a_terabyte, LimitExceededError),
        (without_length, BackendError),
        (endless, BackendError),
        (stalled, BackendError),
        (stalled_in_body, BackendError),
        (hung_up, BackendError),
        (no_http, BackendError),
        (status(429), BackendError),
        (status(500), BackendError),
        (status(503), BackendError),
        (status(403), BackendError),
        (status(204), IPLDStoreError),
    ],
    ids=lambda value: value.__name__,
)
def test_a_bucket_that_lies_or_fails(read, fault, error):
    with serving(fault) as server:
        store = open_bucket(server.url)
        tracemalloc.start()
        try:
            with pytest.raises(error) as caught:
                read(store)
            assert tracemalloc.get_traced_memory()[1] < 50 << 20
        finally:
            tracemalloc.stop()
        assert not isinstance(caught.value, KeyError | BlockNotFoundError)
        assert to_text(CID) in str(caught.value)


def test_a_redirect_of_a_bucket_gets_no_credentials(read):
    """obstore follows it; what comes is verified, and who it leads to is not told who we are."""
    with serving(lambda handler: handler.reply(BLOCK)) as other:

        def redirect(handler):
            handler.reply(b"", 307, Location=f"{other.url}{handler.path}")

        with serving(redirect) as server:
            assert read(open_bucket(server.url)) == BLOCK
        assert server.seen[0][1].keys() >= {"authorization"}
        assert not any("secret" in str(seen) or "authorization" in seen[1] for seen in other.seen)

        def lead_astray(handler):
            handler.reply(b"", 307, Location=f"{other.url}/another")

        other.fault = another
        with serving(lead_astray) as server, pytest.raises(CorruptBlockError):
            read(open_bucket(server.url))


# IPFS nodes


@pytest.fixture
def node():
    """Return a call of something against a node that gives an answer to whatever it is asked."""

    def call(fault, use):
        with serving(fault) as server:
            rpc = KuboRPC(server.url, timeout=5, retries=ONCE)
            try:
                return use(rpc, server.url)
            finally:
                rpc.close()

    return call


def answer(value):
    def fault(handler):
        handler.reply(json.dumps(value).encode(), kind="application/json")

    return fault


def with_store(call):
    def use(rpc, url):
        store = IPFSStore(url, timeout=5, buffer_bytes=0)
        store.rpc._retries = ONCE
        try:
            return call(store)
        finally:
            store.rpc.close()

    return use


USES = {
    "pins": lambda rpc, url: Pins(rpc).list(),
    "add a pin": lambda rpc, url: Pins(rpc).add(CID),
    "remove a pin": lambda rpc, url: Pins(rpc).remove(CID),
    "update a pin": lambda rpc, url: Pins(rpc).update(CID, ROOT),
    "services": lambda rpc, url: Pins(rpc).list_services(),
    "pins of a service": lambda rpc, url: Pins(rpc).remote("s").list(),
    "add to a service": lambda rpc, url: Pins(rpc).remote("s").add(CID),
    "remove from a service": lambda rpc, url: Pins(rpc).remote("s").remove(CID),
    "keys": lambda rpc, url: list_keys(rpc),
    "publish a name": lambda rpc, url: publish_name(rpc, ROOT),
    "resolve a name": lambda rpc, url: resolve_name(rpc, "ipns://example.org"),
    "size": with_store(lambda store: store.size_of(CID)),
    "has": with_store(lambda store: store.has(CID)),
    "put": with_store(lambda store: store.put_raw(BLOCK, "raw")),
    "ship": with_store(lambda store: store._ship([(CID, BLOCK)])),
    "block": with_store(lambda store: store.get_block(CID)),
}
JUNK = [
    {},
    [],
    None,
    {"Keys": []},
    {"Keys": {"nonsense": None}},
    {"Keys": {"../x": {"Name": 7}}},
    {"Keys": {to_text(CID): "x"}, "Size": "5", "Path": 7, "Name": None, "Stats": None},
    {"Keys": [1, {"Name": 1}], "Size": None, "Path": "/ipfs/../x", "Key": "x" * 2000},
    {"RemoteServices": 7, "Cid": 7, "Status": 7, "Size": True, "Stats": []},
    {"RemoteServices": [7, {}, {"Service": "s"}], "Cid": "x", "Progress": "many"},
    {"RemoteServices": [{"Service": "s", "Stat": 1}], "Pins": None, "Progress": -1},
    {"RemoteServices": [{"Service": "s", "Stat": {"PinCount": {"pinned": "x"}}}]},
    {"RemoteServices": [{"Service": "s", "Stat": {"PinCount": 7}}]},
]


@pytest.mark.parametrize("value", JUNK, ids=lambda value: json.dumps(value)[:50])
@pytest.mark.parametrize("use", USES)
def test_answers_of_another_shape(node, use, value):
    """Each is an error of this package or makes sense; none is a bare KeyError, say."""
    with suppress(IPLDStoreError):
        node(answer(value), USES[use])


@pytest.mark.parametrize("use", ["size", "has"])
def test_a_size_that_is_missing_is_no_missing_key(node, use):
    with pytest.raises(BackendError, match="as Size, expected int"):
        node(answer({"Key": to_text(CID)}), USES[use])


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "fault",
    [changed, shortened, empty, cut_off, no_http, web_page, compressed, status(404), status(301)],
    ids=lambda fault: fault.__name__,
)
def test_no_answer_of_a_node_is_believed(node, use, fault):
    with pytest.raises(IPLDStoreError) as caught:
        node(fault, USES[use])
    assert not isinstance(caught.value, KeyError)


def endless_error(handler):
    handler.reply(b"", 500, size=False)
    while True:
        handler.wfile.write(b"sorry " * 10_000)


def endless_line(handler):
    handler.reply(b"", size=False)
    while True:
        handler.wfile.write(b" " * 60_000)


@pytest.mark.parametrize("fault", [endless_error, endless_line])
def test_what_comes_in_pieces_without_end(node, fault):
    tracemalloc.start()
    try:
        with pytest.raises(BackendError):
            node(fault, lambda rpc, url: list(rpc.iter_json("pin/add", "x")))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


def test_a_list_of_pins_without_end(node, monkeypatch):
    monkeypatch.setattr(pinning, "MAX_PINS", 100)
    line = json.dumps({"Cid": to_text(CID), "Status": "pinned", "Name": "n"}).encode() + b"\n"

    def fault(handler):
        if "service/ls" in handler.path:
            return answer({"RemoteServices": []})(handler)
        handler.reply(b"", size=False)
        while True:
            handler.wfile.write(line * 20)

    with pytest.raises(BackendError, match="more than 100 pins"):
        node(fault, USES["pins of a service"])


def test_a_long_message_is_cut(node):
    long = json.dumps({"Message": "x" * 100_000, "Type": "error"}).encode()
    with pytest.raises(BackendError) as caught:
        node(status(500, long), USES["keys"])
    assert MAX_MESSAGE_LENGTH <= len(str(caught.value)) < MAX_MESSAGE_LENGTH + 200


def test_a_deep_answer(node):
    def fault(handler):
        handler.reply(b'{"Keys":' + b"[" * 1_000_000, kind="application/json")

    with pytest.raises(BackendError, match="expected JSON"):
        node(fault, USES["keys"])


# Archives at a URL, through fsspec

STORE = IPLDStore()
STORE["a/0"], STORE["a/.zarray"] = b"chunk", b"{}"
ARCHIVE = STORE.to_car()


def make_references(url):
    pytest.importorskip("aiohttp")
    pytest.importorskip("fsspec")
    return references(f"{url}/x.car")


def serve_car(data):
    return lambda handler: handler.reply(data)


def test_the_archive_at_a_url_is_sound():
    with serving(serve_car(ARCHIVE)) as server:
        assert make_references(server.url)["refs"].keys() == {"a/0", "a/.zarray"}


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        (serve_car(ARCHIVE[:-1]), CarFormatError),
        (serve_car(ARCHIVE[:-3] + b"xyz"), CarFormatError),
        (serve_car(ARCHIVE + b"x"), CarFormatError),
        (serve_car(b"<html>Please log in</html>"), CarFormatError),
        (serve_car(b""), CarFormatError),
        (endless, CarFormatError),
        (status(404), FileNotFoundError),
    ],
)
def test_an_archive_at_a_url_that_lies(fault, errors):
    with serving(fault) as server, pytest.raises(errors):
        make_references(server.url)


@pytest.mark.parametrize("fault", [status(500), status(403), hung_up, no_http])
def test_an_archive_at_a_url_that_fails(fault):
    """What fsspec raises then is no error of ours, and never a missing key."""
    with serving(fault) as server:
        with pytest.raises(Exception, match=r".") as caught:
            make_references(server.url)
        assert not isinstance(caught.value, KeyError | RecursionError | MemoryError)


def test_the_test_data_is_sound():
    assert CID[4:] == sha256(BLOCK).digest()
    assert len(BLOCK) < MAX_BLOCK_BYTES
    assert ipldstore.IPLDStore.from_car(ARCHIVE)["a/0"] == b"chunk"
