"""A node behind something that spoils its answers: typed errors or a retry, on both faces."""

import asyncio
import json

import faulty_gateway as faults
import pytest
from faulty_gateway import FaultyGateway, honest, status

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    IPFSStore,
    IPLDStore,
)
from ipldstore.backends.retries import Retries
from ipldstore.testing import HELLO_RAW

QUICKLY = Retries(first_wait=0.01)
OTHER = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq"


def get(store, cid):
    return store.get_block(cid)


def get_async(store, cid):
    async def read():
        return await store.get_block_async(cid)

    return asyncio.run(read())


@pytest.fixture(params=[get, get_async], ids=["sync", "async"])
def read(request):
    return request.param


@pytest.fixture
def upstream(node):
    node.put_block(b"hello")
    return node


@pytest.fixture
def behind(upstream):
    """Return a store on the node behind a fault, and what it asked."""
    servers = []

    def make(fault, **options):
        server = FaultyGateway(upstream.url, fault)
        servers.append(server.__enter__())
        store = IPFSStore(server.url, **{"timeout": 5, **options})
        store.rpc._retries = QUICKLY
        stores.append(store)
        return store, server

    stores = []
    yield make
    for store in stores:
        store.rpc.close()
    for server in servers:
        server.__exit__()


def first(count, fault):
    """Spoil the first answers only."""
    left = [count]

    def answer(exchange):
        left[0] -= 1
        (fault if left[0] >= 0 else honest)(exchange)

    return answer


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(429, Retry_After="0"),
        status(502),
        status(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        status(504),
        faults.hung_up,
        faults.cut_off,
    ],
    ids=lambda fault: fault.__name__,
)
def test_what_passes_is_tried_again(behind, read, fault):
    store, server = behind(first(2, fault))
    assert read(store, HELLO_RAW) == b"hello"
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        (status(429), "HTTP status 429", True),
        (status(503), "HTTP status 503", True),
        (faults.hung_up, "block/get: ", True),
        (faults.cut_off, "block/get: ", True),
        (status(401), "refuses access", False),
        (status(403), "refuses access", False),
        (status(404), "expected the RPC API", False),
        (status(500), "expected JSON", False),
        (faults.redirect("https://example.org{path}"), "HTTP status 302", False),
        (faults.redirect("http://127.0.0.1:1{path}"), "HTTP status 302", False),
        (faults.compressed, "compressed", False),
    ],
)
def test_what_does_not_pass_is_an_error(behind, read, fault, error, retryable):
    store, server = behind(fault)
    with pytest.raises(BackendError, match=error) as caught:
        read(store, HELLO_RAW)
    assert caught.value.retryable is retryable
    assert not isinstance(caught.value, BlockNotFoundError)
    assert len(server.seen) == (4 if retryable else 1)


def test_a_server_that_asks_to_wait_long_is_not_waited_for(behind, read):
    store, server = behind(status(429, Retry_After="3600"))
    with pytest.raises(BackendError) as caught:
        read(store, HELLO_RAW)
    assert caught.value.retryable
    assert len(server.seen) == 1


@pytest.mark.parametrize("fault", [faults.stalled, faults.stalled_in_body, faults.trickling])
def test_a_node_that_takes_too_long(behind, read, fault):
    store, server = behind(fault, timeout=0.3 if fault is not faults.trickling else 0.1)
    with pytest.raises(BackendError, match=r"not answered within 0\.\d s") as caught:
        read(store, HELLO_RAW)
    assert caught.value.retryable
    assert len(server.seen) == 1


@pytest.mark.parametrize("fault", [faults.bit_flipped, faults.shortened, faults.other_block])
def test_wrong_bytes_are_refused(behind, read, fault):
    store, _ = behind(fault)
    with pytest.raises(CorruptBlockError, match=HELLO_RAW):
        read(store, HELLO_RAW)


def test_endless_bodies_end(behind, read):
    store, _ = behind(faults.endless, timeout=20)
    with pytest.raises(BackendError, match="longer than 67108864 bytes"):
        read(store, HELLO_RAW)


def test_no_http_at_all(behind, read):
    store, _ = behind(faults.no_http)
    with pytest.raises(BackendError):
        read(store, HELLO_RAW)


def answer_json(value):
    def answer(exchange):
        exchange.answer(json.dumps(value).encode(), kind="application/json")

    return answer


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"Key": OTHER, "Size": 5}, "another CID"),
        ({"Size": 5}, "another CID"),
        ([], "expected JSON"),
        ({"Type": "error", "Message": "disk is full"}, "disk is full"),
    ],
)
def test_a_node_that_keeps_something_else(behind, value, error):
    store, _ = behind(answer_json(value), buffer_bytes=0)
    with pytest.raises(BackendError, match=error):
        store.put_raw(b"hello", "raw")

    async def put():
        await store.put_raw_async(b"hello", "raw")

    with pytest.raises(BackendError, match=error):
        asyncio.run(put())


@pytest.mark.parametrize(
    "fault",
    [
        answer_json({"Stats": {"BlockCount": 1, "BlockBytesCount": 5}}),
        answer_json({}),
        answer_json({"Type": "error", "Message": "disk is full"}),
        status(500),
        status(503),
        faults.hung_up,
        faults.redirect("http://127.0.0.1:1{path}"),
        faults.page,
    ],
)
def test_there_is_no_root_of_a_shipment_that_did_not_arrive(behind, upstream, fault):
    faults_left = [fault]

    def answer(exchange):
        (faults_left or [honest])[0](exchange)

    store, _ = behind(answer)
    hierarchy = IPLDStore(store)
    hierarchy["a/0"] = b"one"
    hierarchy["a/1"] = b"two"
    for _ in range(2):
        with pytest.raises(BackendError, match="could not be sent"):
            hierarchy.freeze()
        assert hierarchy.root_cid is None
    faults_left.clear()
    root = hierarchy.freeze()
    assert dict(IPLDStore(IPFSStore(upstream.url), root=root)) == {"a/0": b"one", "a/1": b"two"}


def test_credentials_are_sent_and_not_shown(behind):
    for options, expected in (
        ({"auth": ("me", "secret")}, "Basic bWU6c2VjcmV0"),
        ({"auth": "secret-token"}, "Bearer secret-token"),
        ({"headers": {"Authorization": "Own secret"}}, "Own secret"),
    ):
        store, server = behind(status(401), **options)
        with pytest.raises(BackendError) as caught:
            store.get_block(HELLO_RAW)
        assert server.seen[0][1]["Authorization"] == expected
        assert "secret" not in f"{caught.value} {store!r}"


def test_credentials_in_the_address_are_sent(behind, upstream):
    _, server = behind(status(401))
    store = IPFSStore(server.url.replace("http://", "http://me:secret@"), timeout=5)
    with pytest.raises(BackendError) as caught:
        store.get_block(HELLO_RAW)
    assert server.seen[0][1]["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "secret" not in f"{caught.value} {store!r}"
    store.rpc.close()


def test_no_proxies_and_no_netrc(behind, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    store, server = behind(lambda exchange: exchange.answer(b"hello"))
    assert store.get_block(HELLO_RAW) == b"hello"
    assert asyncio.run(store.get_block_async(HELLO_RAW)) == b"hello"
    assert all("Authorization" not in headers for _, headers in server.seen)
