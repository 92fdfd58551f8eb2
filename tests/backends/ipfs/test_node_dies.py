"""A node that dies while a store is written: errors, no root, and nothing lost when it is back."""

import threading

import numpy as np
import pytest
import xarray as xr

from ipldstore import BackendError, IPFSStore, IPLDStore, get_ipfs_mapper

KIB = 1 << 10


class Killing(IPFSStore):
    """Kills its node when so many blocks were put."""

    def __init__(self, node, after, **options):
        super().__init__(node.url, **options)
        self.node = node
        self.left = after
        self.lock = threading.Lock()

    def _count(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.node.kill()

    def put_block(self, cid, data):
        self._count()
        super().put_block(cid, data)

    async def put_block_async(self, cid, data):
        self._count()
        await super().put_block_async(cid, data)


def random_dataset(chunks):
    data = np.random.default_rng(7).integers(0, 255, (chunks, 64 * KIB), np.uint8)
    return xr.Dataset({"a": (("x", "y"), data)})


def check_all_is_there(store, node, root):
    """Check the hierarchy by the node's own command, and in a store that knows only the root."""
    node.run("--offline", "pin", "add", root)
    with IPFSStore(node.url, offline=True) as other:
        assert dict(IPLDStore(other, root=root)) == dict(IPLDStore(store.backend, root=root))


# one of the failed write's tasks may set a chunk just after the array was removed
@pytest.mark.filterwarnings("ignore:Object at a is not recognized")
@pytest.mark.parametrize("buffer_bytes", [32 << 20, 1 << 20, 0])
def test_node_dies_during_to_zarr(start_node, buffer_bytes):
    node = start_node(offline=True)
    dataset = random_dataset(100)
    encoding = {"a": {"chunks": (1, 64 * KIB)}}
    with Killing(node, 50, buffer_bytes=buffer_bytes, timeout=5) as backend:
        store = IPLDStore(backend)
        with pytest.raises(BackendError) as caught:
            dataset.to_zarr(store, consolidated=False, encoding=encoding)
            store.freeze()
        assert caught.value.retryable
        assert store.root_cid is None
        with pytest.raises(BackendError):
            store.freeze()
        assert store.root_cid is None
        node.start()
        # zarr's tasks of the failed write may still be at it, and go on where they can
        check_all_is_there(store, node, store.freeze())
        dataset.to_zarr(store, mode="w", consolidated=False, encoding=encoding)
        root = store.freeze()
        check_all_is_there(store, node, root)
        opened = xr.open_zarr(IPLDStore(backend, root=root), consolidated=False)
        xr.testing.assert_identical(opened.load(), dataset)


def test_the_node_that_was_killed_has_what_was_flushed(start_node):
    node = start_node(offline=True)
    with IPFSStore(node.url, buffer_bytes=1 << 20) as backend:
        store = IPLDStore(backend)
        for i in range(200):
            store[f"a/{i}"] = b"%d" % i * 5000
        root = store.freeze()
        node.kill()
        node.start()
        check_all_is_there(store, node, root)


def test_a_changed_store_has_its_old_root_until_the_new_one_is_whole(start_node):
    node = start_node(offline=True)
    with IPFSStore(node.url, timeout=5) as backend:
        store = IPLDStore(backend)
        store["a/0"] = b"old"
        old = store.freeze()
        store["a/0"] = b"new"
        node.kill()
        with pytest.raises(BackendError):
            store.freeze()
        assert store.root_cid is None
        assert store["a/0"] == b"new"
        node.start()
        assert IPLDStore(backend, root=old)["a/0"] == b"old"
        assert IPLDStore(backend, root=store.freeze())["a/0"] == b"new"


def test_a_read_while_the_node_is_away_is_no_missing_chunk(start_node):
    node = start_node(offline=True)
    with IPFSStore(node.url, timeout=5) as backend:
        store = IPLDStore(backend)
        random_dataset(3).to_zarr(store, consolidated=False)
        again = IPLDStore(backend, root=store.freeze())
        opened = xr.open_zarr(again, consolidated=False)
        node.kill()
        with pytest.raises(BackendError):
            opened.load()
        node.start()
        xr.testing.assert_identical(opened.load(), random_dataset(3))


def test_no_node_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("IPFS_PATH", str(tmp_path))
    monkeypatch.setenv("IPFS_API", "/ip4/127.0.0.1/tcp/1")
    with pytest.raises(BackendError, match="ipfs daemon") as caught:
        get_ipfs_mapper()
    assert "http://127.0.0.1:1" in str(caught.value)
    assert "GatewayCAStore" in str(caught.value)
    assert caught.value.retryable
