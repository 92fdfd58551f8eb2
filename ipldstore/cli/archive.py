"""``ipldstore export`` and ``ipldstore import``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ipldstore.cid import as_link
from ipldstore.cli.blocks import measure_folder, open_blocks, opened
from ipldstore.cli.destination import appearing
from ipldstore.cli.reporting import Advance, progress, say, size_text
from ipldstore.store.mapping import HierarchyMapping


def export_archive(cid: str, file: str, blocks: str) -> None:
    """Write the hierarchy under a root as a CAR archive.

    Parameters
    ----------
    cid
        Text of the root.
    file
        A path where nothing is yet, or ``-`` for standard output.
    blocks
        Where the blocks are, as in `open_blocks`.
    """
    with opened(cid, blocks) as (backend, root):
        mapping = HierarchyMapping(backend, root=root, read_only=True)
        extent = measure_folder(backend, root)
        total = None if extent is None else extent.size
        with _output(file) as stream, progress("exporting", total) as advance:
            size = mapping.to_car(cast("BinaryIO", _Counted(stream, advance)))
    assert isinstance(size, int)
    what = f"from {backend!r}" if extent is None else f"{extent.blocks:,} blocks as"
    say(f"exported {what} an archive of {size_text(size)}")


def import_archive(file: str, blocks: str) -> str:
    """Read a CAR archive, keep its blocks and return the text of its root.

    Parameters
    ----------
    file
        A path, or ``-`` for standard input.
    blocks
        Where the blocks go, as in `open_blocks`; a folder is made if there is none.
    """
    with _input(file) as (stream, size), open_blocks(blocks, make=True) as backend:
        with progress("importing", size) as advance:
            counted = cast("BinaryIO", _Counted(stream, advance))
            root = HierarchyMapping(backend).import_car(counted)
        extent = measure_folder(backend, as_link(root))
    say(f"imported into {backend!r}" if extent is None else f"imported {extent}")
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
