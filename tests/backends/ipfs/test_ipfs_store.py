"""`IPFSStore` keeps the contract on a real node, collecting blocks and sending them one by one."""

import json
import multiprocessing
import pickle

import pytest
import requests
from node import Node

from ipldstore import BackendError, BlockNotFoundError, InvalidCIDError
from ipldstore.backends.ipfs.store import IPFSStore
from ipldstore.cid import as_link, make_link
from ipldstore.formats.hashes import HASHES
from ipldstore.limits import MAX_IPFS_BLOCK_BYTES
from ipldstore.testing import HELLO_RAW, MISSING, BackendTests

DAG_JSON = 0x0129


@pytest.fixture(scope="module")
def own_node(tmp_path_factory):
    """A daemon whose unpinned blocks the tests remove."""
    with Node(tmp_path_factory.mktemp("store") / "node", offline=True) as node:
        yield node


@pytest.fixture(autouse=True)
def empty_node(own_node):
    requests.post(f"{own_node.url}/api/v0/repo/gc", timeout=60).raise_for_status()


class TestCollecting(BackendTests):
    buffer_bytes = 1 << 20

    @pytest.fixture(autouse=True)
    def know_node(self, own_node):
        self.node = own_node

    def make_backend(self, folder, default_hash="sha2-256"):
        return IPFSStore(
            self.node.url, default_hash=default_hash, buffer_bytes=self.buffer_bytes, timeout=20
        )

    def corrupt(self, backend, cid):
        backend.flush()
        (file,) = (
            file
            for file in self.node.blocks.glob("??/*.data")
            if file.read_bytes() in (b"hello", b"\xa1\x61a\x01")
        )
        file.write_bytes(b"damaged")


class TestOneByOne(TestCollecting):
    buffer_bytes = 0


@pytest.fixture(params=[32 << 20, 0], ids=["collecting", "one-by-one"])
def store(request, own_node):
    with IPFSStore(own_node.url, buffer_bytes=request.param, timeout=20) as store:
        yield store


@pytest.mark.parametrize("hash_name", [name for name in HASHES if name != "sha2-384"])
def test_the_node_keeps_blocks_of_every_hash_function(store, own_node, hash_name):
    if hash_name == "blake3":
        pytest.importorskip("blake3")
    cid = make_link(b"some bytes", "raw", hash_name)
    store.put_block(cid, b"some bytes")
    store.flush()
    assert own_node.run("--offline", "block", "get", cid) == b"some bytes"


def test_a_hash_function_that_nodes_refuse_is_refused_at_once(store, own_node):
    with pytest.raises(InvalidCIDError, match="sha2-384"):
        IPFSStore(own_node.url, default_hash="sha2-384")
    with pytest.raises(BackendError, match="sha2-384"):
        store.put_block(make_link(b"some bytes", "raw", "sha2-384"), b"some bytes")
    store.flush()


def test_dag_json_reaches_the_node(store, own_node):
    cid = make_link(b'{"a":1}', DAG_JSON)
    store.put_block(cid, b'{"a":1}')
    store.flush()
    assert json.loads(own_node.run("--offline", "dag", "get", cid)) == {"a": 1}


def test_the_largest_block_travels_and_a_larger_one_is_refused(store, own_node):
    cid = store.put_raw(bytes(MAX_IPFS_BLOCK_BYTES), "raw")
    store.flush()
    assert own_node.run("--offline", "block", "get", cid) == bytes(MAX_IPFS_BLOCK_BYTES)
    with pytest.raises(BackendError, match="2097153 bytes, more than the 2097152"):
        store.put_raw(bytes(MAX_IPFS_BLOCK_BYTES + 1), "raw")
    store.flush()


async def test_the_largest_block_from_an_event_loop(store, own_node):
    cid = await store.put_raw_async(bytes(MAX_IPFS_BLOCK_BYTES), "raw")
    assert await store.get_block_async(cid) == bytes(MAX_IPFS_BLOCK_BYTES)
    with pytest.raises(BackendError, match="2097153 bytes, more than the 2097152"):
        await store.put_raw_async(bytes(MAX_IPFS_BLOCK_BYTES + 1), "raw")


def test_collected_blocks_are_there_before_they_are_sent(own_node):
    with IPFSStore(own_node.url) as store:
        cid = store.put_raw(b"hello", "raw")
        assert store.get_block(cid) == b"hello"
        assert store.has(cid)
        assert store.size_of(cid) == 5
        assert IPFSStore(own_node.url).has(cid) is False
        store.flush()
        assert IPFSStore(own_node.url).has(cid) is True


def test_a_value_that_is_put_by_itself_is_sent_at_once(own_node):
    with IPFSStore(own_node.url) as store:
        cid = store.put({"a": 1})
        assert json.loads(own_node.run("--offline", "dag", "get", cid)) == {"a": 1}


def test_pickling_sends_what_was_collected(own_node):
    with IPFSStore(own_node.url) as store:
        cid = store.put_raw(b"hello", "raw")
        with pickle.loads(pickle.dumps(store)) as copy:
            assert copy == store
            assert copy.get_block(cid) == b"hello"


def _read_and_write(store, cid, results):
    with store:
        results.put((store.get_block(cid), store.put_raw(b"from the child", "raw")))


# Python 3.12 and later warn of what is tested here
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_and_writes(own_node):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with IPFSStore(own_node.url) as store:
        collected = store.put_raw(b"hello", "raw")
        child = context.Process(target=_read_and_write, args=(store, collected, results))
        child.start()
        data, written = results.get(timeout=60)
        child.join(60)
        assert child.exitcode == 0
        assert data == b"hello"
        assert store.get_block(written) == b"from the child"


def test_small_buffer_takes_many_blocks(own_node):
    with IPFSStore(own_node.url, buffer_bytes=1000) as store:
        cids = {store.put_raw(b"%d" % i * 90, "raw"): b"%d" % i * 90 for i in range(300)}
        store.flush()
        assert {cid: IPFSStore(own_node.url).get_block(cid) for cid in cids} == cids


def test_a_missing_block_is_looked_for_in_the_network_only_if_asked(node):
    with IPFSStore(node.url, timeout=0.5) as store:
        assert store.has(MISSING) is False
        assert store.size_of(as_link(MISSING)) is None
        with pytest.raises(BackendError, match="in time") as caught:
            store.has(MISSING, network=True)
        assert caught.value.retryable
        with pytest.raises(BackendError, match="in time") as caught:
            store.get_block(MISSING)
        assert caught.value.retryable
    with IPFSStore(node.url, offline=True) as store, pytest.raises(BlockNotFoundError):
        store.get_block(MISSING)


def test_sixteen_requests_at_once_are_enough_for_hundreds(own_node):
    import asyncio

    async def read(store, cids):
        return await asyncio.gather(*map(store.get_block_async, cids))

    with IPFSStore(own_node.url) as store:
        blocks = {store.put_raw(b"%d" % i, "raw"): b"%d" % i for i in range(300)}
        store.flush()
        assert asyncio.run(read(store, blocks)) == list(blocks.values())
        assert asyncio.run(read(store, blocks)) == list(blocks.values())


def test_repr_and_equality(own_node):
    address = own_node.url.replace("http://", "http://user:secret@")
    store = IPFSStore(address)
    assert repr(store) == f"IPFSStore('{own_node.url}')"
    assert store == IPFSStore(own_node.api)
    assert hash(store) == hash(IPFSStore(own_node.api))
    assert store != IPFSStore("http://127.0.0.1:1")
    assert HELLO_RAW not in repr(store)
