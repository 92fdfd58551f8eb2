"""What some block stores can do beyond the contract: asked by ``isinstance``.

A store that wraps another one can do what that one can: it takes over its methods when it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from ipldstore.cid import Link


@runtime_checkable
class RemovesBlocks(Protocol):
    """A block store that can let a block go."""

    def remove_block(self, cid: Link) -> None:
        """Remove a block, if it is there.

        Raises `BackendError` if that cannot be done.
        """


@runtime_checkable
class ListsRoots(Protocol):
    """A block store that is an archive, and names roots, one or any number."""

    def read_roots(self) -> list[Link]:
        """Return the roots that the archive names."""


@runtime_checkable
class SeesManyAtOnce(Protocol):
    """A block store that tells of many blocks with few requests, as of the last minutes."""

    def find_missing_lately(self, cids: Iterable[Link]) -> set[Link]:
        """Return those of several blocks that were not there when that was last seen.

        Raises `BackendError` if it cannot be told.
        """
