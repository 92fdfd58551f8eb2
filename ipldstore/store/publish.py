"""Publish a root on an IPFS node: blocks, pin, name, announcement, in this order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ipldstore.backends.ipfs.names import announce as announce_root
from ipldstore.backends.ipfs.names import publish_name
from ipldstore.backends.ipfs.pinning import Pins
from ipldstore.backends.ipfs.store import IPFSStore
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, Link
from ipldstore.transfer import Copied, Progress, copy_root

if TYPE_CHECKING:
    from ipldstore.formats.cidobject import CID


class Published(NamedTuple):
    """What a publication did.

    Attributes
    ----------
    root : CID
        What was published.
    name : str or None
        The name of the pin that was asked for.
    sent : Copied
        What the node lacked.
    ipns : str or None
        The IPNS name that points at the root, such as ``k51...``, if one was asked for.
    announced : bool
        Whether the network was told.
    reason : str or None
        Why it was not; None also if that was not asked for.
    """

    root: CID
    name: str | None
    sent: Copied
    ipns: str | None
    announced: bool
    reason: str | None


def publish(
    root: CIDLike,
    source: ContentAddressableStore,
    node: IPFSStore | str | None = None,
    *,
    name: str | None = None,
    key: str | None = None,
    replace: CIDLike | None = None,
    announce: bool = True,
    progress: Progress | None = None,
) -> Published:
    """Have a node keep and offer all blocks under a root.

    Only blocks that the node lacks are sent. What fails leaves nothing half done: without all
    blocks there is no pin, and without the pin no name points at the root.

    Parameters
    ----------
    root
        The root CID.
    source
        Where its blocks are.
    node
        The node, or its address. If None: the source if that is a node, else the local node.
    name
        The name of the pin, at most 255 bytes.
    key
        The IPNS key whose name is to point at the root, made if there is none; ``"self"`` is the
        node's own.
    replace
        A root that is pinned, such as the earlier version, and will be no more.
    announce
        Whether to tell the network.
    progress
        As in `copy_root`, of what is sent.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had from the source.
    BackendError
        If the node cannot be reached or fails, or `replace` is not pinned.

    Examples
    --------
    >>> from ipldstore import IPLDStore
    >>> store = IPLDStore(root="bafyrei...")  # doctest: +SKIP
    >>> store.publish(name="my dataset").announced  # doctest: +SKIP
    True
    """
    with opened_node(node, source) as target:
        link = source.resolve(root)
        sent = Copied(0, 0, 0)
        if source != target:
            sent = copy_root(link, source, target, progress=progress)
        target.flush()
        _pin(Pins(target.rpc), link, name, replace)
        ipns = None if key is None else publish_name(target.rpc, link, key)
        announced, reason = announce_root(target.rpc, link) if announce else (False, None)
    from ipldstore.formats.cidobject import to_cid

    return Published(to_cid(link), name, sent, ipns, announced, reason)


@contextmanager
def opened_node(
    node: IPFSStore | str | None, source: ContentAddressableStore
) -> Iterator[IPFSStore]:
    """Have a node, or if None, the source if that is one, else the local node."""
    if node is None and isinstance(source, IPFSStore):
        node = source
    if isinstance(node, IPFSStore):
        yield node
        return
    with IPFSStore(node) as opened:
        yield opened


def _pin(pins: Pins, root: Link, name: str | None, replace: CIDLike | None) -> None:
    if replace is None:
        pins.add(root, name)
    else:
        pins.update(replace, root, name)
