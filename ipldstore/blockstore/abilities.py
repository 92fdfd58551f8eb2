"""What some block stores can do beyond the contract: asked by ``isinstance``.

A store that wraps another one can do what that one can: it takes over its methods when it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


@runtime_checkable
class KeepsPointers(Protocol):
    """A block store that keeps pointers: names, each of which moves from one CID to another.

    What may be a name, `pointers.check_pointer_name` says. A pointer is never removed.
    """

    def read_pointer(self, name: str) -> Link | None:
        """Return the CID that a pointer is at, None if there is no such pointer.

        Parameters
        ----------
        name
            Its name.

        Raises
        ------
        InvalidNameError
            If there can be no such pointer.
        BackendError
            If it cannot be told, or what is kept is damaged.
        """

    def swap_pointer(self, name: str, old: Link | None, new: Link) -> bool:
        """Move a pointer from one CID to another, in one step also beside other processes.

        The store's blocks are flushed first. It is as durable as they are.

        Parameters
        ----------
        name
            Its name.
        old
            Where it has to be, or nothing changes; None for one that is not there yet.
        new
            Where it is to be.

        Returns
        -------
        bool
            Whether it moved.

        Raises
        ------
        InvalidNameError
            If there can be no such pointer.
        BackendError
            If it cannot be moved, or it cannot be told whether it was: it is where it was then, or
            it moved, and others may have moved it on.
        """

    def iter_pointers(self) -> Iterator[str]:
        """Iterate the names of all pointers, in no order.

        Raises
        ------
        BackendError
            If they cannot be listed.
        """


@runtime_checkable
class KeepsJournals(Protocol):
    """A block store that keeps journals: bytes that one process appends to, and all may read.

    They stand in groups. What may be the name of a group, or of a journal in it,
    `pointers.check_pointer_name` says.

    Attributes
    ----------
    has_quick_journals : bool
        Whether to append to one takes little beside putting a block.
    """

    has_quick_journals: bool

    def append_journal(self, group: str, name: str, offset: int, data: bytes) -> None:
        """Append to a journal, which is made, with its group, if the offset is 0.

        The store's blocks are flushed first. It is as durable as they are. One process appends to a
        journal, a call at a time, and no more once a call failed.

        Parameters
        ----------
        group, name
            The journal.
        offset
            How many bytes it has.
        data
            What comes next, not empty.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        BackendError
            If it cannot be done: none, some or all of the bytes may be there.
        """

    def make_journal(self, group: str, name: str, data: bytes) -> bool:
        """Make a journal, whole or not at all, that nobody appends to.

        Parameters
        ----------
        group, name
            The journal.
        data
            All of its bytes. No two calls of anybody have the same, by which one whose answer was
            lost is known.

        Returns
        -------
        bool
            Whether it is there with these bytes; False if there was one of this name.

        Raises
        ------
        InvalidNameError
            If there can be no such journal.
        BackendError
            If it cannot be made, or it cannot be told whether it was.
        """

    def read_journal(self, group: str, name: str, start: int = 0) -> bytes | None:
        """Return the bytes of a journal from one on, None if there is no such journal.

        Raises `BackendError` if it cannot be told, or read.
        """

    def list_journals(self, group: str) -> dict[str, int]:
        """Return the names of a group's journals, and how many bytes each has at least by now.

        Nothing if there is no such group. What comes or goes meanwhile may be in it or not.
        Raises `BackendError` if it cannot be told.
        """

    def find_journals(self, group: str, names: Sequence[str]) -> list[bool]:
        """Return whether there are several journals, looked for in this order.

        None is looked for before the one before it was found or not. Raises `BackendError` if it
        cannot be told.
        """

    def remove_journal(self, group: str, name: str) -> None:
        """Remove a journal, if it is there, and its group with the last one.

        Raises `BackendError` if it cannot be removed.
        """

    def iter_journal_groups(self) -> Iterator[str]:
        """Iterate the names of all groups, in no order.

        Raises `BackendError` if they cannot be listed.
        """
