"""A dataset written by all processes of a dask cluster: a session, forks, plain Zarr and Icechunk.

Each write begins with the metadata and ends with a commit, where there is one. The roots of a
session and of a store that threads of one process wrote are compared.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from distributed import Client, LocalCluster
from timing import Table, seconds
from zarr.storage import LocalStore

import ipldstore
from ipldstore import distributed

CHUNK = 1 << 21  # of float64, so 16 MiB


def make_dataset(chunks: int) -> xr.Dataset:
    """Make a dataset that workers compute, of so many chunks, the same each time."""

    def block(block_info: Any = None) -> Any:
        seed = block_info[None]["chunk-location"][0]
        return np.random.default_rng(seed).random(CHUNK)

    values = da.map_blocks(block, chunks=((CHUNK,) * chunks,), dtype="f8")
    return xr.Dataset({"a": ("x", values)})


ENCODING = {"a": {"compressors": ()}}
OPTIONS: Any = {"encoding": ENCODING, "consolidated": False}


def write_session(blocks: Any) -> Callable[[xr.Dataset, Path], Any]:
    def write(dataset: xr.Dataset, folder: Path) -> Any:
        with ipldstore.Repository.create(blocks(folder)) as repo:
            with repo.writable(message="written") as session:
                dataset.to_zarr(session, **OPTIONS)
            return repo.readonly().root_cid

    return write


def write_forks(dataset: xr.Dataset, folder: Path) -> Any:
    store = ipldstore.IPLDStore(ipldstore.DirectoryCAStore(folder / "blocks"))
    distributed.to_zarr(dataset, store, **OPTIONS)
    return store.freeze()


def write_plain(dataset: xr.Dataset, folder: Path) -> None:
    dataset.to_zarr(LocalStore(folder / "plain"), **OPTIONS)


def write_icechunk(dataset: xr.Dataset, folder: Path) -> None:
    import icechunk
    from icechunk.xarray import to_icechunk

    storage = icechunk.local_filesystem_storage(str(folder / "icechunk"))
    session = icechunk.Repository.create(storage).writable_session("main")
    to_icechunk(dataset, session, encoding=ENCODING)
    session.commit("written")


def make_folder(folder: Path) -> Any:
    return ipldstore.DirectoryCAStore(folder / "blocks")


def make_database(folder: Path) -> Any:
    return ipldstore.SQLiteCAStore(folder / "blocks.sqlite")


PEERS: dict[str, Callable[[xr.Dataset, Path], Any]] = {
    "session, folder": write_session(make_folder),
    "session, SQLite": write_session(make_database),
    "forks, folder": write_forks,
    "plain Zarr": write_plain,
}
if find_spec("icechunk"):
    PEERS["icechunk disk"] = write_icechunk
COMPARISONS = [
    ("session, folder", "forks, folder"),
    ("session, folder", "plain Zarr"),
    ("session, folder", "icechunk disk"),
    ("session, SQLite", "forks, folder"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=128, help="of 16 MiB each")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    arguments = parser.parse_args()
    dataset = make_dataset(arguments.chunks)
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads"):
        expected = write_session(make_folder)(dataset, Path(folder))

    def check(name: str, root: Any) -> None:
        if name.startswith("session") and root != expected:
            raise SystemExit(f"{name}: root {root}, by threads {expected}")

    table = Table()
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster),
    ):
        for _ in range(arguments.runs):
            for name in arguments.peers:
                with tempfile.TemporaryDirectory() as folder:
                    write = partial(PEERS[name], dataset, Path(folder))
                    table.add("write", name, seconds(lambda w=write, n=name: check(n, w())))  # type: ignore[misc]
    table.show(f"{arguments.chunks} chunks of 16 MiB, two processes", COMPARISONS)


if __name__ == "__main__":
    main()
