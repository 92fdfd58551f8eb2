"""The blocks that the commands work on: a folder, an IPFS node or gateways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from ipldstore.backends.directory import DirectoryCAStore
from ipldstore.backends.mapping import MappingCAStore
from ipldstore.cid import Link
from ipldstore.cli.reporting import size_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag
from ipldstore.errors import BackendError

if TYPE_CHECKING:
    from ipldstore.backends.ipfs.store import IPFSStore


class Extent(NamedTuple):
    """How many blocks there are, and their bytes in all."""

    blocks: int
    size: int

    def __str__(self) -> str:
        return f"{self.blocks:,} block{'s' * (self.blocks != 1)}, {size_text(self.size)}"


_SCHEME = re.compile(r"([a-z][a-z0-9+]+):(.*)", re.DOTALL)  # one letter is a drive of Windows
_IPNS = ("ipns://", "/ipns/")


def open_blocks(place: str, *, make: bool = False) -> ContentAddressableStore:
    """Open the blocks that the option ``--blocks`` names; to be closed by the caller.

    Parameters
    ----------
    place
        A folder; ``ipfs:`` for the local node, ``ipfs:MULTIADDR`` or ``ipfs+http://HOST:PORT`` for
        another; ``gateway:`` for the default gateways, ``gateway+https://HOST`` for one, and more
        after commas.
    make
        Whether a folder that does not exist is made.

    Raises
    ------
    typer.BadParameter
        If it is none of these.
    FileNotFoundError
        If there is no such folder.
    BackendError
        If the folder cannot be used.
    """
    scheme = _SCHEME.fullmatch(place)
    if scheme is None:
        return _open_folder(Path(place), make)
    kind, plus, protocol = scheme[1].partition("+")
    rest = f"{protocol}:{scheme[2]}" if protocol else scheme[2]
    is_url = protocol in ("http", "https")
    if kind == "ipfs" and (is_url or (not plus and not rest.startswith("//"))):
        return open_node(rest)
    if kind == "gateway" and (is_url or place == "gateway:"):
        return _open_gateways(rest)
    raise typer.BadParameter(
        f"{place!r} names no blocks: expected a folder, ipfs:, ipfs:/ip4/..., "
        "ipfs+http://HOST:PORT, gateway: or gateway+https://HOST (for a folder with such a name "
        f"write ./{place})",
        param_hint="--blocks",
    )


def _open_folder(path: Path, make: bool) -> DirectoryCAStore:
    if not make and not path.exists():
        raise FileNotFoundError(f"no folder of blocks {str(path)!r} (option --blocks)")
    return DirectoryCAStore(path)


def open_node(address: str | None) -> IPFSStore:
    """Open an IPFS node, the local one if no address is given.

    Raises
    ------
    typer.BadParameter
        If the address is malformed.
    """
    from ipldstore.backends.ipfs.store import IPFSStore

    try:
        return IPFSStore(address or None)
    except BackendError as error:
        raise typer.BadParameter(str(error)) from None


def _open_gateways(urls: str) -> ContentAddressableStore:
    from ipldstore.backends.gateway.store import GatewayCAStore

    try:
        return GatewayCAStore(urls.split(",")) if urls else GatewayCAStore()
    except BackendError as error:
        raise typer.BadParameter(str(error), param_hint="--blocks") from None


@contextmanager
def opened(cid: str, place: str) -> Iterator[tuple[ContentAddressableStore, Link]]:
    """Open blocks to read a root from.

    Parameters
    ----------
    cid
        The root: a CID, ``ipfs://CID`` or, where a node knows names, ``ipns://NAME``.
    place
        The blocks, as in `open_blocks`.

    Yields
    ------
    tuple of ContentAddressableStore and Link
        The blocks, and the root.

    Raises
    ------
    InvalidCIDError
        If the CID is malformed, or a name where there is no node to resolve it.
    """
    root = None if cid.startswith(_IPNS) else MappingCAStore().resolve(cid)
    with open_blocks(place) as backend:
        yield backend, backend.resolve(cid) if root is None else root


def iter_sizes(backend: ContentAddressableStore, root: Link) -> Iterator[tuple[Link, int]]:
    """Iterate the blocks under a root and their sizes in bytes.

    Values are read only where their sizes cannot be had otherwise.

    Raises
    ------
    BlockNotFoundError
        If a block is missing.
    """
    for link, data in iter_dag(root, backend.get_block):
        size = backend.size_of(link) if data is None else len(data)
        yield link, len(backend.get_block(link)) if size is None else size


def measure(backend: ContentAddressableStore, root: Link) -> Extent:
    """Count the blocks under a root; errors as in `iter_sizes`."""
    blocks = total = 0
    for _, size in iter_sizes(backend, root):
        blocks += 1
        total += size
    return Extent(blocks, total)


def measure_folder(backend: ContentAddressableStore, root: Link) -> Extent | None:
    """`measure` a folder of blocks; elsewhere that would take too long, and gives None."""
    return measure(backend, root) if isinstance(backend, DirectoryCAStore) else None
