"""A real node's gateway as an untrusted one: datasets, single blocks and whole DAGs through it."""

import asyncio
import io
import pickle

import numpy as np
import pytest
import requests
import xarray as xr
from faulty_gateway import FaultyGateway, honest
from node import Node

from ipldstore import DirectoryCAStore, IPLDStore, MappingCAStore
from ipldstore.backends.gateway.store import GatewayCAStore
from ipldstore.backends.retries import Retries
from ipldstore.cid import as_link
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    InvalidCIDError,
    ReadOnlyStoreError,
)
from ipldstore.formats.car import CarReader
from ipldstore.formats.cidobject import to_cid
from ipldstore.formats.hashes import hash_function
from ipldstore.testing import MISSING, BackendTests

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
NAME = "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that says at once what it does not have."""
    with Node(tmp_path_factory.mktemp("gateway") / "node", offline=True) as node:
        assert node.put_block(b"hello") == HELLO
        yield node


@pytest.fixture(scope="module")
def empty_node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("contract") / "node", offline=True) as node:
        yield node


@pytest.fixture(scope="module")
def dataset():
    return xr.Dataset(
        {"temperature": (("time", "x"), np.arange(12000.0).reshape(40, 300), {"units": "K"})},
        coords={"time": np.arange(40)},
    )


@pytest.fixture(scope="module")
def root(node, dataset):
    """The root of a dataset that went into the node as an archive."""
    store = IPLDStore()
    dataset.to_zarr(store, encoding={"temperature": {"chunks": (4, 300)}})
    for number in range(3):
        store[f"large/{number}"] = bytes([number // 2]) * (3 << 20)
    root = str(store.freeze())
    assert root in node.run("dag", "import", data=store.to_car()).decode()
    return root


@pytest.fixture
def gateway(node):
    with GatewayCAStore(node.gateway) as store:
        yield store


def test_a_dataset_opens(gateway, root, dataset):
    store = IPLDStore(gateway, root=root)
    xr.testing.assert_identical(xr.open_zarr(store).load(), dataset)
    assert store["large/2"] == bytes([1]) * (3 << 20)
    assert str(store.root_cid) == root


def test_a_dataset_opens_through_subdomains(node, root, dataset):
    # the gateway redirects from http://localhost/ipfs/CID to http://CID.ipfs.localhost
    address = node.gateway.replace("127.0.0.1", "localhost")
    answer = requests.get(f"{address}/ipfs/{HELLO}?format=raw", allow_redirects=False, timeout=10)
    assert answer.status_code == 301
    assert f"//{HELLO}.ipfs.localhost:" in answer.headers["Location"]
    with GatewayCAStore(address) as store:
        assert asyncio.run(store.get_block_async(HELLO)) == b"hello"
        assert store.get_block(HELLO) == b"hello"
        xr.testing.assert_identical(xr.open_zarr(IPLDStore(store, root=root)).load(), dataset)


def test_many_blocks_at_once_on_one_loop(gateway, node, root):
    cids = node.run("refs", "-r", root).decode().split()
    assert len(cids) > 10

    async def get_all():
        return await asyncio.gather(*map(gateway.get_block_async, cids))

    assert asyncio.run(get_all()) == [node.get_block(cid) for cid in cids]


def test_a_missing_block(gateway):
    with pytest.raises(BlockNotFoundError, match=MISSING):
        asyncio.run(gateway.get_block_async(MISSING))
    with pytest.raises(BlockNotFoundError, match=f"{MISSING}.*HTTP status 404"):
        gateway.get_block(MISSING)
    assert MISSING not in gateway
    assert HELLO in gateway


def test_not_found_in_time_is_no_absence(start_node):
    node = start_node(config={"Gateway": {"RetrievalTimeout": "1s"}})
    with GatewayCAStore(node.gateway) as store:
        with pytest.raises(BackendError, match="504, not found in time") as caught:
            store.get_block(MISSING)
        assert caught.value.retryable


def test_a_block_of_over_2_mib_is_refused(gateway, node):
    fits, too_long = bytes(2 << 20), bytes((2 << 20) + 1)
    cid = node.put_block(fits, "--allow-big-block")
    assert gateway.get_block(cid) == fits
    cid = node.put_block(too_long, "--allow-big-block")
    with pytest.raises(BackendError, match="longer than 2097152 bytes"):
        gateway.get_block(cid)


def test_it_only_reads(gateway):
    with pytest.raises(ReadOnlyStoreError):
        gateway.put_raw(b"hello", "raw")
    with pytest.raises(ReadOnlyStoreError):
        gateway.put_block(as_link(HELLO), b"hello")
    store = IPLDStore(gateway)
    with pytest.raises(ReadOnlyStoreError):
        store["a/0"] = b"chunk"


def test_sizes_are_not_believed(gateway):
    assert gateway.size_of(as_link(HELLO)) is None


@pytest.mark.parametrize("name", [f"ipns://{NAME}", f"/ipns/{NAME}", "/ipns/example.org"])
def test_names_are_not_believed(gateway, name):
    with pytest.raises(InvalidCIDError, match="resolve it with an IPFS node"):
        gateway.resolve(name)
    with pytest.raises(InvalidCIDError, match="resolve it with an IPFS node"):
        IPLDStore(gateway, root=name)
    assert gateway.resolve(f"ipfs://{HELLO}") == as_link(HELLO)


def test_a_dag_comes_as_one_archive(gateway, node, root):
    exported = list(CarReader(_exported(node, root)))
    assert len(exported) > 10
    assert sorted(gateway.iter_dag_blocks(root)) == sorted(exported)


def test_a_file_of_ipfs_comes_as_one_archive(gateway, node, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(300_000)))
    cid = node.run("add", "-Q", file).decode().strip()
    assert cid.startswith("Qm")
    blocks = dict(gateway.iter_dag_blocks(cid))
    assert sorted(blocks.items()) == sorted(CarReader(_exported(node, cid)))
    assert len(blocks) == 6


def test_parents_come_first(gateway, root):
    order = [link for link, _ in gateway.iter_dag_blocks(root)]
    assert order[0] == as_link(root)
    assert len(set(order)) == len(order)


def test_a_dag_is_copied_in_two_requests(node, root, dataset, tmp_path):
    target = DirectoryCAStore(tmp_path / "blocks")
    with FaultyGateway(node.gateway, honest) as gateway:
        store = GatewayCAStore(gateway.url)
        copied = store.fetch(root, target)
        assert [path.split("format=")[1][:3] for path, _ in gateway.seen] == ["car", "raw"]
        again = store.fetch(root, target)
        assert len(gateway.seen) == 2
    exported = dict(CarReader(_exported(node, root)))
    assert copied == (len(exported), sum(map(len, exported.values())), 0)
    assert again == (0, 0, len(exported))
    xr.testing.assert_identical(xr.open_zarr(IPLDStore(target, root=root)).load(), dataset)


def test_what_is_missing_in_the_dag_is_said(node):
    store = IPLDStore()
    for number in range(3):
        store[f"a/{number}"] = b"chunk %d" % number
    root = str(store.freeze())
    node.run("dag", "import", "--pin-roots=false", data=store.to_car())
    gone = node.put_block(b"chunk 1")
    node.run("block", "rm", gone)
    gateway = GatewayCAStore(node.gateway)
    target = MappingCAStore()
    with pytest.raises(BlockNotFoundError, match=gone):
        gateway.fetch(root, target)
    assert root not in target
    with pytest.raises(BlockNotFoundError, match=gone):
        list(gateway.iter_dag_blocks(root))
    with pytest.raises(BlockNotFoundError, match=MISSING):
        gateway.fetch(MISSING, target)
    node.put_block(b"chunk 1")
    assert gateway.fetch(root, target).blocks > 0
    assert IPLDStore(target, root=root)["a/1"] == b"chunk 1"


def _exported(node, root):
    return io.BytesIO(node.run("dag", "export", root))


def test_a_copy_in_another_process_reads(node):
    url = node.gateway.replace("http://", "http://user:secret@")
    store = GatewayCAStore([url], timeout=7, retries=Retries(attempts=1))
    assert store.get_block(HELLO) == b"hello"
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store
    assert hash(copy) == hash(store)
    assert copy.get_block(HELLO) == b"hello"


def test_what_is_shown_holds_no_credentials():
    store = GatewayCAStore("https://user:secret@example.org/prefix/ipfs/")
    assert repr(store) == "GatewayCAStore(['https://example.org/prefix'])"
    assert store != GatewayCAStore("https://example.org")
    assert store == GatewayCAStore("https://example.org/prefix")
    assert GatewayCAStore().gateways == ("https://trustless-gateway.link",)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "https://user:secret@",
        "http://example.org:port",
        "http://user:secret@example.org?key=secret",
        "http://user:secret@[::1",
    ],
)
def test_malformed_urls(url):
    with pytest.raises(BackendError, match="malformed URL of a gateway") as caught:
        GatewayCAStore(url)
    assert "secret" not in str(caught.value)


def test_credentials_are_for_one_gateway():
    with pytest.raises(ValueError, match="credentials for several go into their URLs"):
        GatewayCAStore(["https://one.example", "https://other.example"], auth="token")
    with pytest.raises(ValueError, match="expected one or several"):
        GatewayCAStore([])


class Published(GatewayCAStore):
    """Puts blocks into the node itself, so that its gateway has something to be read."""

    def __init__(self, node, default_hash):
        super().__init__(node.gateway)
        hash_function(default_hash)
        self.default_hash = default_hash
        self.api = node.url

    def put_block(self, cid, data):
        kind = to_cid(cid)
        answer = requests.post(
            f"{self.api}/api/v0/block/put",
            params={"cid-codec": kind.codec.name, "mhtype": kind.hashfun.name},
            files={"file": bytes(data)},
            timeout=10,
        )
        assert answer.json()["Key"] == str(kind)


class TestContract(BackendTests):
    """Reading as every block store does, of blocks that a node has."""

    can_pickle = False

    @pytest.fixture(autouse=True)
    def _own_node(self, empty_node):
        self.node = empty_node

    def make_backend(self, folder, default_hash="sha2-256"):
        requests.post(f"{self.node.url}/api/v0/repo/gc", timeout=10).raise_for_status()
        return Published(self.node, default_hash)
