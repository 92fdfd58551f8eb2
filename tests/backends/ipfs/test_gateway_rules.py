"""The rules for gateways without a network: where redirects may lead, and who is asked first."""

from types import SimpleNamespace

import pytest

from ipldstore.backends.gateway.address import parse_gateway
from ipldstore.backends.gateway.redirects import ask, is_public, redirected
from ipldstore.backends.gateway.steps import Ask, LookUp
from ipldstore.backends.health import FAILURE, LIE, Health
from ipldstore.backends.http.answers import Reply
from ipldstore.cid import as_link
from ipldstore.errors import BackendError

RAW = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
FILE = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
FILE_V0 = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
FILE_BASE36 = "k2jmtxw61bl2irlitu68u0ce6y9gih2yaf35ktwqatabmkkbw1h4xvgz"
START = "https://example.org/ipfs/"


@pytest.mark.parametrize(
    ("cid", "location", "expected"),
    [
        (RAW, f"https://other.example/ipfs/{RAW}?format=raw", None),
        (RAW, f"https://other.example:8443/prefix/ipfs/{RAW}/", None),
        (RAW, f"https://{RAW}.ipfs.example.org/?format=raw", None),
        (RAW, f"https://{RAW}.ipfs.example.org?format=raw", None),
        (RAW, f"/ipfs/{RAW}?format=raw", f"https://example.org/ipfs/{RAW}?format=raw"),
        (RAW, f"//cdn.example/ipfs/{RAW}", f"https://cdn.example/ipfs/{RAW}"),
        (RAW, f"https://cdn.example/ipfs/{RAW}#part", f"https://cdn.example/ipfs/{RAW}"),
        (FILE, f"https://example.org/ipfs/{FILE_V0}", None),
        (FILE, f"https://{FILE}.ipfs.example.org/", None),
    ],
)
def test_redirects_to_the_same_cid(cid, location, expected):
    assert redirected(START + cid, location, as_link(cid)) == (expected or location)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        (f"http://example.org/ipfs/{RAW}", "leaves https for http"),
        (f"http://{RAW}.ipfs.example.org/", "leaves https for http"),
        (f"https://user:secret@example.org/ipfs/{RAW}", "holds credentials"),
        (f"https://@example.org/ipfs/{RAW}", "holds credentials"),
        (f"https://example.org/ipfs/{FILE}", "does not name"),
        (f"https://{FILE}.ipfs.example.org/", "does not name"),
        (f"https://{RAW}.ipns.example.org/", "does not name"),
        (f"https://{RAW}.example.org/", "does not name"),
        (f"https://{RAW}.ipfs.example.org/other", "does not name"),
        (f"https://example.org/{RAW}", "does not name"),
        (f"https://example.org/ipns/{RAW}", "does not name"),
        (f"https://example.org/ipfs/{RAW}/../{FILE}", "does not name"),
        (f"https://example.org/ipfs/{RAW}/file", "does not name"),
        (f"https://example.org/?to=/ipfs/{RAW}", "does not name"),
        (f"https://example.org/#/ipfs/{RAW}", "does not name"),
        ("https://example.org/", "does not name"),
        ("", "expected a URL"),
        (f"ftp://example.org/ipfs/{RAW}", "expected a URL"),
        (f"javascript:/ipfs/{RAW}", "expected a URL"),
        (f"https://example.org:port/ipfs/{RAW}", "not followed"),
        (f"https://example.org:99999/ipfs/{RAW}", "not followed"),
    ],
)
def test_redirects_that_are_refused(location, why):
    with pytest.raises(BackendError, match=why) as caught:
        redirected(START + RAW, location, as_link(RAW))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254"),
        *("172.16.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a00:1::", "2001:0:a00:1::"),
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address):
    assert is_public(address)


def walk(gateway_url, location, addresses):
    """Follow one redirect by hand; return the request that comes after it."""
    gateway = parse_gateway(gateway_url, {"X-Key": "secret"}, None)
    steps = ask(gateway, as_link(RAW), "format=raw", "application/vnd.ipld.raw", "GET", 100)
    first = next(steps)
    assert first == Ask(
        "GET",
        f"{gateway_url}/ipfs/{RAW}?format=raw",
        {"X-Key": "secret", "Accept": "application/vnd.ipld.raw"},
        100,
    )
    step = steps.send(Reply(302, {"Location": location}, b""))
    while isinstance(step, LookUp):
        step = steps.send(addresses[step.host])
    return step


def test_over_http_the_checked_address_is_asked():
    step = walk(
        "http://example.org",
        f"http://{RAW}.ipfs.example.org:8080/?format=raw",
        {f"{RAW}.ipfs.example.org": ["8.8.8.8", "2606:4700::1111"]},
    )
    assert step.url == "http://8.8.8.8:8080/?format=raw"
    assert step.headers == {
        "Accept": "application/vnd.ipld.raw",
        "Host": f"{RAW}.ipfs.example.org:8080",
    }


def test_over_https_the_certificate_answers_for_the_address():
    url = f"https://cdn.example/ipfs/{RAW}"
    step = walk("http://example.org", url, {"cdn.example": ["2606:4700::1111"]})
    assert step.url == url
    assert step.headers == {"Accept": "application/vnd.ipld.raw"}


def test_the_same_name_on_another_port_or_scheme_is_another_host():
    for url in (f"https://example.org/ipfs/{RAW}", f"http://example.org:81/ipfs/{RAW}"):
        step = walk("http://example.org", url, {"example.org": ["8.8.8.8"]})
        assert "X-Key" not in step.headers
    step = walk("http://example.org", f"http://example.org:80/v1/ipfs/{RAW}", {})
    assert step.headers["X-Key"] == "secret"


@pytest.mark.parametrize("found", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::1"]])
def test_every_address_of_a_host_has_to_be_public(found):
    with pytest.raises(BackendError, match="not a public one"):
        walk(
            "https://example.org",
            f"https://cdn.example/ipfs/{RAW}",
            {"cdn.example": found, "example.org": ["8.8.4.4"]},
        )


def test_a_gateway_in_a_private_network_may_redirect_to_itself():
    url = f"http://{RAW}.ipfs.gateway.lan/"
    addresses = {f"{RAW}.ipfs.gateway.lan": ["192.168.1.5"], "gateway.lan": ["192.168.1.5"]}
    assert walk("http://gateway.lan", url, addresses).url == "http://192.168.1.5/"
    addresses[f"{RAW}.ipfs.gateway.lan"] = ["192.168.1.6"]
    with pytest.raises(BackendError, match=r"address 192.168.1.6 is not a public one"):
        walk("http://gateway.lan", url, addresses)


def test_localhost_is_where_the_gateway_is_if_that_is_this_machine():
    url = f"http://{RAW}.ipfs.localhost:8080/"
    step = walk("http://[::1]:8080", url, {"::1": ["::1"]})
    assert step.url == "http://[::1]:8080/"
    assert step.headers["Host"] == f"{RAW}.ipfs.localhost:8080"
    with pytest.raises(BackendError, match="not a public one"):
        walk("http://example.org", url, {"example.org": ["8.8.8.8"]})
    with pytest.raises(BackendError, match="not a public one"):
        walk("http://gateway.lan", url, {"gateway.lan": ["192.168.1.5"]})


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("ipldstore.backends.health.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def gateways():
    return [parse_gateway(f"http://{name}.example", {}, None) for name in "abc"]


def test_gateways_are_asked_as_given(gateways, clock):
    assert Health().order(gateways) == gateways


def test_a_failure_counts_for_a_while(gateways, clock):
    a, b, c = gateways
    health = Health()
    health.punish(a, FAILURE)
    assert health.order(gateways) == [b, c, a]
    clock.now += FAILURE.first - 0.1
    assert health.order(gateways) == [b, c, a]
    clock.now += 0.2
    assert health.order(gateways) == [a, b, c]


def test_penalties_double_up_to_a_bound(gateways, clock):
    a, b, c = gateways
    for penalty in (FAILURE, LIE):
        health = Health()
        seconds = penalty.first
        for _ in range(100):
            health.punish(a, penalty)
            clock.now += seconds - 0.1
            assert health.order(gateways) == [b, c, a]
            clock.now += 0.2
            assert health.order(gateways) == [a, b, c]
            seconds = min(2 * seconds, penalty.longest)


def test_a_liar_waits_for_longer(gateways, clock):
    a, b, c = gateways
    health = Health()
    health.punish(a, LIE)
    health.punish(b, FAILURE)
    assert health.order(gateways) == [c, b, a]
    clock.now += FAILURE.longest
    health.punish(b, FAILURE)
    assert LIE.first > FAILURE.first
    assert LIE.longest > FAILURE.longest


def test_requests_that_fail_together_count_once(gateways, clock):
    a, b, c = gateways
    health = Health()
    for _ in range(16):
        health.punish(a, FAILURE)
    clock.now += FAILURE.first + 0.1
    assert health.order(gateways) == [a, b, c]


def test_a_success_clears_the_record(gateways, clock):
    a, b, _ = gateways
    health = Health()
    for _ in range(5):
        health.punish(a, LIE)
        clock.now += LIE.longest
    health.clear(a)
    assert health.order(gateways) == gateways
    health.punish(a, LIE)
    clock.now += LIE.first + 0.1
    assert health.order([a, b]) == [a, b]
