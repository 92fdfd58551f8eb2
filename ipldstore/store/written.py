"""The values that were put and are in no root yet, and whether they are still there."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.errors import BlockNotFoundError
from ipldstore.tree.documents import Document
from ipldstore.tree.tree import Tree

_MOST_NAMED = 5
_LOOKED_FOR = 16
_LOOKED_FOR_THEN = 1000


class Written:
    """What was written since it was frozen, as far as it is looked for again.

    To look for every value would take as long as to write small ones. The first ones are those
    that are collected first, by age, and with a folder that was emptied all are gone.
    """

    def __init__(self, blocks: ContentAddressableStore) -> None:
        self._blocks = blocks
        self._first: list[tuple[Link, Sequence[str]]] = []
        self._last: deque[tuple[Link, Sequence[str]]] = deque(maxlen=_LOOKED_FOR)

    def note(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Note a value that is about to be set."""
        if isinstance(entry, Link):
            noted = self._last if len(self._first) >= _LOOKED_FOR else self._first
            noted.append((entry, segments))

    def note_frozen(self) -> None:
        """Forget the values, which are in a root now."""
        self._last.clear()
        self._first.clear()

    def check(self, tree: Tree) -> None:
        """Raise `BlockNotFoundError` if a value that the tree holds is not there any more."""
        values = {tuple(segments): link for link, segments in (*self._first, *self._last)}
        lost = self.find_missing(values.values())
        keys = [
            "/".join(segments)
            for segments, link in values.items()
            if link in lost and tree.find(segments) == link
        ]
        if keys:
            named = ", ".join(map(repr, sorted(keys)[:_MOST_NAMED]))
            more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
            raise BlockNotFoundError(
                f"values that were written went from {self._blocks!r} before they were frozen; "
                f"of those that were looked for: {named}{more}; write all again"
            )

    def check_others(self, tree: Tree) -> None:
        """Raise `BlockNotFoundError` if values that were frozen before are gone too.

        Where a directory was lost, what emptied the block store took them as well.
        """
        lost = self.find_missing(list(islice(tree.iter_loaded_values(), _LOOKED_FOR_THEN)))
        if lost:
            raise BlockNotFoundError(
                f"directories and {len(lost)} or more values went from {self._blocks!r}, such as "
                f"{to_text(min(lost))}: the directories are put again, the values cannot be; put "
                "them back from a copy, or write all again"
            )

    def find_missing(self, links: Collection[Link]) -> set[Link]:
        """Return those of several blocks that are not there, also to an event loop's thread."""
        if not links:
            return set()
        if self._blocks.is_local or not _is_on_loop():
            return self._blocks.find_missing(links)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1, "ipldstore-ask") as pool:
            return pool.submit(self._blocks.find_missing, links).result()


def _is_on_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
