"""Chunks through zarr-python 3: our stores against zarr's own, uncompressed, in one run.

A `LocalStore` whose chunks are read and written by zarrs, in Rust, takes part where that is
installed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from timing import Table, seconds
from zarr.storage import LocalStore, MemoryStore

import ipldstore

SIZES = {"16 KiB": (16 << 10, 4096), "4 MiB": (4 << 20, 64)}


class HashedLocalStore(LocalStore):
    """A `LocalStore` that also hashes each value with sha256, in a thread, as it comes and goes."""

    async def set(self, key: str, value: Any) -> None:
        await asyncio.to_thread(hashlib.sha256, value.as_buffer_like())
        await super().set(key, value)

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        value = await super().get(key, *args, **options)
        if value is not None:
            await asyncio.to_thread(hashlib.sha256, value.as_buffer_like())
        return value

    def set_sync(self, key: str, value: Any) -> None:
        hashlib.sha256(value.as_buffer_like())
        super().set_sync(key, value)

    def get_sync(self, key: str, **options: Any) -> Any:
        value = super().get_sync(key, **options)
        if value is not None:
            hashlib.sha256(value.as_buffer_like())
        return value


ZARRS = "LocalStore by zarrs"
STORES: dict[str, Callable[[Path], Any]] = {
    "MemoryStore": lambda folder: MemoryStore(),
    "MappingCAStore": lambda folder: ipldstore.IPLDStore(),
    "LocalStore": LocalStore,
    "LocalStore+sha256": HashedLocalStore,
    "DirectoryCAStore": lambda folder: ipldstore.IPLDStore(ipldstore.DirectoryCAStore(folder)),
}
COMPARISONS = [
    ("MappingCAStore", "MemoryStore"),
    ("DirectoryCAStore", "LocalStore"),
    ("DirectoryCAStore", "LocalStore+sha256"),
    ("DirectoryCAStore", ZARRS),
]
if find_spec("zarrs"):
    STORES[ZARRS] = LocalStore


def measure(table: Table, name: str, chunk: int, count: int) -> None:
    pipeline = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"} if name == ZARRS else {}
    with zarr.config.set(pipeline):
        measure_steps(table, name, chunk, count)


def measure_steps(table: Table, name: str, chunk: int, count: int) -> None:
    data = np.random.default_rng(0).integers(0, 256, chunk * count, dtype="u1")
    with tempfile.TemporaryDirectory() as folder:
        store = STORES[name](Path(folder))
        array = zarr.create_array(
            store, shape=data.shape, chunks=(chunk,), dtype="u1", compressors=None, filters=None
        )
        table.add("write", name, seconds(lambda: array.__setitem__(slice(None), data)))
        if isinstance(store, ipldstore.IPLDStore):
            table.add("freeze", name, seconds(store.freeze))
        table.add("read", name, seconds(lambda: array[:]))
        table.add("again", name, seconds(lambda: array[:]))
        assert (array[:] == data).all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fused", action="store_true", help="zarr's FusedCodecPipeline (zarr 3.4)")
    arguments = parser.parse_args()
    if arguments.fused:
        zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.FusedCodecPipeline"})
    for title, (chunk, count) in SIZES.items():
        table = Table()
        for _ in range(arguments.runs):
            for name in STORES:
                measure(table, name, chunk, count)
        table.show(f"{count:,} chunks of {title}", COMPARISONS)


if __name__ == "__main__":
    main()
