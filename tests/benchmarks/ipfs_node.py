"""Chunks to a real IPFS node and back: in batches, one by one, and by py-hamt's KuboCAS.

"write" and "read" go through zarr. "put" does not: our mapping face with a freeze, and py-hamt's
`save` of all chunks at once, which makes no tree. "chunks" are reads by our two faces.

Starts a node (Kubo, as the tests find it) unless `--rpc` and `--gateway` name one that runs.
py-hamt is left out where it is not installed; it needs Python 3.12 and a C compiler.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from timing import Table, seconds
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import ipldstore

TESTS = Path(__file__).parents[1]
SIZES = {"16 KiB": (16 << 10, 4096), "4 MiB": (4 << 20, 128)}
PY_HAMT_SHARE = 16  # it takes minutes to read 4,096 chunks


class Ours:
    """An `IPLDStore` on a node, all of whose requests are its own."""

    def __init__(self, rpc: str, gateway: str, buffer_bytes: int) -> None:
        self._node = ipldstore.IPFSStore(rpc, buffer_bytes=buffer_bytes)
        self.store = ipldstore.IPLDStore(self._node)

    def put(self, chunks: list[bytes]) -> None:
        for index, chunk in enumerate(chunks):
            self.store[f"b/{index}"] = chunk
        self.store.freeze()

    def commit(self) -> None:
        self._root = self.store.freeze()

    def reopen(self) -> Any:
        self.store = ipldstore.IPLDStore(self._node, root=self._root)
        return self.store

    def close(self) -> None:
        self._node.close()


class PyHamt:
    """py-hamt on KuboCAS; a commit makes it read-only, which gives its root."""

    def __init__(self, rpc: str, gateway: str) -> None:
        self._node = py_hamt.KuboCAS(rpc_base_url=rpc, gateway_base_url=gateway)
        self._open(None)

    def _open(self, root: Any) -> None:
        self._hamt = sync(
            py_hamt.HAMT.build(cas=self._node, root_node_id=root, values_are_bytes=True)
        )
        self.store = py_hamt.ZarrHAMTStore(self._hamt)

    def put(self, chunks: list[bytes]) -> None:
        async def save() -> None:
            await asyncio.gather(*(self._node.save(chunk, "raw") for chunk in chunks))

        sync(save())

    def commit(self) -> None:
        sync(self._hamt.make_read_only())
        self._root = self._hamt.root_node_id

    def reopen(self) -> Any:
        self._open(self._root)
        return self.store

    def close(self) -> None:
        sync(self._node.aclose())


PEERS: dict[str, Any] = {
    "batches": lambda rpc, gateway: Ours(rpc, gateway, 32 << 20),
    "block/put": lambda rpc, gateway: Ours(rpc, gateway, 0),
}
if find_spec("py_hamt"):
    import py_hamt

    PEERS["py-hamt"] = PyHamt


def measure(table: Table, name: str, chunk: int, data: Any, rpc: str, gateway: str) -> None:
    peer = PEERS[name](rpc, gateway)
    array = zarr.create_array(
        peer.store,
        name="a",
        shape=data.shape,
        chunks=(chunk,),
        dtype="u1",
        compressors=None,
        filters=None,
    )

    def write() -> None:
        array[:] = data
        peer.commit()

    table.add("write", name, seconds(write))
    table.add("read", name, seconds(lambda: zarr.open_array(peer.reopen(), path="a")[:]))
    if name == "batches":
        measure_faces(table, peer)
    fresh = data ^ 1
    chunks = [fresh[start : start + chunk].tobytes() for start in range(0, len(fresh), chunk)]
    table.add("put", name, seconds(lambda: peer.put(chunks)))
    peer.close()


def measure_faces(table: Table, peer: Ours) -> None:
    """Read all chunks at once on an event loop, and one after the other as a mapping does."""
    keys = [key for key in peer.store if "/c/" in key]

    async def read_all() -> None:
        store, prototype = peer.reopen(), default_buffer_prototype()
        await asyncio.gather(*(store.get(key, prototype) for key in keys))

    table.add("chunks", "asynchronous", seconds(lambda: sync(read_all())))
    store = peer.reopen()
    table.add("chunks", "synchronous", seconds(lambda: [store[key] for key in keys]))


def compare(
    title: str,
    chunk: int,
    count: int,
    comparisons: list[tuple[str, str]],
    runs: int,
    rpc: str,
    gateway: str,
) -> None:
    table = Table()
    generator = np.random.default_rng()
    for _ in range(runs):
        for name in PEERS.keys() & {name for pair in comparisons for name in pair}:
            measure(
                table, name, chunk, generator.integers(0, 256, chunk * count, "u1"), rpc, gateway
            )
    table.show(f"{count:,} chunks of {title}", comparisons)


def start_node(resources: ExitStack) -> tuple[str, str]:
    sys.path.insert(0, str(TESTS))
    from node import Node

    folder = resources.enter_context(tempfile.TemporaryDirectory())
    node = resources.enter_context(Node(Path(folder) / "node"))
    return node.url, node.gateway


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rpc", help="URL of the RPC API of a node that runs")
    parser.add_argument("--gateway", help="URL of its gateway")
    arguments = parser.parse_args()
    with ExitStack() as resources:
        rpc, gateway = arguments.rpc, arguments.gateway
        if rpc is None:
            rpc, gateway = start_node(resources)
        for title, (chunk, count) in SIZES.items():
            comparisons = [("batches", "block/put"), ("asynchronous", "synchronous")]
            compare(title, chunk, count, comparisons, arguments.runs, rpc, gateway)
            if "py-hamt" in PEERS:
                comparisons = [("batches", "py-hamt")]
                part = count // PY_HAMT_SHARE
                compare(title, chunk, part, comparisons, arguments.runs, rpc, gateway)


if __name__ == "__main__":
    main()
