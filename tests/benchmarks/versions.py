"""Keeping versions: our repositories against Icechunk, OCDBT and py-hamt, step by step, in one run.

OCDBT is TensorStore's, read and written by TensorStore's own driver for Zarr; all others go through
zarr-python. TensorStore and py-hamt are left out where they are not installed; py-hamt needs Python
3.12 and a C compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import zarr
from timing import Table, seconds
from zarr.core.sync import sync

import ipldstore

SIZES = {"16 KiB": (16 << 10, 4096), "4 MiB": (4 << 20, 64)}


class ByZarr:
    """A peer whose arrays are zarr-python's, in its `store`."""

    store: Any

    def create(self, size: int, chunk: int) -> Any:
        options = {"compressors": None, "filters": None}
        return zarr.create_array(
            self.store, name="a", shape=(size,), chunks=(chunk,), dtype="u1", **options
        )

    def open(self) -> Any:
        return zarr.open_array(self.reopen(), path="a")

    def reopen(self) -> Any:
        raise NotImplementedError


class Roots(ByZarr):
    """An `IPLDStore` without a history; a commit is a freeze."""

    def __init__(self, folder: str | None, default_hash: str = "sha2-256") -> None:
        self._options = {"default_hash": default_hash}
        self._folder = folder
        self._blocks = None if folder else ipldstore.MappingCAStore(**self._options)
        self._begin()

    def _begin(self) -> None:
        self.store = ipldstore.IPLDStore(self._backend())

    def _backend(self) -> ipldstore.ContentAddressableStore:
        return self._blocks or ipldstore.DirectoryCAStore(self._folder, **self._options)

    def commit(self) -> None:
        self._root = self.store.freeze()

    def reopen(self) -> Any:
        self.store = ipldstore.IPLDStore(self._backend(), root=self._root)
        return self.store


class Ours(Roots):
    """A `Repository`; a commit is one to its branch."""

    def _begin(self) -> None:
        self.store = ipldstore.Repository.create(self._backend()).writable("main")

    def commit(self) -> None:
        self.store.commit("chunks")

    def reopen(self) -> Any:
        self.store = ipldstore.Repository(self._backend()).writable("main")
        return self.store


class Icechunk(ByZarr):
    """An Icechunk repository."""

    def __init__(self, folder: str | None) -> None:
        self._storage = (
            icechunk.local_filesystem_storage(folder) if folder else icechunk.in_memory_storage()
        )
        self._session = icechunk.Repository.create(self._storage).writable_session("main")
        self.store = self._session.store

    def commit(self) -> None:
        self._session.commit("chunks")

    def reopen(self) -> Any:
        self._session = icechunk.Repository.open(self._storage).writable_session("main")
        self.store = self._session.store
        return self.store


class PyHamt(ByZarr):
    """A py-hamt store on blocks in memory; a commit makes it read-only, which gives its root."""

    def __init__(self) -> None:
        self._blocks = py_hamt.InMemoryCAS()
        self._open(None)

    def _open(self, root: Any) -> None:
        self._hamt = sync(
            py_hamt.HAMT.build(cas=self._blocks, root_node_id=root, values_are_bytes=True)
        )
        self.store = py_hamt.ZarrHAMTStore(self._hamt)

    def commit(self) -> None:
        sync(self._hamt.make_read_only())
        self._root = self._hamt.root_node_id

    def reopen(self) -> Any:
        self._open(self._root)
        return self.store


class Ocdbt:
    """An array in a database of TensorStore; a commit is that of a transaction."""

    def __init__(self, folder: str) -> None:
        base = {"driver": "file", "path": f"{folder}/"}
        self._spec: Any = {"driver": "zarr3", "kvstore": {"driver": "ocdbt", "base": base}}

    def create(self, size: int, chunk: int) -> Any:
        self._spec["metadata"] = {
            "shape": [size],
            "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk]}},
            "codecs": [{"name": "bytes"}],
        }
        return self._begin(tensorstore.open(self._spec, create=True).result())

    def _begin(self, array: Any) -> Any:
        self._transaction = tensorstore.Transaction()
        return Read(array.with_transaction(self._transaction))

    def commit(self) -> None:
        self._transaction.commit_sync()

    def open(self) -> Any:
        context = tensorstore.Context()  # which has the cache
        return self._begin(tensorstore.open(self._spec, context=context).result())


class Read:
    """An array of TensorStore, whose slices are read at once."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, key: slice) -> Any:
        return self._array[key].read().result()

    def __setitem__(self, key: slice, value: Any) -> None:
        self._array[key].write(value).result()


PEERS: dict[str, Callable[[str], Any]] = {
    "ipldstore memory": lambda folder: Ours(None),
    "icechunk memory": lambda folder: Icechunk(None),
    "ipldstore disk": Ours,
    "roots disk": Roots,
    "blake3 disk": lambda folder: Ours(folder, "blake3"),
    "icechunk disk": Icechunk,
}
COMPARISONS = [
    ("ipldstore memory", "icechunk memory"),
    ("ipldstore disk", "icechunk disk"),
    ("roots disk", "icechunk disk"),
    ("blake3 disk", "icechunk disk"),
    ("ipldstore disk", "ocdbt disk"),
    ("ipldstore memory", "py-hamt memory"),
]
if find_spec("tensorstore"):
    import tensorstore

    PEERS["ocdbt disk"] = Ocdbt
if find_spec("py_hamt"):
    import py_hamt

    PEERS["py-hamt memory"] = lambda folder: PyHamt()


def measure(table: Table, name: str, chunk: int, count: int, data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        peer = PEERS[name](str(Path(folder) / "store"))
        array = peer.create(data.size, chunk)
        table.add("write", name, seconds(lambda: array.__setitem__(slice(None), data)))
        table.add("commit", name, seconds(peer.commit))
        opened: list[Any] = []
        table.add("open", name, seconds(lambda: opened.append(peer.open())))
        array = opened[0]
        table.add("first", name, seconds(lambda: array[:1]))
        table.add("read", name, seconds(lambda: array[:]))
        middle = slice(chunk * (count // 2), chunk * (count // 2 + 1))

        def update() -> None:
            array[middle] = 7
            peer.commit()

        table.add("update", name, seconds(update))


def hashing(data: Any, chunk: int) -> float:
    view = memoryview(data)
    return seconds(
        lambda: [
            hashlib.sha256(view[start : start + chunk]).digest()
            for start in range(0, len(view), chunk)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--million", action="store_true", help="a million chunks of 64 bytes instead"
    )
    parser.add_argument("--fused", action="store_true", help="zarr's FusedCodecPipeline (zarr 3.4)")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    arguments = parser.parse_args()
    if arguments.fused:
        zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.FusedCodecPipeline"})
    sizes = {"64 bytes": (64, 1_000_000)} if arguments.million else SIZES
    for title, (chunk, count) in sizes.items():
        data = np.random.default_rng(0).integers(0, 256, chunk * count, dtype="u1")
        table = Table()
        for _ in range(arguments.runs):
            for name in arguments.peers:
                measure(table, name, chunk, count, data)
        table.show(f"{count:,} chunks of {title}", COMPARISONS)
        print(f"  sha256 of the same bytes, one thread: {hashing(data, chunk):.4f} s")


if __name__ == "__main__":
    main()
