"""Set an IPFS node up on a folder of blocks."""

from __future__ import annotations

import shlex
from pathlib import Path

from ipldstore.backends.ipfs.repository import attach_repository
from ipldstore.cli.output import count_text, say, show


def attach_node(repository: Path, blocks: Path) -> None:
    """Make a stopped node keep its blocks in a folder of blocks, and say what to do next.

    Parameters
    ----------
    repository
        The node's repository, made by ``ipfs init``.
    blocks
        The folder of blocks.

    Raises
    ------
    BackendError
        As `attach_repository`.
    """
    copied = attach_repository(repository, blocks)
    if copied:
        say(f"copied {count_text(copied, 'block')} of the node into {str(blocks)!r}")
    say(f"the node in {str(repository)!r} now keeps its blocks in {str(blocks)!r}")
    say("next: start it, and pin each root before anything collects garbage:")
    path = f"IPFS_PATH={shlex.quote(str(repository.absolute()))}"
    facts = {"repository": str(repository), "blocks": str(blocks), "copied": copied}
    show(facts, f"{path} ipfs daemon", f"{path} ipfs pin add CID")
