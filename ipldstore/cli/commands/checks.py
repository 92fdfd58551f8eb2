"""Whether all is well: `verify`, `check-compression`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.options import BLOCKS, AllowPadding, Blocks, Json, Root


def verify(
    root: Root,
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
            "--extra", help="List the blocks that are not under the root, also those of others."
        ),
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal", metavar="FILE", help="Note here what is sound, to go on if interrupted."
        ),
    ] = None,
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Check that all blocks under a root are there and sound.

    Exit codes: 0 all is well, 4 blocks are corrupt or malformed, 5 the block store cannot tell, 3
    blocks are missing and nothing else is wrong.
    """
    from ipldstore.cli.output import show
    from ipldstore.cli.verify import exit_code_of, problem_lines, verify_hierarchy

    report = verify_hierarchy(root, blocks, repair_from=repair_from, extra=extra, journal=journal)
    show(report.as_dict(), *problem_lines(report))
    raise typer.Exit(exit_code_of(report))


def check_compression(
    root: Root,
    chunks: Annotated[
        int,
        typer.Option("--chunks", metavar="N", min=1, help="How many chunks of each array to try."),
    ] = 3,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Check whether chunks depend on the number of threads.

    Exit codes: 0 it does not, 1 it does.
    """
    from ipldstore.cli.compression import check_hierarchy
    from ipldstore.cli.output import show

    is_stable, facts, lines = check_hierarchy(root, blocks, chunks)
    show(facts, *lines)
    raise typer.Exit(0 if is_stable else 1)
