"""A whole history on an IPFS node: its blocks, its pins, its name."""

from __future__ import annotations

from typing import NamedTuple

from ipldstore.backends.ipfs.names import announce as announce_root
from ipldstore.backends.ipfs.names import publish_name
from ipldstore.backends.ipfs.pinning import Pins
from ipldstore.backends.ipfs.store import IPFSStore
from ipldstore.formats.cidobject import CID
from ipldstore.repository.carrying import Carrier
from ipldstore.repository.versions import Versions
from ipldstore.store.publish import opened_node
from ipldstore.transfer import Copied, Progress


class PublishedHistory(NamedTuple):
    """What the publication of a repository did.

    Attributes
    ----------
    state : CID
        The state that was published: it names all branches, tags and commits.
    commits : int
        How many commits the node keeps of it.
    sent : Copied
        What the node lacked.
    ipns : str or None
        The IPNS name that points at the state, such as ``k51...``, if one was asked for.
    announced : bool
        Whether the network was told.
    reason : str or None
        Why it was not; None also if that was not asked for.
    """

    state: CID
    commits: int
    sent: Copied
    ipns: str | None
    announced: bool
    reason: str | None


def publish_history(
    versions: Versions,
    node: IPFSStore | str | None,
    *,
    key: str | None,
    announce: bool,
    progress: Progress | None,
) -> PublishedHistory:
    """Have a node keep and offer all versions of a repository, as it is now.

    Roots are pinned with all that they lead to. Commits and the state are pinned alone, as parents
    that are let go are missing.
    """
    with opened_node(node, versions.blocks) as target:
        link, state = versions.read()
        carrier = Carrier(versions, Versions(target, versions.name), None, None, progress)
        sent = carrier.copy_all(state)
        target.put_block(link, state.encode())
        target.flush()
        graph = versions.graph(state)
        pins = Pins(target.rpc)
        pins.add_all((graph.commit(commit).root for commit in carrier.commits), recursive=True)
        pins.add_all([*carrier.commits, link], recursive=False)
        ipns = None if key is None else publish_name(target.rpc, link, key)
        announced, reason = announce_root(target.rpc, link) if announce else (False, None)
    return PublishedHistory(CID(link), len(carrier.commits), sent, ipns, announced, reason)
