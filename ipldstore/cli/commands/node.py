"""``ipldstore node``: an IPFS node that works on a folder of blocks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, Json
from ipldstore.cli.frame.output import count_text, say, show


def attach(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The folder that `ipfs init` made.")
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--blocks", metavar="DIR", envvar="IPLDSTORE_BLOCKS", help="The folder of blocks."
        ),
    ] = Path(BLOCKS),
    json: Json = False,
) -> None:
    """Have a stopped node keep its blocks in a folder of blocks, so that it serves them."""
    from ipldstore.backends.ipfs.repository import attach_repository

    copied = attach_repository(repository, folder)
    if copied:
        say(f"copied {count_text(copied, 'block')} of the node into {str(folder)!r}")
    say(f"the node in {str(repository)!r} now keeps its blocks in {str(folder)!r}")
    say("next: start it, and pin each root before anything collects garbage:")
    path = f"IPFS_PATH={shlex.quote(str(repository.absolute()))}"
    facts = {"repository": str(repository), "blocks": str(folder), "copied": copied}
    show(facts, f"{path} ipfs daemon", f"{path} ipfs pin add CID")
