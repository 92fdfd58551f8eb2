"""The names of journals, and what all stores that keep them check."""

from __future__ import annotations

from ipldstore.blockstore.pointers import FOLDER, check_pointer_name, is_pointer_name
from ipldstore.errors import BackendError, LimitExceededError
from ipldstore.limits import MAX_JOURNAL_BYTES

_PREFIX = "journals-"
"""Stands before the name of each group, as that of a pointer before the names of pointers."""


def group_path(group: str) -> str:
    """Return where a group is kept beside blocks; `InvalidNameError` if there can be none."""
    check_group_name(group)
    return f"{FOLDER}/{_PREFIX}{group}"


def journal_path(group: str, name: str) -> str:
    """Return where a journal is kept beside blocks; `InvalidNameError` if there can be none."""
    check_journal_name(name)
    return f"{group_path(group)}/{name}"


def parse_group_path(path: str) -> str | None:
    """Return the name of the group that is kept at the end of a path, None if none is."""
    prefix, _, group = path.rpartition("/")[2].partition(_PREFIX)
    return group if not prefix and is_pointer_name(group) else None


def check_group_name(group: str) -> None:
    """Raise `InvalidNameError` if there can be no such group."""
    check_pointer_name(group, "a group of journals")


def check_journal_name(name: str) -> None:
    """Raise `InvalidNameError` if there can be no such journal."""
    check_pointer_name(name, "a journal")


def check_journal(group: str, name: str) -> None:
    """Raise `InvalidNameError` if there can be no such group, or journal in it."""
    check_group_name(group)
    check_journal_name(name)


def check_addition(group: str, name: str, offset: int, data: bytes) -> None:
    """Check what is to be written to a journal that has `offset` bytes.

    Raises `BackendError` if it is nothing, and `LimitExceededError` if it is too much.
    """
    if not data or offset < 0:
        raise BackendError(
            f"{describe(group, name)}: {len(data)} bytes to write at byte {offset}, "
            "expected at least one, and no negative offset"
        )
    check_size(group, name, offset + len(data))


def check_size(group: str, name: str, size: int) -> None:
    """Raise `LimitExceededError` if a journal has more bytes than may be read."""
    if size > MAX_JOURNAL_BYTES:
        raise LimitExceededError(
            f"{describe(group, name)}: {size} bytes, at most {MAX_JOURNAL_BYTES}"
        )


def not_at(group: str, name: str, offset: int, found: int | None) -> BackendError:
    """Return the error for bytes that do not come next, as the journal has not `offset` bytes."""
    has = (
        "it is not there, or not written by this store"
        if found is None
        else f"it has {found} bytes"
    )
    return BackendError(
        f"cannot append to {describe(group, name)} at byte {offset}: {has}; "
        "one process appends, and no more once that failed"
    )


def describe(group: str, name: str) -> str:
    """Say for people which journal it is."""
    return f"journal {name!r} of group {group!r}"
