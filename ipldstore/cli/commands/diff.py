"""``ipldstore diff``: the keys in which two hierarchies differ."""

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
    Where,
)
from ipldstore.cli.frame.output import show, show_each


def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The hierarchy before, as ROOT in other commands.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The hierarchy after.")],
    stat: Annotated[
        bool, typer.Option("--stat", help="Count the changes of each array instead.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Say what changed of each group and array instead, and where."
        ),
    ] = False,
    array: Annotated[
        str | None, typer.Option("--array", metavar="PATH", help="Only what is in this array.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw which chunks changed instead: FILE.png or FILE.svg.",
        ),
    ] = None,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Show the keys that were added, removed or changed."""
    from ipldstore.cli.work import diff as work

    if (plot is not None) + stat + report > 1:
        raise typer.BadParameter("expected one of --stat, --report and --plot, not several")
    if report and array is not None:
        raise typer.BadParameter("--report tells of all arrays: expected no --array")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise typer.BadParameter(f"expected FILE.png or FILE.svg after --plot, not {str(plot)!r}")
    with work.opened_pair(old, new, where) as pair:
        if plot is not None:
            show(work.plot(pair, plot, array))
            return
        if report:
            show(*work.tell(pair))
            return
        changes = work.iter_changes(pair, array)
        if stat:
            facts, lines = work.sum_up(changes)
            show(facts, *lines)
        else:
            show_each(work.iter_entries(changes))
