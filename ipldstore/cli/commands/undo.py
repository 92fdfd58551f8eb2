"""``ipldstore undo``: the last operation on a branch or tag is taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import say, show


def undo(
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="REF",
            show_default=False,
            help="The branch or tag; else that of the last operation of all.",
        ),
    ] = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Take the last operation on a branch or tag back; undoing twice brings it back."""
    from ipldstore.cli.tools.repositories import opened_repository
    from ipldstore.cli.work.operations import operation_facts, operation_line

    with opened_repository(where, repository) as repo:
        done = repo.undo(ref)
    say(f"undone: {done.kind} of {done.ref!r}, which is as before")
    show(operation_facts(done), operation_line(done))
