"""What is in a block store that nothing names: the tops of its DAGs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple

from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock
from ipldstore.cid import DAG_CBOR, CIDLike, Link, as_link, verify_block, with_codec
from ipldstore.errors import (
    BlockNotFoundError,
    CodecError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNodeError,
    LimitExceededError,
)
from ipldstore.formats import dagcbor
from ipldstore.history.commit import decode_commit
from ipldstore.history.kinds import kind_of
from ipldstore.history.state import decode_state
from ipldstore.limits import MAX_HELD_KEYS, MAX_STATE_BYTES
from ipldstore.tree.decode import decode_directory

_EMPTY_HIERARCHY = b"\xa0"
_COLLECTIONS = (4, 5)
"""The major types of CBOR that nodes are: lists and maps."""


class Unnamed(NamedTuple):
    """The top of a DAG that nothing names.

    Attributes
    ----------
    cid : Link
        Its CID.
    kind : str
        ``"hierarchy"``, ``"commit"`` or ``"state"``.
    time : float or None
        When its block was written or last touched, in seconds since 1970; None if that is not
        known.
    """

    cid: Link
    kind: Literal["hierarchy", "commit", "state"]
    time: float | None


def find_roots(
    blocks: ContentAddressableStore, *, known: Collection[CIDLike] = ()
) -> Iterator[Unnamed]:
    """Find roots, commits and states in a block store that neither a block in it nor a list names.

    Every block of at most 1 MiB is read. A state names the one before it. What only looks like a
    node is taken for one: a chunk whose bytes are a directory, commit or state in canonical
    DAG-CBOR, which no encoded array is by chance; a page of a directory, or a document that holds
    nothing but maps, if what linked to it is gone. Directories of more than 1 MiB, as older
    software wrote, and what is damaged are passed over; so is the empty hierarchy, which loses
    nothing.

    Parameters
    ----------
    blocks
        The block store.
    known
        What is named elsewhere, such as `Repository.cid`; so is all under it. Of a block store
        with repositories, give the CID of each: what their states lead to is listed otherwise.

    Yields
    ------
    Unnamed
        Each top, in no order.

    Raises
    ------
    BackendError
        If the store cannot list its blocks, or one cannot be read.
    InvalidCIDError
        If one of those known is malformed.
    LimitExceededError
        If there are more links and tops than `ipldstore.limits.MAX_HELD_KEYS`.

    Examples
    --------
    >>> from ipldstore import IPLDStore, MappingCAStore, Repository, find_roots
    >>> repo = Repository.create(MappingCAStore())
    >>> lost = IPLDStore(repo.blocks)
    >>> lost["a/0"] = b"chunk"
    >>> _ = lost.freeze()
    >>> [(top.kind, str(top.cid)) for top in find_roots(repo.blocks, known=[repo.cid])]
    [('hierarchy', 'bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4')]
    """
    linked = {as_link(cid) for cid in known}
    tops: dict[Link, Unnamed] = {}
    for listed in blocks.iter_blocks():
        node = _load_node(blocks, listed)
        if node is None:
            continue
        cid, data, value = node
        linked.update(link for link in dagcbor.iter_links(value) if link[1] == DAG_CBOR)
        if len(linked) + len(tops) > MAX_HELD_KEYS:
            raise LimitExceededError(f"more than {MAX_HELD_KEYS} links and tops in {blocks!r}")
        kind, previous = _judge(cid, data, value)
        if previous is not None:
            linked.add(previous)
        if kind is not None and cid not in linked:
            tops[cid] = Unnamed(cid, kind, listed.time_ns / 1e9 if listed.time_ns else None)
    yield from (top for cid, top in tops.items() if cid not in linked)


def _load_node(
    blocks: ContentAddressableStore, listed: StoredBlock
) -> tuple[Link, bytes, Any] | None:
    """Return a block and its value if it is a list or map in DAG-CBOR, and sound."""
    if listed.size > MAX_STATE_BYTES:
        return None
    cid = with_codec(listed.cid, DAG_CBOR)
    try:
        data = blocks.get_raw(cid)
        if not data or data[0] >> 5 not in _COLLECTIONS or data == _EMPTY_HIERARCHY:
            return None
        value = dagcbor.decode(data)
        verify_block(cid, data)
    except (BlockNotFoundError, CodecError, CorruptBlockError, InvalidCIDError):
        return None
    return cid, data, value


def _judge(
    cid: Link, data: bytes, value: Any
) -> tuple[Literal["hierarchy", "commit", "state"] | None, Link | None]:
    """Return what a node is, if it may be a top, and the state that it names as text."""
    kind = kind_of(value) if isinstance(value, dict) else None
    try:
        if kind == "state":
            return kind, decode_state(cid, data).previous
        if kind == "commit":
            decode_commit(cid, data)
            return kind, None
        decode_directory(cid, data, root=True)
    except InvalidNodeError:
        return None, None
    return "hierarchy", None
