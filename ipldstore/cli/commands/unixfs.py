"""``ipldstore unixfs``: a hierarchy as plain files in IPFS, and back."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    Json,
    MaxBytes,
    MaxFiles,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show


def unixfs(
    what: Root,
    read: Annotated[
        bool,
        typer.Option("--read", help="The other way: ROOT is a directory of plain files."),
    ] = False,
    max_files: MaxFiles = None,
    max_bytes: MaxBytes = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Keep a hierarchy also as plain files; print their CID.

    Any IPFS program and any gateway reads them.
    """
    from ipldstore.cli.work.unixfs import read_files, write_files

    if read:
        cid = read_files(what, where, max_files=max_files)
    else:
        cid = write_files(what, where, max_files=max_files, max_bytes=max_bytes)
    show({"cid": cid}, cid)
