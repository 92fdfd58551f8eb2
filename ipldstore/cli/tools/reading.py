"""The progress of reading a hierarchy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.cli.tools.blocks import Extent
from ipldstore.cli.tools.progress import is_watched, progress
from ipldstore.dag import iter_dag


@contextmanager
def watched_reading(
    label: str, blocks: ContentAddressableStore, root: Link, extent: Extent | None
) -> Iterator[ContentAddressableStore]:
    """Give a block store to read all under a root from, which shows the progress of that."""
    if not is_watched():
        yield blocks
        return
    from ipldstore.cli.tools.watching import WatchedCAStore

    if extent is None:
        with progress(label, _count(blocks, root), unit="blocks") as advance:
            yield WatchedCAStore(blocks, lambda size: advance(1))
    else:
        with progress(label, extent.size) as advance:
            yield WatchedCAStore(blocks, advance)


def _count(blocks: ContentAddressableStore, root: Link) -> int:
    count = 0
    with progress("counting", None, unit="blocks") as advance:
        for _ in iter_dag(root, blocks.get_block):
            count += 1
            advance(1)
    return count
