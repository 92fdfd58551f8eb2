"""``ipldstore export`` and ``ipldstore import``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ipldstore.cid import Link, as_link, to_text
from ipldstore.cli.frame.context import is_set
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.tools.blocks import Extent, measure_local, open_blocks
from ipldstore.cli.tools.destination import appearing
from ipldstore.cli.tools.progress import Advance, progress
from ipldstore.cli.tools.reading import watched_reading
from ipldstore.cli.tools.roots import check_order, opened
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import CarFormatError
from ipldstore.store.archive import check_place, open_stream
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.urls import is_url, show_url
from ipldstore.words import size_text

STANDARD_STREAM = "-"


def export_archive(
    what: str, file: str, where: str, since: str | None = None, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write a hierarchy as a CAR archive, and return what was done.

    Parameters
    ----------
    what, where
        The hierarchy, as in `opened`.
    file
        A path, also that of a pipe or a device, or ``-`` for standard output.
    since
        The root of what the other side has, whose blocks are left out.
    overwrite
        Whether a file that is there is written over.
    """
    check_order(what, file)
    with opened(what, where) as (blocks, root):
        known = None if since is None else blocks.resolve(since)
        extent = measure_local(blocks, root) if known is None else None
        with _output(file, overwrite=overwrite) as stream:
            size = _write(stream, blocks, root, extent, known)
    source = f"from {blocks!r}" if extent is None else f"{count_text(extent.blocks, 'block')} as"
    say(f"exported {source} an archive of {size_text(size)}")
    return {
        "root": to_text(root),
        "file": file,
        "bytes": size,
        "blocks": None if extent is None else extent.blocks,
    }


def _write(
    stream: BinaryIO,
    blocks: ContentAddressableStore,
    root: Link,
    extent: Extent | None,
    known: Link | None,
) -> int:
    if known is None:
        with watched_reading("exporting", blocks, root, extent) as watched:
            size = HierarchyMapping(watched, root=root, read_only=True).to_car(stream)
    else:
        with progress("exporting", None) as advance:
            counted = cast("BinaryIO", _Counted(stream, advance))
            mapping = HierarchyMapping(blocks, root=root, read_only=True)
            size = mapping.to_car(counted, since=known)
    assert isinstance(size, int)
    return size


def import_archive(file: str, where: str) -> dict[str, Any]:
    """Read a CAR archive, keep its blocks and return what was done.

    Parameters
    ----------
    file
        A path, or ``-`` for standard input.
    where
        Where the blocks go, as in `open_blocks`; a folder is made if there is none.
    """
    with (
        interruptible(KEPT),
        _input(file) as (stream, size),
        open_blocks(where, make=True) as blocks,
    ):
        with progress("importing", size) as advance:
            counted = _Counted(stream, advance)
            root = as_link(
                HierarchyMapping(blocks).import_car(
                    cast("BinaryIO", counted), allow_padding=is_set("--allow-padding")
                )
            )
        extent = measure_local(blocks, root)
    say(f"imported into {blocks!r}" if extent is None else f"imported a hierarchy of {extent}")
    count, total = (None, None) if extent is None else extent
    return {"root": to_text(root), "file": file, "blocks": count, "bytes": total}


class _Counted:
    """A binary stream that tells how many bytes go through it."""

    def __init__(self, stream: BinaryIO, advance: Advance) -> None:
        self._stream = stream
        self._advance = advance

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._advance(len(data))
        return data

    def write(self, data: bytes) -> int:
        count = self._stream.write(data)
        self._advance(count)
        return count


@contextmanager
def _output(file: str, *, overwrite: bool) -> Iterator[BinaryIO]:
    if file == STANDARD_STREAM:
        yield sys.stdout.buffer
        return
    if (stream := open_stream(file)) is not None:
        with stream:
            yield stream
        return
    if is_url(file):
        raise CommandError(
            f"{show_url(file)!r} is a URL: name a FILE on this machine, or pipe the archive on; "
            "`ipldstore copy` copies to other block stores"
        )
    path = Path(file).resolve() if os.path.islink(file) else Path(file)
    check_place(path, overwrite=overwrite)
    with appearing(path, overwrite=overwrite) as temporary, open(temporary, "xb") as stream:
        yield stream


@contextmanager
def _input(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == STANDARD_STREAM:
        if sys.stdin is None:  # which mypy takes to be there always
            raise CommandError("standard input is closed: name an archive, or pipe it")
        yield sys.stdin.buffer, None
        return
    if is_url(file):
        raise CommandError(
            f"{show_url(file)!r} is a URL: name an archive on this machine, or pipe it to "
            "ipldstore import -"
        )
    with open(file, "rb") as stream:
        try:
            yield stream, Path(file).stat().st_size or None
        except CarFormatError as error:
            error.add_note(f"in {file!r}")
            raise
