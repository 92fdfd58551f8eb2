"""What was changed and is in no root yet, so that nobody forgets about it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from weakref import finalize

from ipldstore.basics.warning import Line, find_line
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.errors import UnfrozenChangesWarning

_MOST_NAMED = 1_000


class Ledger:
    """The keys that were changed in a hierarchy since it was frozen.

    `fate` says what becomes of that with the hierarchy, and how to keep it; None if
    there is nothing to say of it.
    """

    def __init__(self, blocks: ContentAddressableStore, fate: str | None) -> None:
        self._blocks = blocks
        self.fate = fate
        self._keys: set[str] = set()
        self._pid = os.getpid()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __str__(self) -> str:
        count = len(self._keys)
        if count > _MOST_NAMED:
            return f"changes to more than {_MOST_NAMED:,} keys"
        return f"changes to {count:,} key{'s' if count > 1 else ''}"

    def note(self, segments: Sequence[str]) -> None:
        """Note that a key, or all below a path, is about to be changed."""
        if len(self._keys) <= _MOST_NAMED:
            self._keys.add("/".join(segments))

    def clear(self) -> None:
        """Note that nothing would be lost now."""
        self._keys.clear()

    def watch(self, owner: object) -> None:
        """Warn when the owner is garbage, or the process ends, and there is something to lose.

        That is said at the line where it is made now, as nobody's line loses it.
        Nothing is said where the blocks are in memory, and would be lost all the same.
        """
        if not self._blocks.in_memory:
            finalize(owner, self._warn, find_line())

    def _warn(self, where: Line) -> None:
        # a forked process has a copy of what is still in use in its parent
        if self._keys and self.fate and self._pid == os.getpid():
            # each loss counts, also where Python shows equal warnings of one place but once
            warnings.warn_explicit(
                f"{self} in a store on {self._blocks!r} {self.fate}",
                UnfrozenChangesWarning,
                filename=where.filename,
                lineno=where.number,
                registry={},
            )
