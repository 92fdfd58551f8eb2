"""``ipldstore export`` and ``ipldstore import``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ipldstore.backends.directory import DirectoryCAStore
from ipldstore.cid import as_link, parse_text
from ipldstore.cli.blocks import measure, open_blocks
from ipldstore.cli.destination import appearing
from ipldstore.cli.reporting import Advance, progress, say, size_text
from ipldstore.store.mapping import HierarchyMapping


def export_archive(cid: str, file: str, blocks: Path) -> None:
    """Write the hierarchy under a root as a CAR archive.

    Parameters
    ----------
    cid
        Text of the root.
    file
        A path where nothing is yet, or ``-`` for standard output.
    blocks
        The folder of blocks.
    """
    root = parse_text(cid)
    mapping = HierarchyMapping(open_blocks(blocks), root=root, read_only=True)
    extent = measure(mapping.backend, root)
    with _output(file) as stream, progress("exporting", extent.size) as advance:
        size = mapping.to_car(cast("BinaryIO", _Counted(stream, advance)))
    assert isinstance(size, int)
    say(f"exported {extent.blocks:,} blocks as an archive of {size_text(size)}")


def import_archive(file: str, blocks: Path) -> str:
    """Read a CAR archive, keep its blocks and return the text of its root.

    Parameters
    ----------
    file
        A path, or ``-`` for standard input.
    blocks
        The folder of blocks, made if there is none.
    """
    with _input(file) as (stream, size):
        backend = DirectoryCAStore(blocks)
        with progress("importing", size) as advance:
            counted = cast("BinaryIO", _Counted(stream, advance))
            root = HierarchyMapping(backend).import_car(counted)
    say(f"imported {measure(backend, as_link(root))}")
    return str(root)


class _Counted:
    """A binary stream that tells how many bytes went through it."""

    def __init__(self, stream: BinaryIO, advance: Advance) -> None:
        self._stream = stream
        self._advance = advance

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._advance(len(data))
        return data

    def write(self, data: Any) -> int:
        count = self._stream.write(data)
        self._advance(count)
        return count


@contextmanager
def _output(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdout.buffer
        return
    with appearing(Path(file)) as temporary, open(temporary, "xb") as stream:
        yield stream


@contextmanager
def _input(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
        return
    with open(file, "rb") as stream:
        yield stream, Path(file).stat().st_size or None
