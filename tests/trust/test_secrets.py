"""Passwords, tokens and signatures are in no repr, message or traceback; pickles carry them."""

import asyncio
import base64
import http.server
import pickle
import socketserver
import threading
import traceback

import pytest

import ipldstore
from ipldstore import (
    BackendError,
    CARStore,
    DirectoryCAStore,
    GatewayCAStore,
    InvalidCIDError,
    IPFSStore,
    IPLDStore,
    IPLDStoreError,
    MappingCAStore,
    SQLiteCAStore,
    UnionCAStore,
    open_block_store,
)
from ipldstore.backends.gateway.redirects import redirected
from ipldstore.backends.http.client import HTTPClient
from ipldstore.backends.objects.faults import backend_error
from ipldstore.backends.retries import Retries
from ipldstore.basics.urls import secrets_in, show_address, show_url, without_secrets
from ipldstore.cid import as_link
from ipldstore.errors import BlockStoreURLError
from ipldstore.references import car_reference_fs, references

pytestmark = pytest.mark.once

SECRET = "s3cr3t-pw"
CID = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"


def all_text(error):
    """Return all that is in an error, its pickle, its causes, and what it was made from too."""
    text = "".join(traceback.format_exception(error)) + str(pickle.dumps(error))
    while error is not None:
        text += repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://user:{SECRET}@example.org/x", "https://example.org/x"),
        (f"https://{SECRET}@example.org/x", "https://example.org/x"),
        (f"https://user:{SECRET}/x@example.org/x", "https://example.org/x"),
        (f"https://user:{SECRET}@y#z@example.org/x", "https://example.org/x"),
        (f"https://example.org/x?X-Amz-Signature={SECRET}", "https://example.org/x"),
        (f"https://a.blob.example/c?sv=1&sig={SECRET}", "https://a.blob.example/c"),
        (f"https://example.org/x#token={SECRET}", "https://example.org/x"),
        (f"S3://key:{SECRET}@bucket/p", "S3://bucket/p"),
        (f"ipfs+http://user:{SECRET}@127.0.0.1:5001", "ipfs+http://127.0.0.1:5001"),
        (f"gateway+http//alice:{SECRET}@h", "gateway+http//***@h"),
        (f"gateway+http//alice:{SECRET}/x@h?sig={SECRET}", "gateway+http//***@h"),
        (f"ipfs+http//{SECRET}@h", "ipfs+http//***@h"),
        (f"gateway+alice:{SECRET}@host", "***@host"),
        (f"alice:{SECRET}@CID", "***@CID"),
        (f"ipfs:/ip4/127.0.0.1/tcp/9:{SECRET}", "ipfs:/ip4/127.0.0.1/tcp/9"),
        (f"http://host:9:{SECRET}/x", "http://host:9/x"),
        (f"http://[::1]:9:{SECRET}/x", "http://[::1]:9/x"),
        (f"http://host:{SECRET}", "http://host:"),
        ("gateway+http://a:80,https://b:443/x", "gateway+http://a:80,https://b:443/x"),
        ("sqlite:folder/a@b", "sqlite:folder/a@b"),
        ("folder/a@b?c", "folder/a@b?c"),
        ("ipld://CID/a@b", "ipld://CID/a@b"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url, shown):
    assert show_url(url) == shown
    if secrets_in(url):
        assert any(SECRET in secret for secret in secrets_in(url))
        text = f"ClientError: 403, url={url!r}; GET {url} (Caused by x)"
        assert SECRET not in without_secrets(text)
        assert SECRET not in without_secrets(f"password {SECRET}, {url}", [SECRET])


@pytest.mark.parametrize(
    "text",
    [
        "cannot read http://127.0.0.1:5001: refused",
        "(see http://host:80), http://[::1]:80, or ipfs+http://HOST:PORT, gateway:",
        "no connection to https://example.org, nor to http://h",
    ],
)
def test_text_around_urls_stays(text):
    assert without_secrets(text) == text


def test_addresses_are_shown_without_what_is_secret():
    assert show_address(f"/dns4/user:{SECRET}@host/tcp/5001") == "/dns4/host/tcp/5001"
    assert show_address(f"user:{SECRET}@host:5001") == "http://host:5001"


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_response(407)
        self.send_header("Proxy-Authenticate", "Basic")
        self.end_headers()

    def do_GET(self):
        status, location = self.server.answer
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.answer = 404, None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


FACES = {
    "sync": lambda store: store.get(CID),
    "async": lambda store: asyncio.run(store.get_block_async(CID)),
}


@pytest.fixture(params=FACES)
def read(request):
    return FACES[request.param]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "proxy:99999", "127.0.0.1:1"])
def test_errors_of_proxies(monkeypatch, server, read, host):
    proxy = f"http://user:{SECRET}@{host.format(port=server.server_port)}"
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    store = GatewayCAStore("https://192.0.2.1", timeout=5, retries=Retries(attempts=1))
    with pytest.raises(BackendError) as caught:
        read(store)
    assert SECRET not in all_text(caught.value)
    store.close()


@pytest.mark.parametrize(
    "proxy",
    [
        f"user:{SECRET}@127.0.0.1:1",
        f"//user:{SECRET}@127.0.0.1:1",
        f"{SECRET}@127.0.0.1:1",
        f"http:user:{SECRET}@127.0.0.1:1",
        f"user:{SECRET}@127.0.0.1:port",
        f"us er:{SECRET}@127.0.0.1:port",
        f"user:{SECRET}@",
        f"s://user:{SECRET}@h",
        f"socks5://user:{SECRET}@127.0.0.1:1",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies_without_a_scheme(monkeypatch, read, proxy, scheme):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.upper(), proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    store = GatewayCAStore(f"{scheme}://192.0.2.1", timeout=5, retries=Retries(attempts=1))
    with pytest.raises(BackendError) as caught:
        read(store)
    assert SECRET not in all_text(caught.value)
    store.close()


@pytest.fixture
def echo():
    """Serve answers in which the request's header of credentials stands somewhere."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            sent = b""
            while (line := self.rfile.readline()).strip():
                name, _, value = line.partition(b":")
                if name.lower() in (b"authorization", b"x-key"):
                    sent = value.strip()
            self.wfile.write(self.server.answer.replace(b"SENT", sent.split(b" ")[-1]))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


SENT = {
    "token": {"auth": SECRET},
    "password": {"auth": ("user", SECRET)},
    "header": {"headers": {"X-Key": SECRET}},
    "quoted": {"headers": {"X-Key": f"a'\"\\{SECRET}"}},
}
HEAD = b"HTTP/1.1 200 OK\r\n"
ECHOES = {
    "status": b"SENT\r\n\r\n",
    "version": b"HTTP/SENT 200 OK\r\n\r\n",
    "code": b"HTTP/1.1 SENT OK\r\n\r\n",
    "header": HEAD + b"bad header SENT\r\nContent-Length: 0\r\n\r\n",
    "length": HEAD + b"Content-Length: SENT\r\n\r\n",
    "encoding": HEAD + b"Content-Encoding: SENT\r\nContent-Length: 0\r\n\r\n",
    "cut encoding": HEAD + b"Content-Encoding: " + 34 * b"x" + b"SENT\r\nContent-Length: 0\r\n\r\n",
    "transfer": HEAD + b"Transfer-Encoding: SENT\r\n\r\nx",
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nSENT\r\n",
    "type": HEAD + b"Content-Type: SENT\r\nContent-Length: 0\r\n\r\n",
    "failure": b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n"
    b'{"Message": "got SENT", "Code": 0, "Type": "error"}',
    "no JSON": b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\nSENT",
}


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("kind", [GatewayCAStore, IPFSStore])
def test_servers_that_repeat_what_they_were_sent(monkeypatch, echo, read, kind, name, sent):
    for face in ("run", "run_async"):
        monkeypatch.setattr(Retries, face, lambda self, call: call())
    echo.answer = ECHOES[name]
    url = f"http://127.0.0.1:{echo.server_address[1]}"
    store = kind(url, timeout=5, **SENT[sent])
    with pytest.raises(IPLDStoreError) as caught:
        read(store)
    text = all_text(caught.value)
    basic = base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert SECRET[:6] not in text
    assert basic[:10] not in text
    store.close()


@pytest.mark.parametrize(
    "location",
    [
        f"https://user:{SECRET}@example.org/ipfs/{CID}",
        f"http://example.org/ipfs/other?X-Amz-Signature={SECRET}",
        f"/elsewhere?sig={SECRET}",
        f"https://user:{SECRET}@example.org:port/ipfs/{CID}",
        f"ftp://user:{SECRET}@example.org/",
    ],
)
def test_refused_redirects(server, read, location):
    with pytest.raises(BackendError, match="not followed") as caught:
        redirected("https://example.org/ipfs/x", location, as_link(CID))
    assert SECRET not in all_text(caught.value)
    server.answer = 302, location
    store = GatewayCAStore(f"http://127.0.0.1:{server.server_port}", timeout=5)
    with pytest.raises(BackendError, match="not followed") as caught:
        read(store)
    assert SECRET not in all_text(caught.value)
    store.close()


@pytest.mark.parametrize("kind", [GatewayCAStore, IPFSStore])
def test_an_address_that_is_refused_has_no_context(kind):
    for url in (f"http://user:{SECRET}/x@host", f"http://user@host:{SECRET}", f"http://[{SECRET}"):
        with pytest.raises(BackendError) as caught:
            kind(url)
        assert caught.value.__context__ is None
        assert SECRET not in all_text(caught.value)


def test_a_query_is_in_no_error(server):
    client = HTTPClient(timeout=5)
    url = f"http://127.0.0.1:1/x?token={SECRET}"

    async def send():
        return await client.send_async("GET", url, limit=1)

    for request in (lambda: client.send("GET", url, limit=1), lambda: asyncio.run(send())):
        with pytest.raises(BackendError) as caught:
            request()
        assert SECRET not in all_text(caught.value)
    client.close()


def test_a_token_that_is_no_header(server, read):
    store = GatewayCAStore(f"http://127.0.0.1:{server.server_port}", auth=f"{SECRET}\n")
    with pytest.raises(BackendError) as caught:
        read(store)
    assert SECRET not in all_text(caught.value)
    store.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: GatewayCAStore(f"https://user:{SECRET}@host:port"),
        lambda: GatewayCAStore(f"https://user:{SECRET}/x@host"),
        lambda: GatewayCAStore(f"https://host/?sig={SECRET}"),
        lambda: GatewayCAStore(f"ftp://user:{SECRET}@host"),
        lambda: IPFSStore(f"http://user:{SECRET}@host:port"),
        lambda: IPFSStore(f"http://user:{SECRET}/x@host"),
        lambda: IPFSStore(f"user:{SECRET}@ho st:5001"),
        lambda: IPFSStore(f"/dns4/user:{SECRET}@host/tcp/5001"),
        lambda: IPFSStore(f"/dns4/user:{SECRET}@host/udp/5001"),
        lambda: open_block_store(f"ipfs:/dns4/user:{SECRET}@host/tcp/5001"),
        lambda: open_block_store(f"gateway+https://user:{SECRET}@host:port"),
        lambda: open_block_store(f"s3://key:{SECRET}@bucket"),
        lambda: open_block_store(f"s3://bucket?X-Amz-Signature={SECRET}"),
        lambda: open_block_store(f"nothing://user:{SECRET}@host"),
        lambda: open_block_store(f"file://user:{SECRET}@host/x"),
        lambda: open_block_store(f"gateway+http//alice:{SECRET}@h", create=False),
        lambda: open_block_store(f"gateway+http//alice:{SECRET}@h"),
        lambda: open_block_store(f"gateway+http//{SECRET}@h"),
        lambda: open_block_store(f"ipfs+http//alice:{SECRET}@h", create=False),
        lambda: open_block_store(f"ipfs+http:/alice:{SECRET}@h"),
        lambda: open_block_store(f"gateway+alice:{SECRET}@host"),
        lambda: open_block_store(f"gateway:alice:{SECRET}@host"),
        lambda: open_block_store(f"memory:alice:{SECRET}@host"),
        lambda: open_block_store(f"sqlite:alice:{SECRET}@host/x", create=False),
        lambda: open_block_store(f"sqlite://alice:{SECRET}@host/x"),
        lambda: open_block_store(f"ipfs:/ip4/127.0.0.1/tcp/9:{SECRET}"),
        lambda: open_block_store(f"ipfs+http://host:9:{SECRET}"),
        lambda: open_block_store(f"ipfs+http://http//alice:{SECRET}@h"),
        lambda: open_block_store(f"gateway+http://http//alice:{SECRET}@h"),
        lambda: open_block_store(f"nothing:alice:{SECRET}@host"),
        lambda: ipldstore.open(f"ipfs://alice:{SECRET}@{CID}", MappingCAStore()),
        lambda: ipldstore.open(f"ipns://alice:{SECRET}@name", MappingCAStore()),
        lambda: ipldstore.open(f"alice:{SECRET}@{CID}"),
        lambda: DirectoryCAStore(f"http://alice:{SECRET}@host/x"),
        lambda: CARStore(f"https://alice:{SECRET}@host/x.car"),
        lambda: SQLiteCAStore(f"s3://alice:{SECRET}@host/x"),
        lambda: ipldstore.open(f"https://user:{SECRET}@host/x.car"),
    ],
)
def test_addresses_that_are_refused(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((BackendError, BlockStoreURLError, InvalidCIDError)) as caught:
        make()
    assert SECRET not in all_text(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_looks_like_a_mistyped_url_is_opened_where_it_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_block_store("./gateway+http/a:b@c").path == tmp_path / "gateway+http" / "a:b@c"


def test_errors_of_object_stores():
    text = f"error sending request for url (https://b.example/x?X-Amz-Signature={SECRET}): refused"
    error = backend_error("cannot read", RuntimeError(text))
    assert SECRET not in all_text(error)
    assert "https://b.example/x" in str(error)


def test_archives_at_urls(server):
    pytest.importorskip("aiohttp")
    for status in (404, 403, 500):
        server.answer = status, None
        url = f"http://127.0.0.1:{server.server_port}/x.car?X-Amz-Signature={SECRET}"
        for read in (references, car_reference_fs):
            with pytest.raises((BackendError, FileNotFoundError)) as caught:
                read(url)
            assert SECRET not in all_text(caught.value)
            assert f"127.0.0.1:{server.server_port}/x.car" in str(caught.value)


CARRIERS = {
    "gateway by URL": lambda: GatewayCAStore(f"https://user:{SECRET}@gw.example"),
    "gateway by auth": lambda: GatewayCAStore("https://gw.example", auth=SECRET),
    "gateway by header": lambda: GatewayCAStore(
        "https://gw.example", headers={"Authorization": f"Bearer {SECRET}"}
    ),
    "gateway opened": lambda: open_block_store(f"gateway+https://user:{SECRET}@gw.example"),
    "node by URL": lambda: IPFSStore(f"http://user:{SECRET}@127.0.0.1:1"),
    "node by auth": lambda: IPFSStore("http://127.0.0.1:1", auth=("user", SECRET)),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_pickles_carry_what_a_worker_needs_and_nothing_else_shows_it(name):
    store = CARRIERS[name]()
    union = UnionCAStore(MappingCAStore(), store)
    for carrier in (store, union, IPLDStore(union)):
        assert SECRET.encode() in pickle.dumps(carrier)
        assert SECRET not in repr(carrier)
        assert SECRET not in str(carrier)
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert SECRET not in repr(again)


def test_pickles_of_object_stores_carry_what_was_given():
    pytest.importorskip("obstore")
    from ipldstore import ObjectCAStore

    store = ObjectCAStore(
        "s3://bucket", config={"access_key_id": "AKIA", "secret_access_key": SECRET}
    )
    assert SECRET.encode() in pickle.dumps(store)
    assert SECRET not in repr(store)
