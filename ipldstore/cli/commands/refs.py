"""``ipldstore branch`` and ``ipldstore tag``: the names for commits of a repository."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Revision, Where

Name: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", show_default=False, help="The one to make; without, they are listed."
    ),
]
Delete: TypeAlias = Annotated[
    bool, typer.Option("--delete", "-d", help="Delete the one called NAME instead.")
]


def branch(
    name: Name = None,
    revision: Revision = None,
    delete: Delete = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """List branches, make one, which moves on with each commit, or delete one."""
    from ipldstore.cli.work.refs import run_refs

    run_refs("branch", name, revision, where, repository, delete=delete)


def tag(
    name: Name = None,
    revision: Revision = None,
    delete: Delete = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """List tags, make one, which stays at its commit, or delete one."""
    from ipldstore.cli.work.refs import run_refs

    run_refs("tag", name, revision, where, repository, delete=delete)
