"""``ipldstore ls``: what is in a hierarchy."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show_each


def ls(
    what: Root,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="Show sizes of directories, and CIDs.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="List all below.")] = False,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """List a hierarchy: kind, size in bytes and name."""
    from ipldstore.cli.work.ls import iter_listing

    show_each(iter_listing(what, where, long=long, recursive=recursive))
