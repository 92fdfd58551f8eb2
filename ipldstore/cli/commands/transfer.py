"""Blocks elsewhere: `copy`, `export`, `import`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ipldstore.cli.options import BLOCKS, AllowPadding, Blocks, Json, Root, Store


def copy(
    root: Root,
    target: Store,
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Copy the blocks that another block store lacks."""
    from ipldstore.cli.copy import copy_hierarchy
    from ipldstore.cli.output import show

    done = copy_hierarchy(root, target, blocks)
    show(done, done["root"])


def export(
    root: Root,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="What to make; - for standard output.")
    ] = "-",
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="CID",
            help="Leave out the blocks of this root, such as an old version.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a file that is there.")
    ] = False,
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write a hierarchy as a CAR archive."""
    from ipldstore.cli.archive import STANDARD_STREAM, export_archive
    from ipldstore.cli.output import show

    if file == STANDARD_STREAM and json:
        raise typer.BadParameter("--json needs a FILE: the archive is on standard output")
    if file == STANDARD_STREAM and sys.stdout.isatty():
        raise typer.BadParameter("an archive does not go to a terminal: name a FILE, or pipe it")
    show(export_archive(root, file, blocks, since, overwrite=overwrite))


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The archive; - for standard input.")
    ] = "-",
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Read a CAR archive and print its root CID."""
    from ipldstore.cli.archive import STANDARD_STREAM, import_archive
    from ipldstore.cli.output import show

    if file == STANDARD_STREAM and sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter(
            "an archive does not come from a terminal: name a FILE, or pipe it"
        )
    done = import_archive(file, blocks)
    show(done, done["root"])
