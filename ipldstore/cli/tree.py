"""``ipldstore tree``: the groups and arrays of a hierarchy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ipldstore.cli.roots import opened_mapping
from ipldstore.model.outline import Outline
from ipldstore.store.outline import outline
from ipldstore.views.text import iter_tree_lines

_UNCUT = 10_000
"""Wide enough for what goes into a pipe."""

_NETWORK_NODES = 200
"""Blocks, and sizes of chunks, that are asked for over a network: each takes a round trip."""


def draw_tree(what: str, blocks: str, depth: int | None) -> tuple[dict[str, Any], Iterator[str]]:
    """Return the groups and arrays of a hierarchy, as facts and as lines.

    Parameters
    ----------
    what, blocks
        The hierarchy, as in `opened`.
    depth
        How many levels to show; all if None.
    """
    with opened_mapping(what, blocks) as mapping:
        is_local = mapping.backend.inline_limit > 0
        found = outline(mapping, max_nodes=None if is_local else _NETWORK_NODES)
    if depth is not None:
        found = _cut(found, depth)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNCUT
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    return found.as_dict(), iter_tree_lines(found, width=width, ascii_only=ascii_only)


def _cut(node: Outline, depth: int) -> Outline:
    children = [_cut(child, depth - 1) for child in node.children] if depth else []
    return replace(node, children=type(node.children)(children))
