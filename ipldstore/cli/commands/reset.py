"""``ipldstore reset``: a branch moves to another commit."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import say, show


def reset(
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch.")],
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="Where it goes, as for show.")
    ],
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Move a branch to a revision; undo moves it back."""
    from ipldstore.cli.tools.repositories import opened_repository

    with opened_repository(where, repository) as repo:
        commit = str(repo.reset(branch, revision))
    say(f"branch {branch!r} is at this commit now; `ipldstore undo {branch}` takes that back")
    show({"branch": branch, "commit": commit}, commit)
