"""``ipldstore roots``: hierarchies, commits and states that nothing in a block store names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ipldstore.basics.words import printable
from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.tools.blocks import open_blocks
from ipldstore.cli.tools.repositories import time_fact, time_text
from ipldstore.errors import IPLDStoreError
from ipldstore.refs.commits import root_of
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.outline import outline
from ipldstore.unnamed import Unnamed, find_roots

NOT_LISTED = (
    "not listed: what a repository leads to or led to (`ipldstore log --all`, `ipldstore "
    "operations`), what other blocks name, the root of a CAR file"
)
"""What is said below the list."""

_NODES = 200
"""Blocks of each hierarchy that are looked into for its arrays."""

_SHOWN = 5


def iter_unnamed(where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate what is not named as facts and as lines, the last first."""
    with open_blocks(where) as blocks:
        found = find_roots(blocks, known=list(_iter_named(blocks)))
        for top in sorted(found, key=lambda top: (-(top.time or 0), to_text(top.cid))):
            yield _show(top, _find_arrays(blocks, top))


def _iter_named(blocks: ContentAddressableStore) -> Iterator[Link]:
    """Iterate what the block store itself names: states of repositories, the root of a CAR file."""
    if isinstance(blocks, KeepsPointers):
        pointers = (blocks.read_pointer(name) for name in blocks.iter_pointers())
        yield from (link for link in pointers if link is not None)
    if blocks.noted_root is not None:
        yield blocks.noted_root


def _find_arrays(blocks: ContentAddressableStore, top: Unnamed) -> list[str] | None:
    """Return the paths of arrays; None of a state, and where blocks are missing or malformed."""
    if top.kind == "state":
        return None
    try:
        hierarchy = Hierarchy(blocks, root=root_of(blocks, top.cid), read_only=True)
        nodes = outline(hierarchy, max_nodes=_NODES).walk()
        return [node.path for node in nodes if node.kind == "array"]
    except IPLDStoreError:
        return None


def _show(top: Unnamed, arrays: list[str] | None) -> tuple[dict[str, Any], str]:
    time = None if top.time is None else datetime.fromtimestamp(top.time, UTC)
    facts = {
        "cid": to_text(top.cid),
        "kind": top.kind,
        "time": None if time is None else time_fact(time),
        "arrays": arrays,
    }
    shown = "-" if time is None else time_text(time)
    return facts, f"{top.kind:9} {shown:23} {facts['cid']} {_list(arrays)}".rstrip()


def _list(arrays: list[str] | None) -> str:
    if arrays is None:
        return "-"
    names = ", ".join(printable(path) or "." for path in arrays[:_SHOWN])
    more = len(arrays) - _SHOWN
    return f"{names} and {more:,} more" if more > 0 else names
