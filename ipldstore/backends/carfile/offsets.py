"""A compact index: where in a file the sections of a digest begin."""

from __future__ import annotations

from array import array

from ipldstore.limits import MAX_CAR_COPIES

_FIRST_SLOTS = 1 << 10


class Offsets:
    """Finds offsets by digests, in about 26 bytes a section.

    It keeps 64 bits of a hash of each digest, not the digest: the section that it leads to names
    its CID. The hash is keyed by a secret of the process, and sections with one slot make a chain,
    so that no archive can be made to slow it down. It may be searched while it is being added to,
    by one thread at a time.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._offsets = array("Q")
        self._before = array("I")
        self._slots = _make_slots(_FIRST_SLOTS)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, digest: bytes, offset: int) -> None:
        """Note that a section of a digest begins at an offset."""
        if len(self._offsets) >= len(self._slots):
            self._grow()
        key = hash(digest)
        self._hashes.append(key)
        self._offsets.append(offset)
        self._before.append(0)
        self._link(key, len(self._offsets))

    def find(self, digest: bytes) -> list[int]:
        """Return where sections that may be of a digest begin: the last ones, the latest first."""
        key = hash(digest)
        number = self._slots[key & len(self._slots) - 1]
        found: list[int] = []
        while number and len(found) < MAX_CAR_COPIES:
            if self._hashes[number - 1] == key:
                found.append(self._offsets[number - 1])
            number = self._before[number - 1]
        return found

    def _link(self, key: int, number: int) -> None:
        """Put a section, by its number from 1 on, at the head of its slot's chain."""
        slot = key & len(self._slots) - 1
        self._before[number - 1] = self._slots[slot]
        self._slots[slot] = number

    def _grow(self) -> None:
        self._slots = _make_slots(2 * len(self._slots))
        for number, key in enumerate(self._hashes, 1):
            self._link(key, number)


def _make_slots(count: int) -> array[int]:
    return array("I", bytes(count * array("I").itemsize))
