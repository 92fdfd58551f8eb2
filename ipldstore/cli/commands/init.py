"""``ipldstore init``: a place for blocks gets a repository."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import say, show


def init(
    place: Annotated[
        str | None,
        typer.Argument(metavar="STORE", show_default=False, help="Where, in place of --blocks."),
    ] = None,
    default: Annotated[
        str,
        typer.Option(
            "--default",
            metavar="NAME",
            help="The branch that is meant where none is named; its first commit makes it.",
        ),
    ] = "main",
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Make a repository, in which versions of a hierarchy are kept."""
    from ipldstore.basics.urls import show_url
    from ipldstore.blockstore.pointers import check_pointer_name
    from ipldstore.cli.tools.blocks import open_blocks
    from ipldstore.history.names import check_ref_name
    from ipldstore.repository.repository import Repository

    check_pointer_name(repository, "a repository")
    check_ref_name(default)
    place = where if place is None else place
    with open_blocks(place, make=True) as blocks:
        state = Repository.create(blocks, repository, default=default).cid
        say(f"made repository {repository!r} in {blocks!r}: a commit makes branch {default!r}")
    show(
        {
            "blocks": show_url(place),
            "repository": repository,
            "default": default,
            "state": str(state),
        }
    )
