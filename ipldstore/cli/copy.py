"""``ipldstore copy``: from one block store to another."""

from __future__ import annotations

from typing import Any

from ipldstore.cid import to_text
from ipldstore.cli.blocks import Extent, measure_local, open_blocks
from ipldstore.cli.interruption import KEPT, interruptible
from ipldstore.cli.output import say
from ipldstore.cli.progress import as_totals, progress
from ipldstore.cli.roots import opened
from ipldstore.transfer import copy_root
from ipldstore.urls import show_url


def copy_hierarchy(what: str, target: str, blocks: str) -> dict[str, Any]:
    """Copy the blocks under a root that another block store lacks, and return what was done.

    Parameters
    ----------
    what, blocks
        The hierarchy, as in `opened`.
    target
        The other block store, as in `open_blocks`; made if there is none.
    """
    with (
        interruptible(KEPT),
        opened(what, blocks) as (source, root),
        open_blocks(target, make=True) as backend,
    ):
        extent = measure_local(source, root)
        with progress("copying", None if extent is None else extent.size) as advance:
            copied = copy_root(root, source, backend, progress=as_totals(advance))
        backend.note_root(root)
        moved = Extent(copied.blocks, copied.bytes)
        say(f"copied {moved}, into {backend!r}; it had {copied.skipped:,} already")
    return {"root": to_text(root), "target": show_url(target), **copied._asdict()}
