"""``ipldstore unixfs``: hierarchies as plain files in IPFS, and back."""

from __future__ import annotations

from ipldstore.cli.blocks import opened
from ipldstore.cli.reporting import say
from ipldstore.store.mapping import HierarchyMapping


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
