"""How many chunks of each array a hierarchy names, as far as it can be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.errors import IPLDStoreError, LimitExceededError
from ipldstore.limits import MAX_EXPANSION
from ipldstore.model.outline import Spent, make_outline
from ipldstore.tree.decode import decode_directory
from ipldstore.verifying.report import ChunkCount

_FEW_LOADS = 1000


def count_chunks(
    root: Link,
    blocks: ContentAddressableStore,
    kept: Mapping[Link, bytes],
    broken: Collection[str],
) -> dict[str, ChunkCount] | None:
    """Count the chunks of each array, which takes the directories and no values.

    `kept` are blocks of directories that are in memory. What is below `broken` ones is left out.
    Returns what is in `VerifyReport`.
    """
    loads = count(1)
    loaded: set[Link] = set()

    def load(link: Link) -> bytes:
        loaded.add(link)
        if next(loads) > _FEW_LOADS + MAX_EXPANSION * len(loaded):
            raise LimitExceededError("a few directories stand for far more")
        if to_text(link) in broken:
            raise Spent
        try:
            return kept.get(link) or blocks.get_block(link)
        except (IPLDStoreError, OSError):
            raise Spent from None

    try:
        top = decode_directory(root, load(root), root=True)
        outline = make_outline(top, load, lambda _: None)
    except (Spent, IPLDStoreError):
        return None
    arrays = sorted((node.path, node) for node in outline.walk() if node.kind == "array")
    return {path: ChunkCount(node.chunks_present, node.chunks_possible) for path, node in arrays}
