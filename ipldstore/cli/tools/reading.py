"""The progress of reading a hierarchy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipldstore.cid import Link
from ipldstore.cli.tools.blocks import Extent
from ipldstore.cli.tools.progress import is_watched, progress
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag


@contextmanager
def watched_reading(
    label: str, backend: ContentAddressableStore, root: Link, extent: Extent | None
) -> Iterator[ContentAddressableStore]:
    """Show the progress of reading all blocks under a root.

    Parameters
    ----------
    label
        What is going on.
    backend, root
        The block store and the root.
    extent
        How much there is under the root; if that is not known, blocks are counted.

    Yields
    ------
    ContentAddressableStore
        What to read from instead.
    """
    if not is_watched():
        yield backend
        return
    from ipldstore.cli.tools.watching import WatchedCAStore

    if extent is None:
        with progress(label, _count(backend, root), unit="blocks") as advance:
            yield WatchedCAStore(backend, lambda size: advance(1))
    else:
        with progress(label, extent.size) as advance:
            yield WatchedCAStore(backend, advance)


def _count(backend: ContentAddressableStore, root: Link) -> int:
    count = 0
    with progress("counting", None, unit="blocks") as advance:
        for _ in iter_dag(root, backend.get_block):
            count += 1
            advance(1)
    return count
