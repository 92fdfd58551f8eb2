"""``ipldstore publish``: a node keeps and offers a root."""

from __future__ import annotations

from contextlib import nullcontext

from ipldstore.cid import as_link
from ipldstore.cli.blocks import Extent, open_node, opened
from ipldstore.cli.reporting import say
from ipldstore.cli.unixfs import write_files
from ipldstore.store.publish import Published, publish


def publish_root(
    cid: str,
    blocks: str,
    node: str | None,
    *,
    name: str | None,
    key: str | None,
    replace: str | None,
    announce: bool,
    files: bool = False,
) -> str:
    """Publish a root on a node, tell what was done, and return the text of the root.

    Parameters
    ----------
    cid
        The root, as in `opened`.
    blocks
        Where the blocks are, as in `open_blocks`.
    node
        Address of the node. If None: that of the blocks if they are in one, else the local one.
    name, key, replace, announce
        As in `publish`.
    files
        Whether to publish the hierarchy as plain files, whose directory is the root then.
    """
    if files:
        cid = write_files(cid, blocks)
    where = nullcontext() if node is None else open_node(node)
    with where as target, opened(cid, blocks) as (backend, root):
        published = publish(
            root, backend, target, name=name, key=key, replace=replace, announce=announce
        )
    _tell(published, files)
    return str(as_link(published.root))


def _tell(published: Published, files: bool) -> None:
    sent = published.sent
    say(f"sent {Extent(sent.blocks, sent.bytes)}; the node had {sent.skipped:,} already")
    say("pinned" if published.name is None else f"pinned as {published.name!r}")
    if published.announced:
        say("announced to the network")
    elif published.reason is not None:
        say(f"not announced: {published.reason}")
    place = str(as_link(published.root))
    if published.ipns is not None:
        say(f"ipns://{published.ipns} points at it")
    if files:
        say(f"read it with: ipfs get {place}, or any gateway at /ipfs/{place}")
        return
    say(f"a colleague opens it with: ipldstore get {place} dataset.nc --blocks ipfs:")
    say(f"or without a node: ipldstore get {place} dataset.nc --blocks gateway:")
