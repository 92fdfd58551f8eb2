"""``ipldstore sessions`` and ``ipldstore abandon``: what is written and not committed."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import say, show, show_each


def sessions(
    repository: RepositoryName = REPOSITORY, where: Where = BLOCKS, json: Json = False
) -> None:
    """List what was written and is not committed: when last, ID, branch, by how many, size."""
    from ipldstore.cli.work.sessions import iter_sessions

    show_each(iter_sessions(where, repository))


def abandon(
    session: Annotated[
        str, typer.Argument(metavar="ID", help="The session, as `ipldstore sessions` lists it.")
    ],
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Let a session go with what was written in it; who still writes in it is refused."""
    from ipldstore.cli.work.sessions import abandon_session

    facts, line = abandon_session(where, repository, session)
    say("abandoned a session that was not committed")
    show(facts, line)
