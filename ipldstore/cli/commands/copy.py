"""``ipldstore copy``: from one block store to another."""

from __future__ import annotations

from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    Root,
    Store,
    Where,
)
from ipldstore.cli.frame.output import say, show


def copy(
    what: Root,
    target: Store,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Copy the blocks that another block store lacks."""
    from ipldstore.basics.urls import show_url
    from ipldstore.cid import to_text
    from ipldstore.cli.tools.blocks import Extent, measure_local, open_blocks
    from ipldstore.cli.tools.progress import as_totals, progress
    from ipldstore.cli.tools.roots import opened
    from ipldstore.transfer import copy_root

    with (
        interruptible(KEPT),
        opened(what, where) as (source, root),
        open_blocks(target, make=True) as blocks,
    ):
        extent = measure_local(source, root)
        with progress("copying", None if extent is None else extent.size) as advance:
            copied = copy_root(root, source, blocks, progress=as_totals(advance))
        blocks.note_root(root)
        moved = Extent(copied.blocks, copied.bytes)
        say(f"copied {moved}, into {blocks!r}; it had {copied.skipped:,} already")
    text = to_text(root)
    show({"root": text, "target": show_url(target), **copied._asdict()}, text)
