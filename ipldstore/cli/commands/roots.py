"""``ipldstore roots``: what is in a block store, and nothing there names."""

from __future__ import annotations

from ipldstore.cli.frame.options import BLOCKS, Json, Where
from ipldstore.cli.frame.output import show_each


def roots(where: Where = BLOCKS, json: Json = False) -> None:
    """List what no repository in --blocks leads to, the last first: kind, time, CID, arrays."""
    from ipldstore.cli.work.roots import iter_unnamed

    show_each(iter_unnamed(where))
