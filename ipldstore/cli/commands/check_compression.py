"""``ipldstore check-compression``: whether chunks would be compressed to equal bytes again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ipldstore.basics.words import printable
from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Root, Where
from ipldstore.cli.frame.output import show

if TYPE_CHECKING:
    from ipldstore.compression import CompressionCheck


def check_compression(
    what: Root,
    chunks: Annotated[
        int,
        typer.Option("--chunks", metavar="N", min=1, help="How many chunks of each array to try."),
    ] = 3,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Check whether chunks depend on the number of threads.

    Exit codes: 0 it does not, 1 it does.
    """
    from ipldstore import compression
    from ipldstore.cli.tools.roots import opened

    with opened(what, where) as (blocks, root):
        checks = compression.check_compression(root, blocks, chunks=chunks)
    is_stable = all(check.verdict != "differs" for check in checks)
    facts = {"ok": is_stable, "arrays": [check.as_dict() for check in checks]}
    show(facts, *map(_line, checks))
    raise typer.Exit(0 if is_stable else 1)


def _line(check: CompressionCheck) -> str:
    path = printable(check.path) or "."
    return f"{check.verdict:13} {path}: {printable(check.codec)}; {printable(check.message)}"
