"""``ipldstore unixfs``: hierarchies as plain files in IPFS, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.output import say
from ipldstore.cli.tools.blocks import open_blocks
from ipldstore.cli.tools.roots import opened
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.plain import write_plain
from ipldstore.transfer import copy_root


def write_files(
    what: str, where: str, *, max_files: int | None = None, max_bytes: int | None = None
) -> str:
    """Keep a hierarchy also as a UnixFS directory, where it is, and return the text of its CID."""
    with _brought(what, where) as (blocks, root):
        directory = write_plain(blocks, root, max_files=max_files, max_bytes=max_bytes)
        blocks.flush()
        say(f"the hierarchy is plain files in {blocks!r}, as 'ipfs add -r --hidden' would make it")
    return to_text(directory)


def read_files(what: str, where: str, *, max_files: int | None = None) -> str:
    """Keep a UnixFS directory also as a hierarchy, where it is, and return the text of the root."""
    with _brought(what, where) as (blocks, directory):
        root = Hierarchy.from_unixfs(directory, blocks, max_keys=max_files).root_cid
        say(f"the plain files are a hierarchy in {blocks!r}")
    return str(root)


@contextmanager
def _brought(what: str, where: str) -> Iterator[tuple[ContentAddressableStore, Link]]:
    """Open the block store to work in, which gets what only a CAR file has."""
    with (
        interruptible(KEPT),
        opened(what, where) as (source, root),
        open_blocks(where, make=True) as blocks,
    ):
        if source != blocks:
            copy_root(root, source, blocks)
        yield blocks, root
