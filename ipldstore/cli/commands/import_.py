"""``ipldstore import``: a CAR archive becomes blocks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, AllowPadding, Json, Where
from ipldstore.cli.frame.output import show


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The archive; - for standard input.")
    ] = "-",
    allow_padding: AllowPadding = False,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Read a CAR archive and print its root CID."""
    from ipldstore.cli.work.archive import STANDARD_STREAM, import_archive

    if file == STANDARD_STREAM and sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter(
            "an archive does not come from a terminal: name a FILE, or pipe it"
        )
    done = import_archive(file, where)
    show(done, done["root"])
