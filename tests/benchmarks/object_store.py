"""Chunks to S3 over a slow line and back: `ObjectCAStore`, zarr's ObjectStore, FsspecStore (s3fs).

Starts the S3 server of the tests, and before it a line that holds every byte back for `--latency`
in each direction together. FsspecStore is left out where s3fs is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import sys
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from timing import Table, seconds

import ipldstore
from ipldstore.backends.objects.store import ObjectCAStore

SPAWN = multiprocessing.get_context("spawn")
TESTS = Path(__file__).parents[1]
SIZES = {"16 KiB": (16 << 10, 2048), "1 MiB": (1 << 20, 96)}


class SlowLine:
    """A TCP proxy in a process of its own that delays what it passes on."""

    def __init__(self, port: int, latency: float) -> None:
        ours, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve_line, args=(port, latency / 2, theirs))
        self._process.start()
        self.port = ours.recv()

    def __enter__(self) -> SlowLine:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.join()


def serve_line(target: int, delay: float, started: Any) -> None:
    async def pass_on(reader: Any, writer: Any) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 18):
            loop.call_later(delay, writer.write, data)
        loop.call_later(delay, writer.close)

    async def connect(reader: Any, writer: Any) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async def serve() -> None:
        server = await asyncio.start_server(connect, "127.0.0.1", 0, backlog=512)
        started.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


class Ours:
    """An `IPLDStore` on a bucket."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._blocks = ObjectCAStore(url, **options)
        self.store = ipldstore.IPLDStore(self._blocks)

    def commit(self) -> None:
        self._root = self.store.freeze()

    def reopen(self) -> Any:
        return ipldstore.IPLDStore(self._blocks, root=self._root)

    def close(self) -> None:
        self._blocks.close()


class Theirs:
    """A store of zarr's, which has nothing to commit."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def commit(self) -> None:
        pass

    def reopen(self) -> Any:
        return self.store

    def close(self) -> None:
        self.store.close()


def object_store(url: str, options: dict[str, Any]) -> Theirs:
    from obstore.store import from_url

    return Theirs(zarr.storage.ObjectStore(from_url(url, **options)))


def fsspec_store(url: str, options: dict[str, Any]) -> Theirs:
    config = options["config"]
    return Theirs(
        zarr.storage.FsspecStore.from_url(
            url,
            storage_options={
                "key": config["access_key_id"],
                "secret": config["secret_access_key"],
                "endpoint_url": config["endpoint"],
                "client_kwargs": {"region_name": config["region"]},
            },
        )
    )


PEERS: dict[str, Any] = {"ObjectCAStore": Ours, "ObjectStore": object_store}
if find_spec("s3fs"):
    PEERS["FsspecStore"] = fsspec_store


def measure(table: Table, name: str, peer: Any, chunk: int, data: Any) -> None:
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

    def read() -> None:
        assert np.array_equal(zarr.open_array(peer.reopen(), path="a", mode="r")[:], data)

    table.add("write", name, seconds(write))
    table.add("read", name, seconds(read))
    peer.close()


def start_server(resources: ExitStack) -> Any:
    sys.path[:0] = [str(TESTS)]
    from servers import S3

    folder = resources.enter_context(tempfile.TemporaryDirectory())
    return resources.enter_context(S3(Path(folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds there and back")
    parser.add_argument("--profile", action="store_true", help="of ObjectCAStore's calling thread")
    arguments = parser.parse_args()
    with ExitStack() as resources:
        server = start_server(resources)
        line = resources.enter_context(SlowLine(server.port, arguments.latency))
        options = server.make_options(endpoint=f"http://127.0.0.1:{line.port}")
        profile = cProfile.Profile()
        for title, (chunk, count) in SIZES.items():
            table = Table()
            for run in range(arguments.runs):
                data = np.random.default_rng(run).integers(0, 256, chunk * count, "u1")
                for name, make in PEERS.items():
                    peer = make(f"{server.make_bucket()}/data", options)
                    if arguments.profile and name == "ObjectCAStore":
                        profile.enable()
                    measure(table, name, peer, chunk, data)
                    profile.disable()
            table.show(
                f"{count:,} chunks of {title}, {arguments.latency * 1000:g} ms away",
                [("ObjectCAStore", "ObjectStore"), ("ObjectCAStore", "FsspecStore")],
            )
        if arguments.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
