"""IPFS nodes: `publish`, `unixfs`, `pin`, `node`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.options import (
    BLOCKS,
    Blocks,
    Json,
    MaxBytes,
    MaxFiles,
    Node,
    NodeRoot,
    PinName,
    Root,
    Service,
)


def publish(
    root: Root,
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
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Have an IPFS node keep and offer a hierarchy."""
    from ipldstore.cli.output import show
    from ipldstore.cli.publish import publish_root

    done = publish_root(
        root,
        blocks,
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


def unixfs(
    root: Root,
    read: Annotated[
        bool,
        typer.Option("--read", help="The other way: ROOT is a directory of plain files."),
    ] = False,
    max_files: MaxFiles = None,
    max_bytes: MaxBytes = None,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Keep a hierarchy also as plain files; print their CID.

    Any IPFS program and any gateway reads them.
    """
    from ipldstore.cli.output import show
    from ipldstore.cli.unixfs import read_files, write_files

    if read:
        cid = read_files(root, blocks, max_files=max_files)
    else:
        cid = write_files(root, blocks, max_files=max_files, max_bytes=max_bytes)
    show({"cid": cid}, cid)


def pin_add(
    root: NodeRoot,
    name: PinName = None,
    node: Node = None,
    service: Service = None,
    json: Json = False,
) -> None:
    """Keep all blocks under a root, fetching those that are missing."""
    from ipldstore.cli.output import show
    from ipldstore.cli.pin import add_pin

    show(add_pin(root, name, node, service))


def pin_ls(
    name: PinName = None, node: Node = None, service: Service = None, json: Json = False
) -> None:
    """List the pins: CID, at a service its status, and name."""
    from ipldstore.cli.output import show_each
    from ipldstore.cli.pin import iter_pins

    show_each(iter_pins(name, node, service))


def pin_rm(root: NodeRoot, node: Node = None, service: Service = None, json: Json = False) -> None:
    """Keep the blocks under a root no longer; they go when the node collects garbage."""
    from ipldstore.cli.output import show
    from ipldstore.cli.pin import remove_pin

    show(remove_pin(root, node, service))


def pin_update(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The root that is pinned.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The root to pin in its place.")],
    name: PinName = None,
    node: Node = None,
    json: Json = False,
) -> None:
    """Keep a new root in the place of an old one."""
    from ipldstore.cli.output import show
    from ipldstore.cli.pin import update_pin

    show(update_pin(old, new, name, node))


def node_attach(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The folder that `ipfs init` made.")
    ],
    blocks: Annotated[
        Path,
        typer.Option(
            "--blocks", metavar="DIR", envvar="IPLDSTORE_BLOCKS", help="The folder of blocks."
        ),
    ] = Path(BLOCKS),
    json: Json = False,
) -> None:
    """Have a stopped node keep its blocks in a folder of blocks, so that it serves them."""
    from ipldstore.cli.repository import attach_node

    attach_node(repository, blocks)
