"""Blocks as a verification reads them: sound, mended from elsewhere, or with what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from ipldstore.blockstore.abilities import RemovesBlocks
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.errors import (
    BlockNotFoundError,
    CarFormatError,
    CodecError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNodeError,
    IPLDStoreError,
    LimitExceededError,
)
from ipldstore.verifying.faults import Fault

_FAILURES = (IPLDStoreError, OSError)

_KINDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((BlockNotFoundError,), "missing"),
    ((CorruptBlockError, CarFormatError), "corrupt"),
    ((InvalidNodeError, CodecError, InvalidCIDError), "malformed"),
    ((LimitExceededError,), "limit"),
)


class MendedBlocks:
    """The blocks of a store, which are mended where others have them.

    Safe under threads. `sources` are where those that are missing or corrupt are fetched from, in
    this order; `repaired` is what was mended.
    """

    def __init__(
        self, store: ContentAddressableStore, sources: Sequence[ContentAddressableStore]
    ) -> None:
        self.store = store
        self._sources = sources
        self.repaired: list[Link] = []

    def fetch(self, cid: Link) -> bytes | Fault:
        """Return the verified bytes of a block, or why they cannot be had."""
        try:
            return self.store.get_block(cid)
        except _FAILURES as error:
            fault = fault_of(cid, error)
        is_mendable = self._sources and fault.kind in ("missing", "corrupt")
        return self._mend(cid, fault) if is_mendable else fault

    def _mend(self, cid: Link, fault: Fault) -> bytes | Fault:
        """Put a block of another store, and read it back."""
        reasons = []
        for source in self._sources:
            try:
                data = source.get_block(cid)
            except _FAILURES as error:
                reasons.append(f"{source!r}: {type(error).__name__}: {error}")
                continue
            try:
                data = self._put(cid, data)
            except _FAILURES as error:
                reasons.append(f"{self.store!r} does not keep it: {error}")
                break
            self.repaired.append(cid)
            return data
        return Fault(fault.kind, cid, f"{fault.message}; not repaired: {'; '.join(reasons)}")

    def _put(self, cid: Link, data: bytes) -> bytes:
        """Put a block and return what is read back."""
        self.store.put_block(cid, data)
        self.store.flush()
        try:
            return self.store.get_block(cid)
        except CorruptBlockError:
            if not isinstance(self.store, RemovesBlocks):
                raise
        self.store.remove_block(cid)
        self.store.put_block(cid, data)
        self.store.flush()
        return self.store.get_block(cid)


def fault_of(cid: Link, error: Exception) -> Fault:
    """Say what an error means for a block; what is no answer is "unreachable"."""
    kind = next((kind for errors, kind in _KINDS if isinstance(error, errors)), "unreachable")
    text = to_text(cid)
    if kind == "missing":
        # short, as there may be millions of them
        return Fault(kind, cid, f"no block {text}")
    message = str(error)
    return Fault(kind, cid, message if text in message else f"block {text}: {message}")
