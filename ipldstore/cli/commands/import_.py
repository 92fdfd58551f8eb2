"""``ipldstore import``: a CAR archive becomes blocks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from ipldstore.basics.urls import is_url, show_url
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.options import BLOCKS, STANDARD_STREAM, AllowPadding, Json, Where
from ipldstore.cli.frame.output import say, show
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.errors import CarFormatError


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The archive; - for standard input.")
    ] = STANDARD_STREAM,
    allow_padding: AllowPadding = False,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Read a CAR archive and print its root CID."""
    from ipldstore.cid import as_link, to_text
    from ipldstore.cli.tools.blocks import measure_local, open_blocks
    from ipldstore.cli.tools.progress import CountedStream, progress
    from ipldstore.store.hierarchy import Hierarchy

    with (
        interruptible(KEPT),
        _input(file) as (stream, size),
        open_blocks(where, make=True) as blocks,
    ):
        with progress("importing", size) as advance:
            counted = cast("BinaryIO", CountedStream(stream, advance))
            mapping = Hierarchy(blocks)
            root = as_link(mapping.import_car(counted, allow_padding=allow_padding))
        extent = measure_local(blocks, root)
    say(f"imported into {blocks!r}" if extent is None else f"imported a hierarchy of {extent}")
    count, total = (None, None) if extent is None else extent
    text = to_text(root)
    show({"root": text, "file": file, "blocks": count, "bytes": total}, text)


@contextmanager
def _input(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == STANDARD_STREAM:
        if sys.stdin is None:  # which mypy takes to be there always
            raise CommandError("standard input is closed: name an archive, or pipe it")
        if sys.stdin.isatty():
            raise typer.BadParameter(
                "an archive does not come from a terminal: name a FILE, or pipe it"
            )
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
