"""What journals cost: sets in a session that is handed out, against a store without a session.

Both set the same chunks on the same kind of block store, by the mapping and through zarr, in turn,
and freeze them, as block stores that keep blocks in memory for a while have them kept only then.
S3 takes part where `versitygw` is, with latency added to each request, and by the mapping, which
waits for each set, with a sixteenth of the chunks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from contestants import Place, make_array
from line import CountingLine
from timing import Table, seconds
from wire import KeepAliveS3

import ipldstore
from ipldstore.backends.objects.store import ObjectCAStore

CHUNK = 16 << 10
SESSION, STORE = "session", "store"

MakeBlocks: TypeAlias = Callable[[Path], Any]
"""Makes a block store that is empty: in a folder, or under its name in a bucket."""

PLACES: dict[str, MakeBlocks] = {
    "folder": ipldstore.DirectoryCAStore,
    "folder, fsync": lambda folder: ipldstore.DirectoryCAStore(folder, fsync=True),
    "SQLite": lambda folder: ipldstore.SQLiteCAStore(folder / "blocks.sqlite"),
}
BUCKET = "S3"


def make_store(peer: str, blocks: Any) -> Any:
    if peer == STORE:
        return ipldstore.IPLDStore(blocks)
    session = ipldstore.Repository.create(blocks).writable(message="written")
    assert session.id  # from here on each set is in a journal
    return session


def set_by_mapping(store: Any, data: Any) -> float:
    chunks = [bytes(part) for part in data.reshape(-1, CHUNK)]

    def work() -> None:
        for number, chunk in enumerate(chunks):
            store[f"a/c/{number}"] = chunk
        store.freeze()

    return seconds(work)


def set_by_zarr(store: Any, data: Any) -> float:
    array = make_array(store, "a", data.shape, (CHUNK,))

    def work() -> None:
        array[:] = data
        store.freeze()

    return seconds(work)


FACES = {"mapping": set_by_mapping, "zarr": set_by_zarr}


def measure(table: Table, make_blocks: MakeBlocks, face: str, count: int, run: int) -> None:
    """Measure both, each of which is first in every other run."""
    data = np.random.default_rng(run).integers(0, 256, CHUNK * count, "u1")
    for peer in (SESSION, STORE) if run % 2 else (STORE, SESSION):
        with tempfile.TemporaryDirectory() as folder, make_blocks(Path(folder)) as blocks:
            store = make_store(peer, blocks)
            table.add(face, peer, FACES[face](store, data))
            store.abandon()


def compare(place: str, make_blocks: MakeBlocks, arguments: argparse.Namespace) -> None:
    table = Table()
    for run in range(arguments.runs):
        for face in FACES:
            is_slow = place == BUCKET and face == "mapping"
            count = arguments.chunks // 16 if is_slow else arguments.chunks
            measure(table, make_blocks, face, count, run)
    title = f"journals: {arguments.chunks:,} chunks of 16 KiB, {place}"
    table.show(title, [(SESSION, STORE)])


def compare_in_bucket(arguments: argparse.Namespace) -> None:
    with ExitStack() as resources:
        folder = resources.enter_context(tempfile.TemporaryDirectory())
        server = resources.enter_context(KeepAliveS3(Path(folder)))
        line = resources.enter_context(CountingLine(server.port))
        line.begin(arguments.latency / 1000)
        server.create("journals")
        endpoint, buckets = f"http://127.0.0.1:{line.port}", server.folder / "buckets"

        def make_blocks(folder: Path) -> Any:
            place = Place(endpoint, "journals", buckets, folder.name, server.key, server.secret)
            return ObjectCAStore(place.url, **place.options)

        compare(BUCKET, make_blocks, arguments)


def main() -> None:
    has_server = bool(os.environ.get("IPLDSTORE_S3") or shutil.which("versitygw"))
    places = [*PLACES, BUCKET] if has_server else list(PLACES)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--latency", type=float, default=20, help="ms a request to S3")
    parser.add_argument("--places", nargs="+", default=places, choices=places)
    arguments = parser.parse_args()
    for place in arguments.places:
        if place == BUCKET:
            compare_in_bucket(arguments)
        else:
            compare(place, PLACES[place], arguments)


if __name__ == "__main__":
    main()
