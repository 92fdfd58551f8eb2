"""``ipldstore push``, ``pull`` and ``clone``: history is carried between repositories."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import show

_Other = Annotated[
    str,
    typer.Argument(
        metavar="STORE", show_default=False, help="Where the other repository of this name is."
    ),
]
_Revision = Annotated[
    str | None,
    typer.Argument(
        metavar="REVISION",
        show_default=False,
        help="The branch or tag; else the default branch. With --to, any revision.",
    ),
]
_To = Annotated[
    str | None,
    typer.Option("--to", metavar="BRANCH", help="The branch to move, if not of the same name."),
]
_Depth = Annotated[
    int | None,
    typer.Option(
        "--depth",
        metavar="N",
        min=1,
        help="How many commits, counted along parents; those before them are let go there.",
    ),
]
_Force = Annotated[
    bool,
    typer.Option("--force", help="Move the branch also where that lets commits of it go."),
]


def push(
    other: _Other,
    revision: _Revision = None,
    to: _To = None,
    depth: _Depth = None,
    force: _Force = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Carry a branch or tag to another repository, with the blocks that it lacks."""
    from ipldstore.cli.work.carry import carry

    facts = carry("push", other, where, repository, revision, to=to, depth=depth, force=force)
    show(facts, facts["commit"])


def pull(
    other: _Other,
    revision: _Revision = None,
    to: _To = None,
    depth: _Depth = None,
    force: _Force = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Carry a branch or tag from another repository, with the blocks that this one lacks."""
    from ipldstore.cli.work.carry import carry

    facts = carry("pull", other, where, repository, revision, to=to, depth=depth, force=force)
    show(facts, facts["commit"])


def clone(
    source: Annotated[
        str,
        typer.Argument(metavar="STORE", show_default=False, help="Where the other repository is."),
    ],
    depth: _Depth = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Make a repository with all branches, tags and commits of another one."""
    from ipldstore.cli.work.carry import clone_repository

    facts = clone_repository(source, where, repository, depth)
    show(facts, facts["state"])
