"""``ipldstore info``: how much a root or a repository names, and where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ipldstore.basics.words import filled_text, printable, size_text
from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    RepositoryName,
    RootOrAll,
    Where,
)
from ipldstore.cli.frame.output import show

if TYPE_CHECKING:
    from ipldstore.inventory import Info


def info(
    what: RootOrAll = None,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Say how much a hierarchy, or a repository, holds and where it is."""
    if what is None:
        show(*_tell_history(where, repository))
    else:
        show(*_tell(what, where))


def _tell(what: str, where: str) -> tuple[Any, ...]:
    """Return what a hierarchy holds, as facts and as lines."""
    from ipldstore import inventory
    from ipldstore.cli.tools.roots import opened

    with opened(what, where) as (blocks, root):
        found = inventory.info(root, blocks)
        store = repr(blocks)
    return {**asdict(found), "store": store}, *_iter_lines(found, store)


def _tell_history(where: str, name: str) -> tuple[Any, ...]:
    """Return what all versions of a repository hold, as facts and as lines."""
    from ipldstore.cli.tools.blocks import Extent
    from ipldstore.cli.tools.repositories import opened_whole

    with opened_whole(where, name) as repo:
        found = repo.info()
        store = repr(repo.blocks)
    return (
        {"repository": name, **asdict(found), "store": store},
        f"state     {found.state}",
        f"store     {store}",
        f"branches  {found.branches:,}",
        f"tags      {found.tags:,}",
        f"commits   {found.commits:,}",
        f"all       {Extent(found.blocks, found.bytes)}",
        f"old       {size_text(found.old_bytes)} that no branch or tag is at",
    )


def _iter_lines(found: Info, store: str) -> Iterator[str]:
    from ipldstore.cli.tools.blocks import Extent

    values = Extent(found.blocks - found.node_blocks, found.bytes - found.node_bytes)
    yield f"root    {found.root}"
    yield f"store   {store}"
    yield f"all     {Extent(found.blocks, found.bytes)}"
    yield f"nodes   {Extent(found.node_blocks, found.node_bytes)}"
    yield f"values  {values}"
    yield f"shared  {size_text(found.shared_bytes)} that equal blocks save"
    if found.blocks == found.bytes == 1:
        yield "empty   no groups, arrays or values"
    if found.arrays:
        yield f"{'chunks':>12} {'stored':>12} array"
    for path, array in found.arrays.items():
        size = size_text(array.stored_bytes)
        chunks = filled_text(array.chunks, array.chunks_possible)
        yield f"{chunks:>12} {size:>12} {printable(path) or '.'}"
