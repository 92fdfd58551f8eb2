"""``ipldstore roots``: what is in a block store, and nothing there names."""

from __future__ import annotations

from ipldstore.cli.frame.options import BLOCKS, Json, Where
from ipldstore.cli.frame.output import say, show_each


def roots(where: Where = BLOCKS, json: Json = False) -> None:
    """List what no repository in --blocks leads to, the last first: kind, time, CID, arrays.

    Not listed is what a repository leads to, now or in an earlier state (see log --all and
    operations), what another block names, such as an earlier commit, and the root of a CAR file.
    """
    from ipldstore.cli.work.roots import NOT_LISTED, iter_unnamed

    show_each(iter_unnamed(where))
    say(NOT_LISTED)
