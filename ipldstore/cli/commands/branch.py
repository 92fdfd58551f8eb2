"""``ipldstore branch``: the branches of a repository."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Revision, Where


def branch(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", show_default=False, help="The branch to make; else list them."
        ),
    ] = None,
    revision: Revision = None,
    delete: Annotated[
        bool, typer.Option("--delete", "-d", help="Delete the branch NAME instead.")
    ] = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """List branches, make one, which moves on with each commit, or delete one."""
    from ipldstore.cli.work.refs import run_refs

    run_refs("branch", name, revision, where, repository, delete=delete)
