"""What is in a hierarchy: `ls`, `tree`, `info`, `cat`, `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.options import BLOCKS, AllowPadding, Blocks, Json, Root


def list_(
    root: Root,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="Show sizes of directories, and CIDs.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="List all below.")] = False,
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """List a hierarchy: kind, size in bytes and name."""
    from ipldstore.cli.listing import iter_listing
    from ipldstore.cli.output import show_each

    show_each(iter_listing(root, blocks, long=long, recursive=recursive))


def tree(
    root: Root,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth", metavar="N", min=0, help="Show so many levels below the root; else all."
        ),
    ] = None,
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Draw the groups and arrays of a hierarchy."""
    from ipldstore.cli.output import show
    from ipldstore.cli.tree import draw_tree

    facts, lines = draw_tree(root, blocks, depth)
    show(facts, *lines)


def info(
    root: Root, allow_padding: AllowPadding = False, blocks: Blocks = BLOCKS, json: Json = False
) -> None:
    """Say how much a hierarchy holds and where it is."""
    from ipldstore.cli.info import measure_hierarchy
    from ipldstore.cli.output import show

    facts, lines = measure_hierarchy(root, blocks)
    show(facts, *lines)


def cat(
    key: Annotated[
        str,
        typer.Argument(
            metavar="ROOT/KEY", help="The hierarchy, as in ls, and the key of a value in it."
        ),
    ],
    allow_padding: AllowPadding = False,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write one value to standard output, byte for byte."""
    from ipldstore.cli.cat import write_value

    write_value(key, blocks)


def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The hierarchy before, as ROOT in other commands.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The hierarchy after.")],
    stat: Annotated[
        bool, typer.Option("--stat", help="Count the changes of each array instead.")
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
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Show the keys that were added, removed or changed."""
    from ipldstore.cli import diff as work
    from ipldstore.cli.output import show, show_each

    if plot is not None and stat:
        raise typer.BadParameter("expected one of --stat and --plot, not both")
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise typer.BadParameter(f"expected FILE.png or FILE.svg after --plot, not {str(plot)!r}")
    with work.opened_pair(old, new, blocks) as pair:
        if plot is not None:
            show(work.plot(pair, plot, array))
            return
        changes = work.iter_changes(pair, array)
        if stat:
            facts, lines = work.sum_up(changes)
            show(facts, *lines)
        else:
            show_each(work.iter_entries(changes))
