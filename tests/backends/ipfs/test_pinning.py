"""Pins, names and pinning services, on real nodes that compare notes by their command line."""

import json
import time

import pytest
from node import Node
from pinning_service import PinningService

from ipldstore import BackendError, BlockNotFoundError
from ipldstore.backends.ipfs.names import announce, list_keys, publish_name, resolve_name
from ipldstore.backends.ipfs.pinning import Pin, Pins
from ipldstore.backends.ipfs.rpc import KuboRPC
from ipldstore.backends.retries import Retries
from ipldstore.cid import make_link, parse_text
from ipldstore.errors import InvalidCIDError

ABSENT = make_link(b"nobody has this")


@pytest.fixture(scope="module")
def offline_node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("pinning") / "offline", offline=True) as node:
        yield node


@pytest.fixture
def connect():
    """Make clients that are closed when the test ends."""
    clients = []

    def connect(node, **options):
        clients.append(KuboRPC(node.url, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def pins(offline_node, connect):
    pins = Pins(connect(offline_node))
    before = set(pins)
    yield pins
    for pin in set(pins) - before:
        pins.remove(pin.cid)


def put_dag(node, **links):
    """Put a dag-cbor map of links with the node's own encoder."""
    document = json.dumps({name: {"/": str(cid)} for name, cid in links.items()})
    return parse_text(node.run("dag", "put", data=document.encode()).decode().strip())


def put_tree(node, text):
    """Put a root with two leaves."""
    return put_dag(node, a=node.put_block(text.encode()), b=node.put_block(b"shared leaf"))


def named(node, name=None):
    """Say what the node's command line lists: CIDs and names of the recursive pins."""
    lines = node.run("pin", "ls", "--type=recursive", "--names").decode().splitlines()
    found = [
        (str(parse_text(line.split(" ")[0])), line.partition(" recursive")[2].strip())
        for line in lines
    ]
    return {pair for pair in found if name is None or pair[1] == name}


def test_pins_have_names(offline_node, pins):
    one, other = put_tree(offline_node, "one"), put_tree(offline_node, "other")
    pins.add(one, "données, v1")
    pins.add(str(other))
    assert {Pin(one, "données, v1"), Pin(other, None)} <= set(pins)
    assert named(offline_node, "données, v1") == {(str(one), "données, v1")}
    offline_node.run("pin", "verify")
    pins.add(one, "renamed")
    assert [pin.name for pin in pins if pin.cid == one] == ["renamed"]


def test_names_are_found_exactly(offline_node, pins):
    one, other = put_tree(offline_node, "one"), put_tree(offline_node, "other")
    pins.add(one, "rain")
    pins.add(other, "rainfall")
    assert pins.list("rain") == [Pin(one, "rain")]
    assert pins.list("rai") == []


def test_what_is_not_pinned_goes_with_garbage_collection(start_node, connect):
    node = start_node(offline=True)
    kept, gone = put_tree(node, "kept"), put_tree(node, "gone")
    pins = Pins(connect(node))
    pins.add(kept)
    pins.add(gone)
    pins.remove(gone)
    node.run("repo", "gc")
    assert node.run("dag", "stat", "--progress=false", kept)
    assert node.attempt("block", "stat", gone).returncode != 0


def test_removal_of_what_is_not_pinned(offline_node, pins):
    root = put_tree(offline_node, "never pinned")
    with pytest.raises(BackendError, match="not pinned"):
        pins.remove(root)
    pins.add(root)
    with pytest.raises(BackendError, match="pinned indirectly"):
        pins.remove(make_link(b"shared leaf"))
    pins.remove(root)
    assert root not in {pin.cid for pin in pins}


@pytest.mark.parametrize(("name", "expected"), [(None, "data"), ("data 2", "data 2")])
def test_update_moves_the_pin(offline_node, pins, name, expected):
    old, new = put_tree(offline_node, "old"), put_tree(offline_node, "new")
    pins.add(old, "data")
    pins.update(old, new, name)
    assert Pin(new, expected) in pins
    assert old not in {pin.cid for pin in pins}


def test_update_to_what_is_pinned_already(offline_node, pins):
    old, new = put_tree(offline_node, "old"), put_tree(offline_node, "new")
    pins.add(old, "data")
    pins.add(new, "other")
    pins.update(old, new)
    assert Pin(new, "other") in pins
    assert old not in {pin.cid for pin in pins}
    pins.update(new, new, "same")
    assert Pin(new, "same") in pins


def test_update_of_what_is_not_pinned(offline_node, pins):
    old, new = put_tree(offline_node, "never pinned"), put_tree(offline_node, "new")
    with pytest.raises(BackendError, match=f"{old}, which is to be replaced, is not pinned"):
        pins.update(old, new)
    assert new not in {pin.cid for pin in pins}


def test_a_missing_block_on_a_node_that_is_offline(offline_node, pins):
    old = put_tree(offline_node, "old")
    pins.add(old, "data")
    incomplete = put_dag(offline_node, a=old, b=ABSENT)
    for failing in (ABSENT, incomplete):
        with pytest.raises(BlockNotFoundError, match=str(ABSENT)):
            pins.add(failing)
        with pytest.raises(BlockNotFoundError, match=str(ABSENT)):
            pins.update(old, failing)
    assert named(offline_node) == {(str(pin.cid), pin.name or "") for pin in pins}
    assert {pin.cid for pin in pins}.isdisjoint({ABSENT, incomplete})
    assert Pin(old, "data") in pins


def test_a_missing_block_on_a_node_that_goes_on_looking(node, connect):
    incomplete = put_dag(node, a=node.put_block(b"here"), b=ABSENT)
    pins = Pins(connect(node))
    for failing in (ABSENT, incomplete):
        with pytest.raises(BackendError, match=f"did not pin {failing}") as caught:
            pins.add(failing, timeout=1.2)
        assert caught.value.retryable
        assert not isinstance(caught.value, LookupError)
    pinned = put_tree(node, "pinned")
    pins.add(pinned)
    with pytest.raises(BackendError, match="not found or done in time"):
        pins.update(pinned, incomplete, timeout=0.5)
    assert {pin.cid for pin in pins}.isdisjoint({ABSENT, incomplete})
    pins.remove(pinned)


def test_a_pin_may_take_longer_than_a_request(start_node, connect):
    """Blocks arrive one by one, each within the time, all together beyond it."""
    node = start_node()
    leaves = [b"leaf %d" % number for number in range(4)]
    links = {f"l{number}": make_link(data) for number, data in enumerate(leaves)}
    root = put_dag(node, **links)
    client, feeder = connect(node), connect(node)
    seen = []
    pins = Pins(client)
    iter_json = client.iter_json

    def feeding(*arguments, **options):
        for answer in iter_json(*arguments, **options):
            seen.append(time.monotonic())
            # the node reports twice a second: one block every second time
            if len(seen) % 2 == 0 and leaves:
                feeder.call("block/put", file=leaves.pop(), cid_codec="raw")
            yield answer

    client.iter_json = feeding
    pins.add(root, "slow", timeout=2.5)
    assert Pin(root, "slow") in pins
    assert seen[-1] - seen[0] > 2.5


def test_no_node():
    pins = Pins(KuboRPC("http://127.0.0.1:9", retries=Retries(attempts=1)))
    for call in (lambda: pins.add(ABSENT), lambda: list(pins), lambda: pins.remove(ABSENT)):
        with pytest.raises(BackendError) as caught:
            call()
        assert caught.value.retryable


def test_names_too_long_for_a_pin(offline_node, pins):
    with pytest.raises(BackendError, match="max 255 bytes"):
        pins.add(put_tree(offline_node, "one"), "x" * 256)


def test_names_point_at_roots(offline_node, connect):
    rpc = connect(offline_node)
    one, other = put_tree(offline_node, "one"), put_tree(offline_node, "other")
    name = publish_name(rpc, one, "rain fall")
    assert list_keys(rpc)["rain fall"] == name
    assert offline_node.run("name", "resolve", name).decode().strip() == f"/ipfs/{one}"
    for text in (f"ipns://{name}", f"/ipns/{name}", f"ipns://{name}/"):
        assert resolve_name(rpc, text) == one
    assert publish_name(rpc, other, "rain fall") == name
    assert resolve_name(rpc, f"ipns://{name}") == other
    own = publish_name(rpc, one)
    assert own == offline_node.run("id", "-f", "<id>", "--peerid-base=base36").decode().strip()
    assert resolve_name(rpc, f"ipns://{own}") == one


def test_names_that_point_elsewhere(offline_node, connect):
    rpc = connect(offline_node)
    root = put_tree(offline_node, "one")
    offline_node.run("key", "gen", "below")
    published = offline_node.run(
        "name", "publish", "--allow-offline", "--key=below", f"/ipfs/{root}/a"
    )
    name = published.decode().split()[2].rstrip(":")
    with pytest.raises(BackendError, match="expected /ipfs/CID"):
        resolve_name(rpc, f"ipns://{name}")


@pytest.mark.parametrize(
    "text",
    ["ipns://", "/ipns/", "ipns:k51", "nonsense", "ipns://name/a", "/ipns/name/a/0", "/ipns//"],
)
def test_malformed_names(offline_node, connect, text):
    with pytest.raises(InvalidCIDError, match="expected a name"):
        resolve_name(connect(offline_node), text)


def test_unknown_names(offline_node, connect):
    unknown = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    with pytest.raises(BackendError, match="could not resolve name"):
        resolve_name(connect(offline_node), f"ipns://{unknown}")


def test_domain_names_that_cannot_be_looked_up(start_node, connect):
    node = start_node(
        config={"DNS": {"Resolvers": {".": "http://127.0.0.1:9/dns-query"}}}, offline=True
    )
    with pytest.raises(BackendError, match="DNSLink lookup"):
        resolve_name(connect(node), "ipns://data.example.org")


def test_announcing_to_nobody(offline_node, node, connect):
    for alone, reason in ((offline_node, "online mode"), (node, "no connected peers")):
        root = put_tree(alone, "one")
        done, said = announce(connect(alone), root)
        assert not done
        assert reason in said


def test_announcing_to_a_network(start_node, connect):
    config = {"Routing": {"Type": "dhtserver"}}
    one, other = start_node("one", config), start_node("other", config)
    one.connect(other)
    root = put_tree(one, "announced")
    rpc = connect(one)
    deadline = time.monotonic() + 30
    while not announce(rpc, root).done:
        assert time.monotonic() < deadline, announce(rpc, root).reason


@pytest.fixture
def service(offline_node, pins):
    with PinningService("secret") as service:
        pins.add_service("test", service.url, "secret")
        yield service
        pins.remove_service("test")


def test_services_are_known_by_name(pins, service):
    assert pins.list_services() == {"test": service.url}


def test_a_service_pins(offline_node, pins, service):
    root = put_tree(offline_node, "one")
    remote = pins.remote("test")
    assert list(remote) == []
    assert remote.add(root, "rain") == (root, "rain", "pinned")
    assert service.pins() == [(str(root), "rain")]
    other = put_tree(offline_node, "other")
    remote.add(other, "snow", background=True)
    assert set(remote) == {(root, "rain", "pinned"), (other, "snow", "pinned")}
    assert remote.list("snow") == [(other, "snow", "pinned")]
    remote.remove(root)
    assert service.pins() == [(str(other), "snow")]
    with pytest.raises(BackendError, match="not pinned"):
        remote.remove(root)


def test_a_service_with_many_pins(offline_node, pins, service):
    roots = {put_tree(offline_node, f"number {number}") for number in range(25)}
    for root in roots:
        service.keep(str(root), "many")
    assert {pin.cid for pin in pins.remote("test")} == roots


def test_a_service_that_fails_in_the_middle_of_a_list(offline_node, pins, service):
    root = put_tree(offline_node, "one")
    for number in range(25):
        service.keep(str(root), f"number {number}")
    service.is_broken = True
    with pytest.raises(BackendError, match="25"):
        list(pins.remote("test"))


def test_a_service_that_is_slow_or_fails(offline_node, pins, service):
    root = put_tree(offline_node, "one")
    service.status = "queued"
    assert pins.remote("test").add(root, background=True).status == "queued"
    with pytest.raises(BackendError):
        pins.remote("test").add(root, timeout=1)
    service.status = "failed"
    with pytest.raises(BackendError, match="failed"):
        pins.remote("test").add(root, timeout=10)


def test_a_service_that_refuses(offline_node, pins, service):
    service.token = "another"
    remote = pins.remote("test")
    for call in (lambda: list(remote), lambda: remote.add(ABSENT), lambda: remote.remove(ABSENT)):
        with pytest.raises(BackendError, match="UNAUTHORIZED"):
            call()


def test_a_service_that_is_gone_or_unknown(pins, service):
    service.close()
    with pytest.raises(BackendError, match="connection refused"):
        list(pins.remote("test"))
    with pytest.raises(BackendError, match="service not known"):
        list(pins.remote("another"))
