"""``ipldstore cat``: the value of one key."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    Where,
)


def cat(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ROOT/KEY", help="The hierarchy, as in ls, and the key of a value in it."
        ),
    ],
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Write one value to standard output, byte for byte."""
    from ipldstore.cli.work.cat import write_value

    write_value(what, where)
