"""Processes that commit to one branch of one folder at once: what is there afterwards.

Each of eight processes writes chunks of its own to one array, through zarr-python, and commits
each. Icechunk rebases and tries again when another one was first. A commit that returned is lost
if it is not in the history, or its chunk is not there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import zarr

import ipldstore


class Ours:
    """A repository in a folder."""

    def __init__(self, folder: str, *, make: bool = False) -> None:
        open_repository = ipldstore.Repository.create if make else ipldstore.Repository
        self._repo = open_repository(ipldstore.DirectoryCAStore(folder))

    def begin(self) -> Any:
        self._session = self._repo.writable()
        return self._session

    def commit(self, message: str) -> str:
        return str(self._session.commit(message))

    def history(self) -> list[str]:
        return [str(version.cid) for version in self._repo.log()]

    def read(self) -> Any:
        return self._repo.readonly()


class Icechunk:
    """An Icechunk repository in a folder."""

    def __init__(self, folder: str, *, make: bool = False) -> None:
        storage = icechunk.local_filesystem_storage(folder)
        self._repo = (icechunk.Repository.create if make else icechunk.Repository.open)(storage)

    def begin(self) -> Any:
        self._session = self._repo.writable_session("main")
        return self._session.store

    def commit(self, message: str) -> str:
        return str(
            self._session.commit(
                message, rebase_with=icechunk.ConflictDetector(), rebase_tries=10_000
            )
        )

    def history(self) -> list[str]:
        return [snapshot.id for snapshot in self._repo.ancestry(branch="main")]

    def read(self) -> Any:
        return self._repo.readonly_session("main").store


PEERS: dict[str, Any] = {"ipldstore": Ours, "icechunk": Icechunk}


def work(name: str, folder: str, index: int, count: int) -> None:
    peer = PEERS[name](folder)
    for number in range(count):
        chunk = index * count + number
        zarr.open_array(peer.begin(), path="x", mode="r+")[chunk] = chunk + 1
        try:
            print("done", chunk, peer.commit(f"chunk {chunk}"), flush=True)
        except Exception as error:
            print("failed", type(error).__name__, str(error).splitlines()[0][:200])


def measure(name: str, processes: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder, "repository"))
        peer = PEERS[name](place, make=True)
        total = processes * count
        zarr.create_array(
            peer.begin(), name="x", shape=(total,), chunks=(1,), dtype="i4", fill_value=0
        )
        peer.commit("begin")
        start = time.perf_counter()
        command = [sys.executable, __file__, "--work", name, place, str(count)]
        running = [
            subprocess.Popen([*command, str(index)], stdout=subprocess.PIPE, text=True)
            for index in range(processes)
        ]
        lines = [line for process in running for line in process.communicate()[0].splitlines()]
        spent = time.perf_counter() - start
        said = [line.split()[1:] for line in lines if line.startswith("done ")]
        failed = Counter(line[7:] for line in lines if line.startswith("failed "))
        peer = PEERS[name](place)
        history = set(peer.history())
        values = np.asarray(zarr.open_array(peer.read(), path="x", mode="r")[:])
        lost = [
            chunk
            for chunk, commit in said
            if commit not in history or values[int(chunk)] != int(chunk) + 1
        ]
        print(
            f"{name}: {len(said)} of {total} commits returned in {spent:.1f} s, "
            f"{len(history) - 1} in the history, {len(lost)} lost"
        )
        for what, times in failed.most_common(5):
            print(f"  {times} x {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--commits", type=int, default=60)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, place, count, index = arguments.work
        work(name, place, int(index), int(count))
        return
    for name in PEERS:
        measure(name, arguments.processes, arguments.commits)


if __name__ == "__main__":
    main()
