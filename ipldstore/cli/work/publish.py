"""``ipldstore publish``: a node keeps and offers a root."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from ipldstore.backends.ipfs.store import IPFSStore
from ipldstore.backends.layers.union import UnionCAStore
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import as_link, to_text
from ipldstore.cli.frame.interruption import AGAIN, interruptible
from ipldstore.cli.frame.output import say
from ipldstore.cli.tools.blocks import Extent, measure_local, open_node
from ipldstore.cli.tools.progress import as_totals, progress
from ipldstore.cli.tools.roots import opened
from ipldstore.cli.work.unixfs import write_files
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.publish import Published, publish


def publish_root(
    what: str,
    where: str,
    node: str | None,
    *,
    name: str | None,
    key: str | None,
    replace: str | None,
    announce: bool,
    files: bool = False,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> dict[str, Any]:
    """Publish a root, or its plain files, on a node, tell what was done, and return it.

    If `node` is None, it is that of the blocks if they are in one, else the local one.
    """
    if files:
        what = write_files(what, where, max_files=max_files, max_bytes=max_bytes)
    with (
        interruptible(f"what was sent stays on the node, nothing is pinned or named yet; {AGAIN}"),
        nullcontext() if node is None else open_node(node) as target,
        opened(what, where) as (blocks, root),
    ):
        if not files:
            Hierarchy(blocks, root=root, read_only=True)  # refuses what is none
        extent = measure_local(blocks, root)
        with progress("sending", None if extent is None else extent.size) as advance:
            published = publish(
                root,
                blocks,
                target or _node_in(blocks),
                name=name,
                key=key,
                replace=replace,
                announce=announce,
                progress=as_totals(advance),
            )
    _tell(published, files)
    link = as_link(published.root)
    facts = published._asdict()
    return {**facts, "root": to_text(link), "sent": published.sent._asdict()}


def _node_in(blocks: ContentAddressableStore) -> IPFSStore | None:
    """Return the node that has the blocks of a part of a hierarchy, see `opened`."""
    stores = blocks.stores if isinstance(blocks, UnionCAStore) else ()
    return next((store for store in stores if isinstance(store, IPFSStore)), None)


def _tell(published: Published, files: bool) -> None:
    sent = published.sent
    say(f"sent {Extent(sent.blocks, sent.bytes)}; the node had {sent.skipped:,} already")
    say("pinned" if published.name is None else f"pinned as {published.name!r}")
    if published.announced:
        say("announced to the network")
    elif published.reason is not None:
        say(f"not announced: {published.reason}")
    place = to_text(as_link(published.root))
    if published.ipns is not None:
        say(f"ipns://{published.ipns} points at it")
    if files:
        say(f"read it with: ipfs get {place}, or any gateway at /ipfs/{place}")
        return
    say("to get it elsewhere, with a node and without one:")
    say(f"  ipldstore get {place} dataset.nc --blocks ipfs:")
    say(f"  ipldstore get {place} dataset.nc --blocks gateway:")
