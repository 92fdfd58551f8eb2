"""``ipldstore tree``: the groups and arrays of a hierarchy."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import is_ascii_only, show

if TYPE_CHECKING:
    from ipldstore.model.outline import Outline

_UNCUT = 10_000
"""Wide enough for what goes into a pipe."""

_NETWORK_NODES = 200
"""Blocks, and sizes of chunks, that are asked for over a network: each takes a round trip."""


def tree(
    what: Root,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth", metavar="N", min=0, help="Show so many levels below the root; else all."
        ),
    ] = None,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Draw the groups and arrays of a hierarchy."""
    from ipldstore.cli.tools.roots import opened_mapping
    from ipldstore.store.outline import outline
    from ipldstore.views.treelines import iter_tree_lines

    with opened_mapping(what, where) as mapping:
        is_local = mapping.blocks.is_local
        found = outline(mapping, max_nodes=None if is_local else _NETWORK_NODES)
    if depth is not None:
        found = _cut(found, depth)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNCUT
    show(found.as_dict(), *iter_tree_lines(found, width=width, ascii_only=is_ascii_only()))


def _cut(node: Outline, depth: int) -> Outline:
    children = [_cut(child, depth - 1) for child in node.children] if depth else []
    return replace(node, children=type(node.children)(children))
