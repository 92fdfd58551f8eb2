"""Gateways that fail and gateways that lie: caught each time, and made up for by an honest one."""

import asyncio

import pytest
from faulty_gateway import (
    FaultyGateway,
    bit_flipped,
    compressed,
    cut_off,
    cut_off_without_length,
    empty,
    endless,
    endless_headers,
    endless_redirect,
    honest,
    hung_up,
    no_http,
    other_block,
    page,
    patience,
    patience_for_honest,
    redirect,
    shortened,
    stalled,
    stalled_in_body,
    status,
    too_long,
    trickling,
)
from node import Node

from ipldstore.backends.gateway.store import GatewayCAStore
from ipldstore.backends.retries import Retries
from ipldstore.errors import BackendError, BlockNotFoundError, CorruptBlockError, IPLDStoreError

BLOCK = bytes(range(256)) * 40
CID = "bafkreihjm5qkq53iof545ph5exo4pvdljw6jljfqafg66cambbjz67mq2a"
SOON = Retries(attempts=2, first_wait=0.001)
OTHER = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"

RETRYABLE, FINAL = "retryable", "final"

FAULTS = [
    (bit_flipped, CorruptBlockError, "hash to another CID"),
    (shortened, CorruptBlockError, "its 5120 bytes hash to another CID"),
    (cut_off_without_length, CorruptBlockError, "its 5120 bytes hash to another CID"),
    (empty, CorruptBlockError, "its 0 bytes hash to another CID"),
    (other_block, CorruptBlockError, "its 13 bytes hash to another CID"),
    (cut_off, RETRYABLE, "."),
    (too_long, FINAL, "longer than 2097152 bytes"),
    (endless, FINAL, "longer than 2097152 bytes"),
    (endless_headers, None, "."),
    (stalled, RETRYABLE, "not answered within 0.5 s"),
    (stalled_in_body, RETRYABLE, "not answered within 0.5 s"),
    (trickling, RETRYABLE, "not answered within 0.5 s"),
    (hung_up, RETRYABLE, "."),
    (no_http, None, "."),
    (page, FINAL, "an answer of type 'text/html; charset=utf-8', expected application/vnd.ipld"),
    (compressed, FINAL, "compressed .'gzip'."),
    (status(429), RETRYABLE, "HTTP status 429"),
    (status(429, Retry_After="3600"), RETRYABLE, "HTTP status 429"),
    (status(500), RETRYABLE, "HTTP status 500"),
    (status(502), RETRYABLE, "HTTP status 502"),
    (status(503), RETRYABLE, "HTTP status 503"),
    (status(504), RETRYABLE, "HTTP status 504, not found in time"),
    (status(403), FINAL, "HTTP status 403"),
    (status(451), FINAL, "HTTP status 451"),
    (status(204), FINAL, "HTTP status 204"),
    (status(206), FINAL, "HTTP status 206"),
    (status(304), FINAL, "HTTP status 304"),
    (status(404), BlockNotFoundError, "HTTP status 404"),
    (status(410), BlockNotFoundError, "HTTP status 410"),
    (redirect(f"/ipfs/{OTHER}?format=raw"), FINAL, "does not name"),
    (redirect("/{cid}"), FINAL, "does not name"),
    (redirect("/login?next={path}"), FINAL, "does not name"),
    (redirect(""), FINAL, "expected a URL"),
    (redirect("http://[::1/ipfs/{cid}"), FINAL, "not followed: it is malformed"),
    (redirect("file:///ipfs/{cid}"), FINAL, "expected a URL"),
    (redirect("http://user:secret@127.0.0.1/ipfs/{cid}"), FINAL, "holds credentials"),
    (redirect("http://10.0.0.1/ipfs/{cid}"), FINAL, "address 10.0.0.1 is not a public one"),
    (redirect("http://169.254.169.254/ipfs/{cid}"), FINAL, "not a public one"),
    (redirect("http://[::1]/ipfs/{cid}"), FINAL, "not a public one"),
    (redirect("http://[::ffff:10.0.0.1]/ipfs/{cid}"), FINAL, "not a public one"),
    (redirect("http://2130706434/ipfs/{cid}"), FINAL, "address 127.0.0.2 is not a public one"),
    (redirect("http://0.0.0.0/ipfs/{cid}"), FINAL, "not a public one"),
    (redirect("http://no-such-host.invalid/ipfs/{cid}"), RETRYABLE, "cannot look up"),
    (endless_redirect, FINAL, "longer than 2097152 bytes"),
    (redirect("{path}"), FINAL, "more than 5 redirects"),
]


def name(value):
    return getattr(value, "__name__", None)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("faults") / "node", offline=True) as node:
        assert node.put_block(BLOCK) == CID
        assert node.put_block(b"hello") == OTHER
        yield node


@pytest.fixture(params=["sync", "async"])
def get_block(request):
    """Read a block through either face."""
    if request.param == "sync":
        return GatewayCAStore.get_block
    return lambda store, cid: asyncio.run(store.get_block_async(cid))


@pytest.mark.parametrize(("fault", "kind", "message"), FAULTS, ids=name)
def test_a_fault_is_caught_and_an_honest_gateway_makes_up_for_it(
    node, get_block, fault, kind, message
):
    expected = kind if isinstance(kind, type) else BackendError
    with FaultyGateway(node.gateway, fault) as faulty:
        with GatewayCAStore(faulty.url, timeout=patience(fault), retries=SOON) as store:
            with pytest.raises(expected, match=message) as caught:
                get_block(store, CID)
            assert faulty.url in str(caught.value)
            assert CID in str(caught.value)
            assert not isinstance(caught.value, KeyError)
            if kind in (RETRYABLE, FINAL):
                assert caught.value.retryable == (kind == RETRYABLE)
        with GatewayCAStore(
            [faulty.url, node.gateway], timeout=patience_for_honest(fault), retries=SOON
        ) as store:
            assert get_block(store, CID) == BLOCK


def test_an_absence_needs_the_word_of_all_gateways(node, get_block):
    with (
        FaultyGateway(node.gateway, status(404)) as one,
        FaultyGateway(node.gateway, status(410)) as other,
    ):
        store = GatewayCAStore([one.url, other.url], retries=SOON)
        with pytest.raises(BlockNotFoundError) as caught:
            get_block(store, CID)
        assert one.url in str(caught.value)
        assert other.url in str(caught.value)
        assert not store.has(CID)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(status(503), BackendError), (stalled, BackendError), (bit_flipped, CorruptBlockError)],
    ids=name,
)
def test_one_fault_among_absences_is_no_absence(node, get_block, fault, expected):
    with (
        FaultyGateway(node.gateway, status(404)) as one,
        FaultyGateway(node.gateway, fault) as other,
    ):
        store = GatewayCAStore([one.url, other.url], timeout=patience(fault), retries=SOON)
        with pytest.raises(expected, match="HTTP status 404"):
            get_block(store, CID)


def test_a_lie_and_a_failure_are_no_proof_of_corruption(node, get_block):
    with (
        FaultyGateway(node.gateway, bit_flipped) as one,
        FaultyGateway(node.gateway, status(500)) as other,
    ):
        with pytest.raises(BackendError) as caught:
            get_block(GatewayCAStore([one.url, other.url], retries=SOON), CID)
        assert caught.value.retryable


def test_nobody_listens(node, get_block):
    with FaultyGateway(node.gateway, honest) as gone:
        pass
    with pytest.raises(BackendError) as caught:
        get_block(GatewayCAStore(gone.url, retries=SOON), CID)
    assert caught.value.retryable
    assert get_block(GatewayCAStore([gone.url, node.gateway]), CID) == BLOCK


def test_what_passes_is_tried_again(node, get_block):
    answers = iter([status(503), status(429, Retry_After="0"), hung_up, status(500), honest])

    def moods(exchange):
        next(answers)(exchange)

    with FaultyGateway(node.gateway, moods) as moody:
        store = GatewayCAStore(moody.url, retries=Retries(attempts=5, first_wait=0.001))
        assert get_block(store, CID) == BLOCK
    assert len(moody.seen) == 5


@pytest.mark.parametrize(
    "fault",
    [status(500), cut_off, hung_up, redirect("http://no-such-host.invalid/ipfs/{cid}")],
    ids=name,
)
def test_what_is_called_retryable_was_tried_again(node, get_block, fault):
    with FaultyGateway(node.gateway, fault) as faulty, pytest.raises(BackendError) as caught:
        get_block(GatewayCAStore(faulty.url, retries=SOON), CID)
    assert caught.value.retryable
    # aiohttp sends a request again by itself when a connection was closed on it
    assert len(faulty.seen) >= SOON.attempts


def test_what_does_not_pass_is_not_tried_again(node, get_block):
    for fault in (status(404), status(403), status(504), bit_flipped, page):
        with FaultyGateway(node.gateway, fault) as faulty, pytest.raises(IPLDStoreError):
            get_block(GatewayCAStore(faulty.url, retries=SOON), CID)
        assert len(faulty.seen) == 1, fault


@pytest.mark.parametrize("fault", [bit_flipped, stalled, status(500), page], ids=name)
def test_a_gateway_that_failed_is_asked_after_the_others(node, get_block, fault):
    with FaultyGateway(node.gateway, fault) as bad, FaultyGateway(node.gateway, honest) as good:
        store = GatewayCAStore([bad.url, good.url], timeout=patience_for_honest(fault))
        for _ in range(3):
            assert get_block(store, CID) == BLOCK
    assert len(bad.seen) == 1
    assert len(good.seen) == 3


def test_a_gateway_without_the_block_stays_the_first(node, get_block):
    with FaultyGateway(node.gateway, status(404)) as first:
        store = GatewayCAStore([first.url, node.gateway])
        for _ in range(3):
            assert get_block(store, CID) == BLOCK
    assert len(first.seen) == 3


def test_credentials_stay_with_the_gateway(node, get_block):
    with FaultyGateway(node.gateway, honest) as other:
        leave = redirect(f"{other.url}{{path}}")
        with FaultyGateway(node.gateway, leave) as first:
            url = first.url.replace("http://", "http://user:secret@")
            store = GatewayCAStore(url, headers={"X-Api-Key": "secret"})
            assert get_block(store, CID) == BLOCK
            store = GatewayCAStore(first.url, auth="secret", headers={"Cookie": "secret"})
            assert get_block(store, CID) == BLOCK
    (_, basic), (_, bearer) = first.seen
    assert basic["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert basic["X-Api-Key"] == "secret"
    assert bearer["Authorization"] == "Bearer secret"
    for path, headers in other.seen:
        assert "secret" not in path
        assert not {"Authorization", "X-Api-Key", "Cookie"} & headers.keys()
        assert "secret" not in str(headers)
    assert len(other.seen) == 2


def test_credentials_of_one_gateway_stay_from_the_next(node, get_block):
    with (
        FaultyGateway(node.gateway, status(404)) as first,
        FaultyGateway(node.gateway, honest) as other,
    ):
        url = first.url.replace("http://", "http://user:secret@")
        assert get_block(GatewayCAStore([url, other.url]), CID) == BLOCK
    assert "Authorization" in first.seen[0][1]
    assert "Authorization" not in other.seen[0][1]


def test_a_redirect_on_the_own_host_keeps_the_credentials(node, get_block):
    def fault(exchange):
        if exchange.path.startswith("/ipfs/"):
            redirect("/moved{path}")(exchange)
        else:
            exchange.path = exchange.path.removeprefix("/moved")
            honest(exchange)

    with FaultyGateway(node.gateway, fault) as gateway:
        store = GatewayCAStore(gateway.url, auth=("user", "secret"))
        assert get_block(store, CID) == BLOCK
    assert [path.split("/ipfs/")[0] for path, _ in gateway.seen] == ["", "/moved"]
    assert all("Authorization" in headers for _, headers in gateway.seen)


def test_a_hundred_hops_are_five(node, get_block):
    hops = iter(range(100))

    def hop(exchange):
        redirect(f"/{next(hops)}/ipfs/{CID}")(exchange)

    with FaultyGateway(node.gateway, hop) as gateway:
        store = GatewayCAStore(gateway.url)
        with pytest.raises(BackendError, match="more than 5 redirects"):
            get_block(store, CID)
    assert len(gateway.seen) == 6


@pytest.mark.parametrize("fault", [status(500), status(403), page, stalled], ids=name)
def test_existence_is_not_guessed(node, fault):
    with FaultyGateway(node.gateway, fault) as faulty:
        store = GatewayCAStore(faulty.url, timeout=patience(fault), retries=SOON)
        with pytest.raises(BackendError):
            store.has(CID)
        store = GatewayCAStore(
            [faulty.url, node.gateway], timeout=patience_for_honest(fault), retries=SOON
        )
        assert store.has(CID)
