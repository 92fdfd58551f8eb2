"""``ipldstore verify``: whether all under a root is there and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    RootOrAll,
    Where,
)
from ipldstore.cli.frame.output import show


def verify(
    what: RootOrAll = None,
    repair_from: Annotated[
        str | None,
        typer.Option(
            "--repair-from",
            metavar="STORE",
            help="Fetch blocks that are missing or corrupt from here, and put them in place.",
        ),
    ] = None,
    extra: Annotated[
        bool,
        typer.Option(
            "--extra", help="List the blocks that are not under it, also those of other roots."
        ),
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal", metavar="FILE", help="Note here what is sound, to go on if interrupted."
        ),
    ] = None,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Check that all blocks under a root, or of a repository, are there and sound.

    Exit codes: 0 all is well, 4 blocks are corrupt or malformed, 5 the block store cannot tell, 3
    blocks are missing and nothing else is wrong.
    """
    from ipldstore.cli.work.verify import Wanted, exit_code_of, problem_lines

    wanted = Wanted(repair_from, extra, journal)
    if what is None:
        report = wanted.verify_repository(where, repository)
    else:
        report = wanted.verify_hierarchy(what, where)
    show(report.as_dict(), *problem_lines(report))
    raise typer.Exit(exit_code_of(report))
