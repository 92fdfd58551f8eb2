"""Walk the blocks of a DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import TypeAlias

from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, identity_data, to_text
from ipldstore.errors import (
    BlockNotFoundError,
    CodecError,
    InvalidNodeError,
    LimitExceededError,
)
from ipldstore.formats import dagcbor
from ipldstore.unixfs.nodes import iter_pb_links

_Level: TypeAlias = "tuple[Iterator[Link], tuple[Link, bytes] | None]"
"""The links of a block that are left to follow, and what comes once they are."""


def links_of(link: Link, data: bytes) -> list[Link]:
    """Return the links in a block as CIDv1, in the order in which it holds them.

    Raises `InvalidNodeError` if it is malformed, or its codec is not raw, dag-pb or dag-cbor.
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


def iter_dag(
    root: Link,
    load: Callable[[Link], bytes],
    *,
    seen: set[Link] | None = None,
    children_first: bool = False,
    max_depth: float = inf,
    max_blocks: float = inf,
) -> Iterator[tuple[Link, bytes | None]]:
    """Walk a DAG depth first from its root, every CID once, where it is first seen.

    Raw blocks hold no links, so they are not loaded. Identity CIDs carry their own data: they
    are followed, but they are no blocks and do not appear.

    Parameters
    ----------
    root
        Where to start.
    load
        Returns the verified bytes of a block.
    seen
        CIDs that are left out, with all that only they lead to; the walk adds those it meets.
    children_first
        Whether a block comes after all blocks that it leads to, instead of before them.
    max_depth
        How many links a block may be away from the root on the way on which it is first seen.
    max_blocks
        How many blocks there may be.

    Yields
    ------
    tuple of Link and bytes or None
        The CID, and the block's bytes where they were loaded.

    Raises
    ------
    InvalidNodeError
        If a block is malformed, or of a codec whose links are not known.
    LimitExceededError
        If there are more blocks, or deeper ones, than allowed; it is raised before the first such
        block is loaded.
    """
    seen = set() if seen is None else seen
    blocks = 0
    stack: list[_Level] = [(iter((root,)), None)]
    while stack:
        links, parent = stack[-1]
        link = next(links, None)
        if link is None:
            stack.pop()
            if parent is not None:
                yield parent
            continue
        if link in seen:
            continue
        seen.add(link)
        data, depth = identity_data(link), len(stack) - 1
        is_block = data is None
        blocks += is_block
        if depth > max_depth or blocks > max_blocks:
            raise LimitExceededError(
                f"block {to_text(link)} is the {blocks}. under the root {to_text(root)}, {depth} "
                f"links deep: expected at most {max_blocks} blocks, {max_depth} links deep"
            )
        if is_block and codec_of(link) == RAW:
            yield link, None
            continue
        data = load(link) if data is None else data
        if is_block and not children_first:
            yield link, data
        after = (link, data) if is_block and children_first else None
        stack.append((iter(links_of(link, data)), after))


def links_held(since: Link, root: Link, load: Callable[[Link], bytes]) -> set[Link]:
    """Collect what the DAG under `since` holds, to be left out of a walk through that under `root`.

    Both are walked side by side, link by link from their roots, so that what lies under a block
    that both share is neither loaded nor listed. What lies under a missing block of the first is
    unknown.
    """
    held: set[Link] = set()
    met: set[Link] = set()
    old, new = {since}, {root}
    while old:
        held |= old
        met |= new
        old = _children(old - met, lambda link: _load_known(link, since, load)) - held
        new = _children(new - held, load) - met
    return held


def _children(links: Iterable[Link], load: Callable[[Link], bytes | None]) -> set[Link]:
    children: set[Link] = set()
    for link in links:
        if codec_of(link) != RAW:
            inline = identity_data(link)
            data = load(link) if inline is None else inline
            if data is not None:
                children.update(links_of(link, data))
    return children


def _load_known(link: Link, since: Link, load: Callable[[Link], bytes]) -> bytes | None:
    try:
        return load(link)
    except BlockNotFoundError:
        if link == since:
            raise
        return None
