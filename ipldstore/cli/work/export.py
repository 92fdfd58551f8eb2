"""``ipldstore export``: a hierarchy becomes a CAR archive."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ipldstore.basics.urls import is_url, show_url
from ipldstore.basics.words import size_text
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.frame.options import STANDARD_STREAM
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.tools.blocks import Extent, measure_local
from ipldstore.cli.tools.destination import appearing
from ipldstore.cli.tools.progress import CountedStream, progress
from ipldstore.cli.tools.reading import watched_reading
from ipldstore.cli.tools.roots import check_order, opened
from ipldstore.store.archive import check_place, open_stream
from ipldstore.store.hierarchy import Hierarchy


def export_archive(
    what: str, file: str, where: str, since: str | None = None, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write a hierarchy as a CAR archive, without the blocks of `since`; return what was done."""
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
            size = Hierarchy(watched, root=root, read_only=True).to_car(stream)
    else:
        with progress("exporting", None) as advance:
            counted = cast("BinaryIO", CountedStream(stream, advance))
            mapping = Hierarchy(blocks, root=root, read_only=True)
            size = mapping.to_car(counted, since=known)
    assert isinstance(size, int)
    return size


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
