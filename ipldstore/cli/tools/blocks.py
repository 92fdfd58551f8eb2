"""The blocks that the commands work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import typer

from ipldstore.basics.words import size_text
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.cli.frame.context import is_set
from ipldstore.cli.frame.output import count_text
from ipldstore.dag import iter_dag
from ipldstore.errors import BackendError, BlockStoreNotFoundError, BlockStoreURLError
from ipldstore.registry import is_archive, open_block_store
from ipldstore.store.expansion import is_local
from ipldstore.store.values import block_size

if TYPE_CHECKING:
    from ipldstore.backends.ipfs.store import IPFSStore
    from ipldstore.repository.repository import Repository


class Extent(NamedTuple):
    """How many blocks there are, and their bytes in all."""

    blocks: int
    size: int

    def __str__(self) -> str:
        return f"{count_text(self.blocks, 'block')}, {size_text(self.size)}"


_EXPECTED = (
    "expected a folder, ipfs: or ipfs+http://HOST:PORT, gateway: or gateway+https://HOST, "
    "FILE.car, sqlite:FILE, s3://BUCKET, gs://BUCKET or az://CONTAINER, or the URL of a plug-in"
)


def open_blocks(
    place: str, *, make: bool = False, named_by: str = " (option --blocks)"
) -> ContentAddressableStore:
    """Open the blocks that the option ``--blocks`` names; to be closed by the caller.

    With `make`, a folder or file that does not exist is made; `named_by` is what an error says of
    where the name comes from.
    """
    if place.lower().startswith("memory:"):
        raise typer.BadParameter("'memory:' would end with the command", param_hint="--blocks")
    try:
        return open_block_store(place, create=make, **_options_of(place))
    except BlockStoreURLError as error:
        raise typer.BadParameter(f"{error}; {_EXPECTED}", param_hint="--blocks") from None
    except BlockStoreNotFoundError as error:
        raise FileNotFoundError(f"{error}{named_by}") from None


def _options_of(place: str) -> dict[str, bool]:
    return {"allow_padding": True} if is_set("--allow-padding") and is_archive(place) else {}


def open_node(address: str | None) -> IPFSStore:
    """Open an IPFS node, the local one if no address is given."""
    from ipldstore.backends.ipfs.store import IPFSStore

    try:
        return IPFSStore(address or None)
    except BackendError as error:
        raise typer.BadParameter(str(error)) from None


def iter_sizes(blocks: ContentAddressableStore, root: Link) -> Iterator[tuple[Link, int]]:
    """Iterate the blocks under a root and their sizes; values are read only where they must be."""
    for link, data in iter_dag(root, blocks.get_block):
        yield link, block_size(blocks, link) if data is None else len(data)


def measure(blocks: ContentAddressableStore, root: Link) -> Extent:
    """Count the blocks under a root; errors as in `iter_sizes`."""
    count = total = 0
    for _, size in iter_sizes(blocks, root):
        count += 1
        total += size
    return Extent(count, total)


def measure_local(blocks: ContentAddressableStore, root: Link) -> Extent | None:
    """`measure` what is on this machine; elsewhere that would take too long, and gives None."""
    return measure(blocks, root) if is_local(blocks) else None


def measure_history(repo: Repository) -> Extent | None:
    """`measure_local` of all versions of a repository."""
    if not is_local(repo.blocks):
        return None
    found = repo.info()
    return Extent(found.blocks, found.bytes)
