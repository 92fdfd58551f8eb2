"""``ipldstore publish``: an IPFS node keeps and offers a hierarchy."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    Json,
    MaxBytes,
    MaxFiles,
    Node,
    PinName,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show


def publish(
    what: Root,
    name: PinName = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="Point the IPNS name of this key at the root, made if there is none; self is the "
            "node's own.",
        ),
    ] = None,
    replace: Annotated[
        str | None,
        typer.Option("--replace", metavar="CID", help="A root whose pin this one takes over."),
    ] = None,
    announce: Annotated[
        bool, typer.Option("--announce/--no-announce", help="Tell the network at once.")
    ] = True,
    files: Annotated[
        bool,
        typer.Option("--files", help="Publish it as plain files instead, see unixfs."),
    ] = False,
    max_files: MaxFiles = None,
    max_bytes: MaxBytes = None,
    node: Node = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Have an IPFS node keep and offer a hierarchy."""
    from ipldstore.cli.work.publish import publish_root

    done = publish_root(
        what,
        where,
        node,
        name=name,
        key=key,
        replace=replace,
        announce=announce,
        files=files,
        max_files=max_files,
        max_bytes=max_bytes,
    )
    show(done, done["root"])
