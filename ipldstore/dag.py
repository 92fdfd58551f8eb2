"""Walk the blocks of a DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, identity_data, to_text
from ipldstore.errors import BlockNotFoundError, CodecError, InvalidNodeError
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
    follow: Callable[[Link, bytes], list[Link]] = links_of,
) -> Iterator[tuple[Link, bytes | None]]:
    """Walk a DAG depth first from its root, every CID once, where it is first seen.

    Raw blocks hold no links, so they are not loaded, and come without their bytes. Identity CIDs
    carry their own data: they are followed, but they are no blocks and do not appear. What is
    `seen` is left out, with all that only it leads to; the walk adds what it meets. With
    `children_first`, a block comes after all blocks that it leads to, instead of before them.
    `follow` returns the links in a block that lead on.
    """
    seen = set() if seen is None else seen
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
        data = identity_data(link)
        is_block = data is None
        if is_block and codec_of(link) == RAW:
            yield link, None
            continue
        data = load(link) if data is None else data
        if is_block and not children_first:
            yield link, data
        after = (link, data) if is_block and children_first else None
        stack.append((iter(follow(link, data)), after))


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
