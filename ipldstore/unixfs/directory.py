"""UnixFS directories: written as ``ipfs add`` writes them, and read in every form.

In the ``unixfs-v1-2025`` profile a directory is one block, its links sorted by name, as long as
that block has at most 256 KiB; else it is sharded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ipldstore.cid import Link, to_text
from ipldstore.errors import InvalidNodeError
from ipldstore.unixfs.hamt import iter_shard, write_shard
from ipldstore.unixfs.nodes import (
    DIRECTORY_TYPE,
    SHARD_TYPE,
    Node,
    PBLink,
    Put,
    encode_directory,
    encode_link,
    encode_node,
)

MAX_DIRECTORY_BLOCK_BYTES = 256 << 10
"""Bytes of the block of a directory that is not sharded, in the profile."""


def write_directory(children: Sequence[PBLink], put: Put) -> tuple[Link, int]:
    """Keep a directory of children in any order, each name there once, every size known.

    Returns its CID, and the size of all blocks under it, each counted as often as it is linked to.
    """
    if not _fits(children):
        return write_shard(children, put)
    ordered = sorted(children, key=lambda child: child.name)
    block = encode_node(map(_encode, ordered), encode_directory())
    return put(block, "dag-pb"), len(block) + sum(child.size or 0 for child in children)


def _encode(child: PBLink) -> bytes:
    return encode_link(child.link, child.name, child.size or 0)


def _fits(children: Sequence[PBLink]) -> bool:
    """Whether the directory may be one block, told without making a block that may not be."""
    size = len(encode_node((), encode_directory()))
    for child in children:
        size += len(_encode(child))
        if size > MAX_DIRECTORY_BLOCK_BYTES:
            return False
    return True


def iter_directory(link: Link, node: Node, load: Callable[[Link], bytes]) -> Iterator[PBLink]:
    """Iterate what is in a directory, in the order of its blocks."""
    if node.type == SHARD_TYPE:
        yield from iter_shard(link, node, load)
        return
    if node.type != DIRECTORY_TYPE:
        raise InvalidNodeError(
            f"block {to_text(link)} is of a UnixFS {node.kind}, expected a directory"
        )
    if len({child.name for child in node.links}) != len(node.links):
        raise InvalidNodeError(f"block {to_text(link)}: directory with a name that comes twice")
    yield from node.links
