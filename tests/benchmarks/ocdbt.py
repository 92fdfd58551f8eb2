"""A million keys of 1 KiB, without zarr: our stores beside TensorStore's OCDBT in files.

"write" sets all keys and commits, in OCDBT by one transaction. "first" opens it anew and reads one
key, "update" changes one and commits.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorstore
from timing import Table, seconds

import ipldstore
from ipldstore.store.hierarchy import Hierarchy


class Ours:
    """A hierarchy on a block store, as a mapping."""

    def __init__(self, open_blocks: Callable[[], ipldstore.ContentAddressableStore]) -> None:
        self._open_blocks = open_blocks
        self._store = Hierarchy(open_blocks())

    def write(self, items: Iterator[tuple[str, bytes]]) -> None:
        for key, value in items:
            self._store[key] = value
        self._root = self._store.freeze()

    def reopen(self) -> None:
        self._store = Hierarchy(self._open_blocks(), root=self._root)

    def read(self, key: str) -> bytes:
        return self._store[key]

    def close(self) -> None:
        self._store.blocks.close()


class Ocdbt:
    """A database of TensorStore."""

    def __init__(self, folder: Path) -> None:
        self._spec = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
        self.reopen()

    def write(self, items: Iterator[tuple[str, bytes]]) -> None:
        with tensorstore.Transaction() as transaction:
            store = self._store.with_transaction(transaction)
            for key, value in items:
                store[key] = value

    def reopen(self) -> None:
        context = tensorstore.Context()  # which has the cache
        self._store = tensorstore.KvStore.open(self._spec, context=context).result()

    def read(self, key: str) -> bytes:
        value: bytes = self._store[key]
        return value

    def close(self) -> None:
        pass


def in_memory() -> Callable[[], ipldstore.ContentAddressableStore]:
    blocks: dict[Any, bytes] = {}
    return lambda: ipldstore.MappingCAStore(blocks)


PEERS: dict[str, Callable[[Path], Ours | Ocdbt]] = {
    "dict": lambda folder: Ours(in_memory()),
    "SQLite": lambda folder: Ours(lambda: ipldstore.SQLiteCAStore(folder / "blocks.sqlite")),
    "CAR": lambda folder: Ours(lambda: ipldstore.CARStore(folder / "blocks.car")),
    "OCDBT": Ocdbt,
}


def key_of(number: int, side: int) -> str:
    row, column = divmod(number, side)
    return f"a/{row}.{column}"


def iter_items(side: int) -> Iterator[tuple[str, bytes]]:
    padding = bytes(1016)
    for number in range(side * side):
        yield key_of(number, side), number.to_bytes(8, "big") + padding


def measure(table: Table, name: str, side: int, folder: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as path:
        peer = PEERS[name](Path(path))
        table.add("write", name, seconds(lambda: peer.write(iter_items(side))))
        peer.close()
        middle = key_of(side * side // 2, side)

        def first() -> None:
            peer.reopen()
            assert len(peer.read(middle)) == 1024

        table.add("first", name, seconds(first))
        peer.reopen()
        table.add("update", name, seconds(lambda: peer.write(iter([(middle, b"new")]))))
        assert peer.read(middle) == b"new"
        peer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1000, help="keys along each of two axes")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", default="/dev/shm", help="where the files are")
    arguments = parser.parse_args()
    table = Table()
    for _ in range(arguments.runs):
        for name in PEERS:
            measure(table, name, arguments.side, arguments.folder)
    table.show(
        f"{arguments.side**2:,} keys of 1 KiB", [(name, "OCDBT") for name in list(PEERS)[:-1]]
    )


if __name__ == "__main__":
    main()
