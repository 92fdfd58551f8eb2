"""``ipldstore merge``: what a revision changed, changed on a branch too."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    Author,
    Json,
    Metadata,
    OptionalMessage,
    RepositoryName,
    Where,
)
from ipldstore.cli.frame.output import show


def merge(
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="What to merge, as for show.")
    ],
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="BRANCH", help="The branch; else the default branch."),
    ] = None,
    message: OptionalMessage = None,
    ours: Annotated[
        bool, typer.Option("--ours", help="In conflicts, keep what the branch has.")
    ] = False,
    theirs: Annotated[
        bool, typer.Option("--theirs", help="In conflicts, take what the revision has.")
    ] = False,
    author: Author = None,
    metadata: Metadata = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Merge a revision into a branch, key by key.

    Exit codes: 0 it is merged, 1 both changed the same, a line for each, and nothing is done.
    """
    from ipldstore.cli.tools.repositories import read_metadata
    from ipldstore.cli.work.merge import merge_revision

    if ours and theirs:
        raise typer.BadParameter("expected one of --ours and --theirs, not both")
    resolve: Literal["ours", "theirs"] | None = "ours" if ours else "theirs" if theirs else None
    facts, lines = merge_revision(
        revision,
        into,
        where,
        repository,
        message=message,
        author=author,
        metadata=read_metadata(metadata),
        resolve=resolve,
    )
    show(facts, *lines)
    raise typer.Exit(1 if facts["conflicts"] else 0)
