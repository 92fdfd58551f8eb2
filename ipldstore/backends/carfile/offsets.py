"""A compact index: where in a file the sections of a digest begin."""

from __future__ import annotations

from array import array

_FIRST_SLOTS = 1 << 10


class Offsets:
    """Finds offsets by digests, in about 26 bytes a section.

    It keeps 64 bits of a hash of each digest, not the digest: the section that it leads to names
    its CID. It may be searched while it is being added to, by one thread at a time.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._offsets = array("Q")
        self._slots = array("I", bytes(_FIRST_SLOTS * array("I").itemsize))

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, digest: bytes, offset: int) -> None:
        """Note that a section of a digest begins at an offset."""
        if 3 * len(self._offsets) >= 2 * len(self._slots):
            self._grow()
        key = hash(digest)
        self._hashes.append(key)
        self._offsets.append(offset)
        _fill(self._slots, key, len(self._offsets))

    def find(self, digest: bytes) -> list[int]:
        """Return where sections that may be of a digest begin, those added last first."""
        slots, key = self._slots, hash(digest)
        mask = len(slots) - 1
        slot = key & mask
        found = []
        while number := slots[slot]:
            if self._hashes[number - 1] == key:
                found.append(self._offsets[number - 1])
            slot = (slot + 1) & mask
        return found[::-1]

    def _grow(self) -> None:
        slots = array("I", bytes(2 * len(self._slots) * self._slots.itemsize))
        for number, key in enumerate(self._hashes, 1):
            _fill(slots, key, number)
        self._slots = slots


def _fill(slots: array[int], key: int, number: int) -> None:
    mask = len(slots) - 1
    slot = key & mask
    while slots[slot]:
        slot = (slot + 1) & mask
    slots[slot] = number
