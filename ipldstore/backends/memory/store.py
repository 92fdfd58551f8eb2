"""Blocks in a mapping."""

from __future__ import annotations

import os
from collections import UserDict
from collections.abc import Iterator, MutableMapping
from functools import partial

from ipldstore.backends.memory.pointers import iter_pointers, read_pointer, swap_pointer
from ipldstore.blockstore.contract import (
    ContentAddressableStore,
    StoredBlock,
    reading_methods,
    reads_by,
)
from ipldstore.cid import Link, identity_data, parse_text, to_text
from ipldstore.errors import BlockNotFoundError, InvalidCIDError


class MappingCAStore(ContentAddressableStore):
    """Keeps blocks in a mapping from CIDs, as CIDv1 text in base32, to bytes.

    On a ``dict`` or ``UserDict`` it keeps pointers, too, under keys that are no CIDs. On other
    mappings it does not: those may be shared with other processes, which nothing would keep from
    moving a pointer at the same time.

    Parameters
    ----------
    mapping
        Where the blocks are kept; a new ``dict`` if none is given. It is not copied.
    default_hash
        The hash function that names new blocks.

    Examples
    --------
    >>> blocks = {}
    >>> store = MappingCAStore(blocks)
    >>> print(store.put(b"hello"))
    bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq
    >>> list(blocks.values())
    [b'hello']
    """

    def __init__(
        self,
        mapping: MutableMapping[str, bytes] | None = None,
        *,
        default_hash: str = "sha2-256",
    ) -> None:
        super().__init__(default_hash=default_hash)
        if isinstance(mapping, str | bytes | os.PathLike) or hasattr(mapping, "append"):
            raise TypeError(
                f"expected a mapping of CIDs to bytes, not {type(mapping).__name__}; "
                "open_block_store(URL) opens what a URL or path names"
            )
        self.mapping: MutableMapping[str, bytes] = {} if mapping is None else mapping
        if isinstance(self.mapping, dict):
            self.inline_limit = 64 << 10
        self.in_memory = isinstance(self.mapping, dict | UserDict)
        self.is_shared = not self.in_memory
        if self.in_memory and not hasattr(type(self), "read_pointer"):
            self.read_pointer = partial(read_pointer, self.mapping)
            self.swap_pointer = partial(swap_pointer, self.mapping)
            self.iter_pointers = partial(iter_pointers, self.mapping)

    def __repr__(self) -> str:
        return f"MappingCAStore({type(self.mapping).__name__})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MappingCAStore) and self.mapping is other.mapping

    def __hash__(self) -> int:
        return hash((MappingCAStore, id(self.mapping)))

    def get_raw(self, cid: Link) -> bytes:
        try:
            return self.mapping[to_text(cid)]
        except KeyError:
            empty = ", which is empty" if self.in_memory and not self.mapping else ""
            raise BlockNotFoundError(f"no block {to_text(cid)} in {self!r}{empty}") from None

    def get_small(self, cid: Link) -> bytes | None:
        is_plain = type(self.mapping) is dict and reads_by(self, _READING)
        if not is_plain or identity_data(cid) is not None:
            return super().get_small(cid)
        data = self.mapping.get(to_text(cid))
        return None if data is None or len(data) > self.inline_limit else self._verified(cid, data)

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is None:
            self.mapping[to_text(cid)] = bytes(data)

    def has_raw(self, cid: Link) -> bool:
        return to_text(cid) in self.mapping

    def size_of(self, cid: Link) -> int | None:
        if (data := identity_data(cid)) is not None:
            return len(data)
        if not isinstance(self.mapping, dict):
            return None
        data = self.mapping.get(to_text(cid))
        return None if data is None else len(data)

    def iter_blocks(self) -> Iterator[StoredBlock]:
        for name in list(self.mapping):
            try:
                yield StoredBlock(parse_text(name), len(self.mapping[name]))
            except (InvalidCIDError, KeyError):
                continue


_READING = reading_methods(MappingCAStore)
