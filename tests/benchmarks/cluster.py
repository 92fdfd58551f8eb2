"""A dataset written by all processes of a dask cluster: a session, forks, plain Zarr and Icechunk.

Each write begins with the metadata and ends with a commit, where there is one. The roots of a
session, of forks and of a store that threads of one process wrote are compared. Where `versitygw`
is, a bucket of it takes part, and how many requests each needs is shown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from contestants import Obstore, Place
from distributed import Client, LocalCluster
from line import CountingLine
from timing import Table, seconds
from wire import KeepAliveS3
from zarr.storage import LocalStore

import ipldstore
from ipldstore import distributed
from ipldstore.backends.objects.store import ObjectCAStore

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


@dataclass(frozen=True)
class Room:
    """Where a peer writes, which is empty: a folder, and a prefix of a bucket if there is one."""

    folder: Path
    bucket: Place | None = None

    @property
    def prefix(self) -> Place:
        assert self.bucket is not None
        return self.bucket


def make_folder(room: Room) -> Any:
    return ipldstore.DirectoryCAStore(room.folder / "blocks")


def make_database(room: Room) -> Any:
    return ipldstore.SQLiteCAStore(room.folder / "blocks.sqlite")


def make_bucket(room: Room) -> Any:
    return ObjectCAStore(room.prefix.url, **room.prefix.options)


def write_session(make_blocks: Callable[[Room], Any]) -> Callable[[xr.Dataset, Room], Any]:
    def write(dataset: xr.Dataset, room: Room) -> Any:
        with ipldstore.Repository.create(make_blocks(room)) as repo:
            with repo.writable(message="written") as session:
                dataset.to_zarr(session, **OPTIONS)
            return repo.readonly().root_cid

    return write


def write_forks(make_blocks: Callable[[Room], Any]) -> Callable[[xr.Dataset, Room], Any]:
    def write(dataset: xr.Dataset, room: Room) -> Any:
        with ipldstore.IPLDStore(make_blocks(room)) as store:
            distributed.to_zarr(dataset, store, **OPTIONS)
            return store.freeze()

    return write


def write_plain(dataset: xr.Dataset, room: Room) -> None:
    dataset.to_zarr(LocalStore(room.folder / "plain"), **OPTIONS)


def write_plain_bucket(dataset: xr.Dataset, room: Room) -> None:
    dataset.to_zarr(Obstore(room.prefix).store, **OPTIONS)


def write_icechunk(dataset: xr.Dataset, room: Room) -> None:
    import icechunk
    from icechunk.xarray import to_icechunk

    storage = icechunk.local_filesystem_storage(str(room.folder / "icechunk"))
    session = icechunk.Repository.create(storage).writable_session("main")
    to_icechunk(dataset, session, encoding=ENCODING)
    session.commit("written")


PEERS: dict[str, Callable[[xr.Dataset, Room], Any]] = {
    "session, folder": write_session(make_folder),
    "session, SQLite": write_session(make_database),
    "forks, folder": write_forks(make_folder),
    "plain Zarr": write_plain,
}
if find_spec("icechunk") and not version("icechunk").startswith("1."):  # which this xarray fails
    PEERS["icechunk disk"] = write_icechunk
BUCKET_PEERS: dict[str, Callable[[xr.Dataset, Room], Any]] = {
    "session, S3": write_session(make_bucket),
    "forks, S3": write_forks(make_bucket),
    "plain Zarr, S3": write_plain_bucket,
}
if os.environ.get("IPLDSTORE_S3") or shutil.which("versitygw"):
    PEERS |= BUCKET_PEERS
COMPARISONS = [
    ("session, folder", "forks, folder"),
    ("session, folder", "plain Zarr"),
    ("session, folder", "icechunk disk"),
    ("session, SQLite", "forks, folder"),
    ("session, S3", "forks, S3"),
    ("session, S3", "plain Zarr, S3"),
]


class Bucket:
    """An S3 server behind a line that counts, between `with` and its end."""

    def __init__(self, folder: Path, latency: float) -> None:
        self._server = KeepAliveS3(folder)
        self._latency = latency
        self._rooms = 0
        self._resources = ExitStack()

    def __enter__(self) -> Bucket:
        self._resources.enter_context(self._server)
        self._line = self._resources.enter_context(CountingLine(self._server.port))
        self._server.create("cluster")
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    @contextmanager
    def room(self) -> Iterator[Place]:
        """Count from nothing, in a new prefix, whose objects are removed after."""
        self._rooms += 1
        name = f"room-{self._rooms}"
        server, endpoint = self._server, f"http://127.0.0.1:{self._line.port}"
        buckets = server.folder / "buckets"
        place = Place(endpoint, "cluster", buckets, name, server.key, server.secret)
        self._line.begin(self._latency)
        yield place
        shutil.rmtree(place.on_disk)

    def count(self) -> int:
        return self._line.read().requests.total()


class Measuring:
    """Writes of all peers in turn, and what they took."""

    def __init__(self, dataset: xr.Dataset, expected: Any, bucket: Bucket | None) -> None:
        self.table = Table()
        self.requests: dict[str, list[int]] = {}
        self._dataset, self._expected, self._bucket = dataset, expected, bucket

    def measure(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if name in BUCKET_PEERS:
                assert self._bucket is not None
                with self._bucket.room() as place:
                    self._write(name, Room(Path(folder), place))
                    self.requests.setdefault(name, []).append(self._bucket.count())
            else:
                self._write(name, Room(Path(folder)))

    def _write(self, name: str, room: Room) -> None:
        def write() -> None:
            root = PEERS[name](self._dataset, room)
            if root not in (None, self._expected):
                raise SystemExit(f"{name}: root {root}, by threads {self._expected}")

        self.table.add("write", name, seconds(write))

    def show(self, title: str) -> None:
        self.table.show(title, COMPARISONS)
        for name, counts in self.requests.items():
            print(f"  {name}: {median(counts):g} requests")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=128, help="of 16 MiB each")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--latency", type=float, default=0, help="ms a request to S3")
    arguments = parser.parse_args()
    dataset = make_dataset(arguments.chunks)
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads"):
        expected = write_session(make_folder)(dataset, Room(Path(folder)))
    with ExitStack() as resources:
        bucket = None
        if set(arguments.peers) & set(BUCKET_PEERS):
            folder = resources.enter_context(tempfile.TemporaryDirectory())
            bucket = resources.enter_context(Bucket(Path(folder), arguments.latency / 1000))
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        resources.enter_context(cluster)
        resources.enter_context(Client(cluster))
        measuring = Measuring(dataset, expected, bucket)
        for _ in range(arguments.runs):
            for name in arguments.peers:
                measuring.measure(name)
    measuring.show(f"{arguments.chunks} chunks of 16 MiB, two processes")


if __name__ == "__main__":
    main()
