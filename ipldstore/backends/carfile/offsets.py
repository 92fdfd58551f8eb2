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
        number = len(self._before)
        # an interrupt may have kept the last one from being noted in full
        del self._hashes[number:], self._offsets[number:]
        if number >= len(self._slots):
            self._grow()
        key = hash(digest)
        self._hashes.append(key)
        self._offsets.append(offset)
        self._before.append(0)
        _link(self._slots, self._before, key, number + 1)

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

    def _grow(self) -> None:
        slots, before = _make_slots(2 * len(self._slots)), array("I", self._before)
        for number, key in enumerate(self._hashes, 1):
            _link(slots, before, key, number)
        # no interrupt can arrive between these two
        self._slots, self._before = slots, before


def _link(slots: array[int], before: array[int], key: int, number: int) -> None:
    """Put a section, by its number from 1 on, at the head of its slot's chain."""
    slot = key & len(slots) - 1
    before[number - 1] = slots[slot]
    slots[slot] = number


def _make_slots(count: int) -> array[int]:
    return array("I", bytes(count * array("I").itemsize))
