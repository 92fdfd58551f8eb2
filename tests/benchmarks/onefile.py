"""Datasets in one file through zarr-python 3: our stores against a folder and zarr's own."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from timing import Table, seconds
from zarr.storage import LocalStore, ZipStore

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore

SIZES = {"1 KiB": (1 << 10, 4096), "16 KiB": (16 << 10, 4096), "1 MiB": (1 << 20, 96)}
OURS = {
    "DirectoryCAStore": lambda folder: DirectoryCAStore(folder / "blocks"),
    "SQLiteCAStore": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "CARStore": lambda folder: CARStore(folder / "data.car"),
}
THEIRS: dict[str, Callable[[Path, str], Any]] = {
    "ZipStore": lambda folder, mode: ZipStore(folder / "data.zip", mode=mode),
    "LocalStore": lambda folder, mode: LocalStore(folder / "data", read_only=mode == "r"),
}
COMPARISONS = [
    (ours, peer)
    for ours in ("SQLiteCAStore", "CARStore")
    for peer in ("DirectoryCAStore", "ZipStore", "LocalStore")
]


def write(name: str, folder: Path, data: Any, chunk: int) -> Any:
    """Write an array, frozen and closed; return the root that it takes to open it."""
    store = IPLDStore(OURS[name](folder)) if name in OURS else THEIRS[name](folder, "w")
    array = zarr.create_array(
        store, shape=data.shape, chunks=(chunk,), dtype="u1", compressors=None, filters=None
    )
    array[:] = data
    if name not in OURS:
        store.close()
        return None
    root = store.freeze()
    store.backend.close()
    return root


def reopen(name: str, folder: Path, root: Any) -> Any:
    """Open the array and read its first byte."""
    if name in OURS:
        store = IPLDStore(OURS[name](folder), root=root, read_only=True)
    else:
        store = THEIRS[name](folder, "r")
    array = zarr.open_array(store, mode="r")
    assert array[0] is not None
    return array


def measure(table: Table, name: str, chunk: int, count: int) -> None:
    data = np.random.default_rng(0).integers(0, 256, chunk * count, dtype="u1")
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        table.add(
            "write", name, seconds(lambda: kept.update(root=write(name, folder, data, chunk)))
        )
        table.add(
            "reopen", name, seconds(lambda: kept.update(array=reopen(name, folder, kept["root"])))
        )
        array = kept["array"]
        table.add("read", name, seconds(lambda: array[:]))
        assert (array[:] == data).all()
        close = array.store.backend.close if name in OURS else array.store.close
        close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    for title, (chunk, count) in SIZES.items():
        table = Table()
        for _ in range(arguments.runs):
            for name in (*OURS, *THEIRS):
                measure(table, name, chunk, count)
        table.show(f"{count:,} chunks of {title}", COMPARISONS)


if __name__ == "__main__":
    main()
