"""A million chunks: writing, freezing, and how many blocks reading and changing them takes."""

from __future__ import annotations

import argparse
import resource
import time

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import Link
from ipldstore.diffing import diff
from ipldstore.store.hierarchy import Hierarchy


class CountingCAStore(MappingCAStore):
    """Counts blocks loaded and put, and the bytes put."""

    loads = puts = put_bytes = 0

    def reset(self) -> None:
        self.loads = self.puts = self.put_bytes = 0

    def get_raw(self, cid: Link) -> bytes:
        self.loads += 1
        return super().get_raw(cid)

    def put_block(self, cid: Link, data: bytes) -> None:
        self.puts += 1
        self.put_bytes += len(data)
        super().put_block(cid, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1000, help="chunks along each of two axes")
    parser.add_argument("--zarr", action="store_true", help="write them through zarr-python 3")
    arguments = parser.parse_args()
    side = arguments.side
    backend = CountingCAStore()
    start = time.perf_counter()
    store = write_zarr(backend, side) if arguments.zarr else write(backend, side)
    written = time.perf_counter() - start
    prefix, dot = ("a/c/", "/") if arguments.zarr else ("a/", ".")
    backend.reset()
    start = time.perf_counter()
    root = store.freeze()
    frozen = time.perf_counter() - start
    print(f"{side * side:,} chunks written in {written:.2f} s, frozen in {frozen:.2f} s: ")
    print(f"  ratio {frozen / written:.2f}, {backend.puts} nodes of {backend.put_bytes:,} bytes")

    def opened() -> Hierarchy:
        backend.reset()
        return Hierarchy(backend, root=root)

    def key(row: int, column: int) -> str:
        return f"{prefix}{row}{dot}{column}"

    half = side // 2
    store = opened()
    _ = store[key(5, 7)]
    print(f"  first chunk: {backend.loads} blocks loaded")
    store = opened()
    store[key(half, 3)] = b"new"
    backend.reset()
    store.freeze()
    print(f"  one chunk changed, freeze: {backend.puts} blocks of {backend.put_bytes:,} bytes put")
    store = opened()
    for column in range(1000):
        store[key(side, column)] = b"new %d" % column
    backend.reset()
    store.freeze()
    print(f"  1,000 chunks appended: {backend.puts} nodes put")
    store = opened()
    for column in range(100):
        _ = store[key(half, column)]
    print(f"  100 chunks along the last axis: {backend.loads - 100} nodes loaded")
    store = opened()
    for row in range(10):
        for column in range(10):
            _ = store[key(half + row, half + column)]
    print(f"  10 by 10 chunks: {backend.loads - 100} nodes loaded")
    store = opened()
    for row in range(10):
        store[key(row * side // 10, row)] = b"other %d" % row
    changed = store.freeze()
    backend.reset()
    start = time.perf_counter()
    count = sum(1 for _ in diff(root, changed, blocks=backend))
    took = time.perf_counter() - start
    print(f"  diff of {count} changed chunks: {backend.loads} blocks loaded in {took:.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory, all blocks included: {peak:,.0f} MiB")


def write(backend: CountingCAStore, side: int) -> Hierarchy:
    store = Hierarchy(backend)
    padding = bytes(1016)
    for row in range(side):
        for column in range(side):
            store[f"a/{row}.{column}"] = (row * side + column).to_bytes(8, "big") + padding
    return store


def write_zarr(backend: CountingCAStore, side: int) -> Hierarchy:
    import numpy as np
    import zarr

    import ipldstore

    store = ipldstore.IPLDStore(backend)
    array = zarr.create_array(
        store,
        name="a",
        shape=(side * 8, side * 16),
        chunks=(8, 16),
        dtype="f8",
        compressors=None,
        filters=None,
    )
    for row in range(0, side, 10):
        count = 80 * side * 16
        block = np.arange(row * side * 128, row * side * 128 + count, dtype="f8") + 1
        array[row * 8 : (row + 10) * 8] = block.reshape(80, side * 16)
    return store


if __name__ == "__main__":
    main()
