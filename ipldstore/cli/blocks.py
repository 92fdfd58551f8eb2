"""The folder of blocks that the commands work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ipldstore.backends.directory import DirectoryCAStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.reporting import size_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag
from ipldstore.errors import BlockNotFoundError


class Extent(NamedTuple):
    """How many blocks there are, and their bytes in all."""

    blocks: int
    size: int

    def __str__(self) -> str:
        return f"{self.blocks:,} block{'s' * (self.blocks != 1)}, {size_text(self.size)}"


class WatchedStore(DirectoryCAStore):
    """A folder of blocks that tells of each block it has kept.

    Parameters
    ----------
    path
        The folder.
    watch
        Called with the codec's name after each block.
    """

    def __init__(self, path: str | os.PathLike[str], watch: Callable[[str], None]) -> None:
        super().__init__(path)
        self._watch = watch

    def put_raw(self, data: bytes, codec: str) -> Link:
        link = super().put_raw(data, codec)
        self._watch(codec)
        return link


def open_blocks(path: Path) -> DirectoryCAStore:
    """Open a folder of blocks to read from.

    Raises
    ------
    FileNotFoundError
        If there is none.
    BackendError
        If it cannot be used.
    """
    if not path.exists():
        raise FileNotFoundError(f"no folder of blocks {str(path)!r} (option --blocks)")
    return DirectoryCAStore(path)


def iter_sizes(backend: ContentAddressableStore, root: Link) -> Iterator[tuple[Link, int]]:
    """Iterate the blocks under a root and their sizes in bytes; values are not read.

    Raises
    ------
    BlockNotFoundError
        If a block is missing.
    """
    for link, data in iter_dag(root, backend.get_block):
        size = backend.size_of(link) if data is None else len(data)
        if size is None:
            raise BlockNotFoundError(f"no block {to_text(link)} in {backend!r}")
        yield link, size


def measure(backend: ContentAddressableStore, root: Link) -> Extent:
    """Count the blocks under a root; errors as in `iter_sizes`."""
    blocks = total = 0
    for _, size in iter_sizes(backend, root):
        blocks += 1
        total += size
    return Extent(blocks, total)
