"""Walk the blocks of a DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ipldstore import dagcbor
from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, identity_data, to_text
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.unixfs import iter_pb_links


def links_of(link: Link, data: bytes) -> list[Link]:
    """Return the links in a block as CIDv1, in the order in which it holds them.

    Parameters
    ----------
    link
        The block's CID; its codec says how to read the data.
    data
        The block's bytes.

    Raises
    ------
    InvalidNodeError
        If the codec is not raw, dag-pb or dag-cbor, or the data is not canonical in it.
    """
    codec = codec_of(link)
    try:
        if codec == RAW:
            return []
        if codec == DAG_CBOR:
            return list(dagcbor.iter_links(dagcbor.decode(data)))
        if codec == DAG_PB:
            return list(iter_pb_links(data))
    except CodecError as error:
        raise InvalidNodeError(f"block {to_text(link)}: {error}") from error
    raise InvalidNodeError(f"block {to_text(link)}: cannot follow the links of codec {codec:#x}")


def iter_dag(root: Link, load: Callable[[Link], bytes]) -> Iterator[tuple[Link, bytes | None]]:
    """Walk a DAG depth first from its root, every CID once, where it is first seen.

    Raw blocks hold no links, so they are not loaded. Identity CIDs carry their own data: they
    are followed, but they are no blocks and do not appear.

    Parameters
    ----------
    root
        Where to start.
    load
        Returns the verified bytes of a block.

    Yields
    ------
    tuple of Link and bytes or None
        The CID, and the block's bytes where they were loaded.

    Raises
    ------
    InvalidNodeError
        If a block is malformed, or of a codec whose links are not known.
    """
    seen: set[Link] = set()
    stack = [iter((root,))]
    while stack:
        link = next(stack[-1], None)
        if link is None:
            stack.pop()
            continue
        if link in seen:
            continue
        seen.add(link)
        inline = identity_data(link)
        if inline is None and codec_of(link) == RAW:
            yield link, None
            continue
        data = load(link) if inline is None else inline
        if inline is None:
            yield link, data
        stack.append(iter(links_of(link, data)))
