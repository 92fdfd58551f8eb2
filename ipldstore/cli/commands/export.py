"""``ipldstore export``: a hierarchy becomes a CAR archive."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    STANDARD_STREAM,
    AllowPadding,
    Json,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show


def export(
    what: Root,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="What to make; - for standard output.")
    ] = STANDARD_STREAM,
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
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Write a hierarchy as a CAR archive."""
    from ipldstore.cli.work.export import export_archive

    if file == STANDARD_STREAM and json:
        raise typer.BadParameter("--json needs a FILE: the archive is on standard output")
    if file == STANDARD_STREAM and sys.stdout.isatty():
        raise typer.BadParameter("an archive does not go to a terminal: name a FILE, or pipe it")
    show(export_archive(what, file, where, since, overwrite=overwrite))
