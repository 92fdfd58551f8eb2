"""``ipldstore log``: the versions that led to one."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Revision, Where
from ipldstore.cli.frame.output import show_each


def log(
    revision: Revision = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show those of all branches and tags.")
    ] = False,
    most: Annotated[
        int | None,
        typer.Option("--number", "-n", metavar="N", min=0, help="Show so many at most."),
    ] = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Draw the versions that led to a revision, the last first."""
    from ipldstore.cli.work.log import iter_log

    if every and revision is not None:
        raise typer.BadParameter("expected a REVISION or --all, not both")
    show_each(iter_log(revision, where, repository, every=every, most=most))
