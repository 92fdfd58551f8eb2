"""Publishing from memory, folders and nodes: what is sent, pinned, named, and what fails."""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from node import Node

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    DirectoryCAStore,
    IPFSStore,
    MappingCAStore,
)
from ipldstore.backends.ipfs.pinning import Pin
from ipldstore.cid import as_link, make_link
from ipldstore.formats.cidobject import to_cid
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.publish import publish

ABSENT = make_link(b"nobody has this either")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """One node that is offline, so that what is missing is missing at once."""
    with Node(tmp_path_factory.mktemp("publish") / "target", offline=True) as node:
        yield node


@pytest.fixture
def client(target):
    with IPFSStore(target.url) as client:
        yield client


def fill(mapping, label, count=20):
    for number in range(count):
        mapping[f"a/{number}"] = f"{label} {number}".encode() * 1000
    return mapping


def count_blocks(node):
    return int(node.run("repo", "stat").decode().split()[1])


def blocks_of(node, root):
    """Ask the node's command line what is under a root."""
    return node.run("refs", "--recursive", "--unique", root).decode().split()


@pytest.mark.parametrize("kind", ["memory", "folder", "node", "other node"])
def test_published_from(kind, target, client, tmp_path, start_node):
    backends = {
        "memory": MappingCAStore,
        "folder": lambda: DirectoryCAStore(tmp_path / "blocks"),
        "node": lambda: IPFSStore(target.url),
        "other node": lambda: IPFSStore(start_node("other", offline=True).url),
    }
    with backends[kind]() as backend:
        mapping = fill(Hierarchy(backend), kind)
        published = mapping.publish(None if kind == "node" else client, name=f"from {kind}")
    root = as_link(published.root)
    assert published.root == mapping.root_cid
    assert Pin(root, f"from {kind}") in client.pins
    assert published.sent.blocks == (0 if kind == "node" else 21)
    assert len(blocks_of(target, root)) == 20
    target.run("pin", "verify")
    assert json.loads(target.run("dag", "get", f"{root}/a/0"))["/"]["bytes"]
    assert not published.announced
    assert "online mode" in published.reason
    assert published.ipns is None


def test_published_at_an_address(target, client):
    mapping = fill(Hierarchy(), "address")
    published = mapping.publish(target.url, announce=False)
    assert published.reason is None
    assert Pin(as_link(published.root), None) in client.pins


def test_only_what_is_missing_is_sent(target, client):
    mapping = fill(Hierarchy(), "again")
    first = mapping.publish(client, name="data")
    assert first.sent[::2] == (21, 0)
    blocks = count_blocks(target)
    assert mapping.publish(client, name="data").sent == (0, 0, 21)
    assert count_blocks(target) == blocks
    mapping["a/7"] = b"changed" * 1000
    second = mapping.publish(client, replace=first.root)
    assert second.sent == (2, 7000 + len(mapping.backend.get_block(second.root)), 19)
    assert Pin(as_link(second.root), "data") in client.pins
    assert as_link(first.root) not in {pin.cid for pin in client.pins}
    assert count_blocks(target) == blocks + 2


@pytest.fixture
def proxy(target):
    """Pass requests on to the node, and count them by their command."""
    counts = Counter()

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            counts[self.path.partition("?")[0].removeprefix("/api/v0/")] += 1
            kind = {"Content-Type": self.headers.get("Content-Type", "text/plain")}
            answer = requests.post(target.url + self.path, data=body, headers=kind, timeout=30)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", counts
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_a_node_is_asked_for(proxy):
    url, counts = proxy
    mapping = fill(Hierarchy(), "counted")
    mapping.publish(url, key="self")
    assert counts["dag/import"] == 1
    assert counts["block/put"] == 0
    assert (counts["pin/add"], counts["name/publish"], counts["routing/provide"]) == (1, 1, 1)
    counts.clear()
    mapping.publish(url, announce=False)
    assert (counts["dag/import"], counts["block/put"], counts["pin/add"]) == (0, 0, 1)
    assert (counts["name/publish"], counts["routing/provide"]) == (0, 0)


def test_a_name_follows_the_roots(target, client):
    mapping = fill(Hierarchy(), "named")
    first = mapping.publish(client, key="my data")
    assert client.resolve(f"ipns://{first.ipns}") == as_link(first.root)
    mapping["a/0"] = b"changed"
    second = mapping.publish(client, key="my data", replace=first.root)
    assert second.ipns == first.ipns
    answer = target.run("name", "resolve", second.ipns).decode().strip()
    assert answer == f"/ipfs/{as_link(second.root)}"
    opened = Hierarchy(client, root=f"ipns://{second.ipns}", read_only=True)
    assert opened["a/0"] == b"changed"


def test_without_all_blocks_nothing_is_pinned_or_named(target, client):
    mapping = fill(Hierarchy(), "incomplete")
    root = mapping.freeze()
    chunk = make_link(b"incomplete 3" * 1000)
    data = mapping.backend.mapping.pop(str(chunk))
    with pytest.raises(BlockNotFoundError, match=str(chunk)):
        mapping.publish(client, name="incomplete", key="incomplete")
    assert client.pins.list("incomplete") == []
    assert b"incomplete" not in target.run("key", "list")
    mapping.backend.mapping[str(chunk)] = data
    assert mapping.publish(client, name="incomplete").root == root


def test_a_node_that_lacks_a_block_does_not_pin(target, client):
    root = client.put({"a": {"0": to_cid(ABSENT)}})
    with pytest.raises(BlockNotFoundError, match=str(ABSENT)):
        publish(root, client, name="lacking", key="lacking")
    assert client.pins.list("lacking") == []
    assert b"lacking" not in target.run("key", "list")


def test_replacing_what_is_not_pinned(client):
    mapping = fill(Hierarchy(), "replacing")
    with pytest.raises(BackendError, match=f"{ABSENT}, which is to be replaced, is not pinned"):
        mapping.publish(client, name="new", replace=ABSENT, key="new")
    assert client.pins.list("new") == []


def test_a_node_that_is_gone(start_node):
    node = start_node(offline=True)
    mapping = fill(Hierarchy(), "gone")
    node.kill()
    with pytest.raises(BackendError) as caught:
        mapping.publish(node.url, name="late")
    assert caught.value.retryable
    node.start()
    published = mapping.publish(node.url, name="late")
    lines = node.run("pin", "ls", "--type=recursive", "--names").decode()
    assert f"{as_link(published.root)} recursive late" in lines


def test_another_node_fetches_what_was_published(start_node):
    one, other = start_node("one"), start_node("other")
    one.connect(other)
    mapping = fill(Hierarchy(), "travels")
    root = mapping.publish(one.url, name="travels").root
    with IPFSStore(other.url) as reader:
        assert dict(Hierarchy(reader, root=root)) == dict(mapping)
        reader.pins.add(root, "copy")
        assert reader.pins.list("copy") == [(as_link(root), "copy")]
    other.run("pin", "verify")
