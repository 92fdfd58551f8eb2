"""What stores notice: the same array in each, then a flipped bit, a lost chunk, and so on.

Chunks are random and uncompressed, so that no checksum of a compressor helps. py-hamt is left out
where it is not installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import zarr
from versions import Icechunk, Ours, PyHamt

CHUNK, COUNT = 4096, 16


class OnDisk:
    """A peer whose stored bytes are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def iter_stored(self) -> Iterator[tuple[Path, bytes]]:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()

    def replace(self, path: Path, data: bytes | None) -> None:
        path.unlink()
        if data is not None:
            path.write_bytes(data)


class OurStore(OnDisk, Ours):
    """``DirectoryCAStore``; its name for the content is the root CID."""

    def __init__(self, folder: Path) -> None:
        OnDisk.__init__(self, folder)
        Ours.__init__(self, str(folder))

    def name(self) -> object:
        return self._root


class IcechunkStore(OnDisk, Icechunk):
    """Icechunk on files; its name for the content is the snapshot's ID."""

    def __init__(self, folder: Path) -> None:
        OnDisk.__init__(self, folder)
        Icechunk.__init__(self, str(folder))

    def name(self) -> object:
        return icechunk.Repository.open(self._storage).lookup_branch("main")


class Plain(OnDisk):
    """zarr's ``LocalStore``, which has no name for the content."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = zarr.storage.LocalStore(folder)

    def commit(self) -> None:
        pass

    def reopen(self) -> Any:
        return self.store

    def name(self) -> object:
        return object()


class HamtStore(PyHamt):
    """py-hamt on blocks in memory; its name for the content is the root of its HAMT."""

    def __init__(self, folder: Path) -> None:
        super().__init__()

    def name(self) -> object:
        return self._root

    def iter_stored(self) -> Iterator[tuple[Any, bytes]]:
        yield from list(self._blocks.store.items())

    def replace(self, key: Any, data: bytes | None) -> None:
        if data is None:
            del self._blocks.store[key]
        else:
            self._blocks.store[key] = data


PEERS: dict[str, Callable[[Path], Any]] = {
    "ipldstore": OurStore,
    "Icechunk": IcechunkStore,
    "LocalStore": Plain,
}
if find_spec("py_hamt"):
    PEERS["py-hamt"] = HamtStore

DATA = np.random.default_rng(1).integers(0, 256, CHUNK * COUNT, np.uint8)
EQUAL = np.tile(DATA[:CHUNK], COUNT)


def write(peer: Any, data: Any) -> None:
    options = {"compressors": None, "filters": None}
    array = zarr.create_array(
        peer.store, name="a", shape=data.shape, chunks=(CHUNK,), dtype="u1", **options
    )
    array[:] = data
    peer.commit()


def same_name(make: Callable[[Path], Any]) -> str:
    names = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            peer = make(Path(folder, "store"))
            write(peer, DATA)
            names.append(peer.name())
    return "yes" if names[0] == names[1] else "no"


def answer(make: Callable[[Path], Any], harm: Callable[[Any], None]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        peer = make(Path(folder, "store"))
        write(peer, DATA)
        harm(peer)
        with suppress(Exception):
            read = zarr.open_array(peer.reopen(), path="a", mode="r+")[:]
            return "unchanged" if (read == DATA).all() else "wrong data"
        return "error"


def flip(peer: Any) -> None:
    key, data = third_chunk(peer)
    at = data.index(DATA[2 * CHUNK : 3 * CHUNK].tobytes())
    peer.replace(key, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def lose(peer: Any) -> None:
    peer.replace(third_chunk(peer)[0], None)


def third_chunk(peer: Any) -> tuple[Any, bytes]:
    chunk = DATA[2 * CHUNK : 3 * CHUNK].tobytes()
    return next((key, data) for key, data in peer.iter_stored() if chunk in data)


def kept_once(make: Callable[[Path], Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        peer = make(Path(folder, "store"))
        write(peer, EQUAL)
        size = sum(len(data) for _, data in peer.iter_stored())
        return "yes" if size < 2 * CHUNK + 4096 else "no"


QUESTIONS: dict[str, Callable[[Callable[[Path], Any]], str]] = {
    "same content, same name": same_name,
    "nothing was done": lambda make: answer(make, lambda peer: None),
    "a flipped bit": lambda make: answer(make, flip),
    "a lost chunk": lambda make: answer(make, lose),
    "equal chunks kept once": kept_once,
}


def main() -> None:
    print(f"{'':26}" + "".join(f"{name:14}" for name in PEERS))
    for question, ask in QUESTIONS.items():
        print(f"{question:26}" + "".join(f"{ask(make):14}" for make in PEERS.values()))


if __name__ == "__main__":
    main()
