"""``ipldstore unixfs`` and ``ipldstore publish --files``: hierarchies as plain files in IPFS."""

from __future__ import annotations

from contextlib import nullcontext

from ipldstore.cid import as_link
from ipldstore.cli.blocks import Extent, open_node, opened
from ipldstore.cli.reporting import say
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.store.publish import publish


def write_files(cid: str, blocks: str) -> str:
    """Keep the hierarchy under a root also as a UnixFS directory, and return the text of its CID.

    Parameters
    ----------
    cid
        The root, as in `opened`.
    blocks
        Where the blocks are, and where those of the directory go, as in `open_blocks`.
    """
    with opened(cid, blocks) as (backend, root):
        directory = HierarchyMapping(backend, root=root, read_only=True).to_unixfs()
        say(f"the hierarchy is plain files in {backend!r}, as 'ipfs add -r --hidden' would make it")
    return str(directory)


def read_files(cid: str, blocks: str) -> str:
    """Keep a UnixFS directory also as a hierarchy, and return the text of the root.

    Parameters
    ----------
    cid
        The directory, as in `opened`.
    blocks
        Where the blocks are, and where those of the hierarchy go, as in `open_blocks`.
    """
    with opened(cid, blocks) as (backend, directory):
        root = HierarchyMapping.from_unixfs(directory, backend).root_cid
        say(f"the plain files are a hierarchy in {backend!r}")
    return str(root)


def publish_files(
    cid: str,
    blocks: str,
    node: str | None,
    *,
    name: str | None,
    key: str | None,
    replace: str | None,
    announce: bool,
) -> str:
    """Publish a hierarchy as plain files, and return the text of the directory's CID.

    Parameters
    ----------
    cid, blocks
        As in `write_files`.
    node, name, key, replace, announce
        As in `publish_root`.
    """
    directory = write_files(cid, blocks)
    where = nullcontext() if node is None else open_node(node)
    with where as target, opened(directory, blocks) as (backend, link):
        done = publish(
            link, backend, target, name=name, key=key, replace=replace, announce=announce
        )
    sent = done.sent
    say(f"sent {Extent(sent.blocks, sent.bytes)}; the node had {sent.skipped:,} already")
    if done.reason is not None:
        say(f"not announced: {done.reason}")
    if done.ipns is not None:
        say(f"ipns://{done.ipns} points at it")
    say(f"read it with: ipfs get {directory}, or any gateway at /ipfs/{directory}")
    return str(as_link(done.root))
