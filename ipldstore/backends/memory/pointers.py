"""Pointers in a mapping, beside the blocks, so that all stores on it see the same ones."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TypeAlias

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.pointers import (
    decode_pointer,
    encode_pointer,
    parse_pointer_path,
    pointer_path,
)
from ipldstore.cid import CIDLike, Link, as_link

Blocks: TypeAlias = MutableMapping[str, bytes]

_guard = Guard()
"""One for all mappings: what stands between reading and writing is two steps in memory."""


def read_pointer(mapping: Blocks, name: str) -> Link | None:
    """Return the CID that a pointer is at, None if there is no such pointer."""
    path = pointer_path(name)
    data = mapping.get(path)
    return None if data is None else decode_pointer(data, f"key {path!r}")


def swap_pointer(mapping: Blocks, name: str, old: CIDLike | None, new: CIDLike) -> bool:
    """Move a pointer if it is at the old CID, and return whether it moved."""
    data = encode_pointer(new)
    expected = None if old is None else as_link(old)
    with _guard():
        is_there = read_pointer(mapping, name) == expected
        if is_there:
            mapping[pointer_path(name)] = data
        return is_there


def iter_pointers(mapping: Blocks) -> Iterator[str]:
    """Iterate the names of all pointers."""
    for path in list(mapping):
        name = parse_pointer_path(path)
        if name is not None and path == pointer_path(name):
            yield name
