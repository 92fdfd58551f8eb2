"""Merges of hierarchies, checked for what always holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ipldstore import MappingCAStore
from ipldstore.cid import Link, as_link
from ipldstore.model.merging import Conflict, Merged, apply_merged, merge_trees
from ipldstore.store.hierarchy import Hierarchy

Content = dict[str, bytes]
Plain = tuple[str, str, str, tuple[int, ...] | None]
"""A conflict without its reason."""


class Merge:
    """Roots on one block store, and what comes of merging them."""

    def __init__(self, blocks: Any = None) -> None:
        self.blocks = MappingCAStore() if blocks is None else blocks

    def root(self, content: Content) -> Link:
        store = Hierarchy(self.blocks, self.blocks.put({}))
        store.update(content)
        return as_link(store.freeze())

    def content(self, root: Link) -> Content:
        store = Hierarchy(self.blocks, root)
        return {key: bytes(value) for key, value in store.items()}

    def run(
        self, bases: Sequence[Link | None], ours: Link | None, theirs: Link | None, resolve: Any
    ) -> Merged:
        name = partial(self.blocks.make_cid, codec="dag-cbor")
        return merge_trees(bases, ours, theirs, self.blocks.get_block, name, resolve=resolve)

    def apply(self, merged: Merged, ours: Link | None, theirs: Link | None) -> Link:
        put = partial(self.blocks.put_raw, codec="dag-cbor")
        return apply_merged(merged, ours, theirs, self.blocks.get_block, put)

    def __call__(
        self,
        bases: Sequence[Link | None],
        ours: Link | None,
        theirs: Link | None,
        resolve: Any = None,
    ) -> tuple[Link | None, list[Conflict]]:
        """Return the root, None in a conflict, and the conflicts; the same from either side."""
        merged = self.run(bases, ours, theirs, resolve)
        swapped = self.run(bases, theirs, ours, swap(resolve))
        found = plain(merged.conflicts)
        assert found == plain(swapped.conflicts)
        if merged.conflicts:
            return None, merged.conflicts
        root = self.apply(merged, ours, theirs)
        assert root == self.apply(swapped, theirs, ours)
        assert root == Merge().root(self.content(root)), "not the canonical root"
        return root, []


def swap(resolve: Any) -> Any:
    answers = {"ours": "theirs", "theirs": "ours"}
    if callable(resolve):
        return lambda conflict: answers.get(resolve(conflict))
    return answers.get(resolve)


def plain(conflicts: Sequence[Conflict]) -> list[Plain]:
    return sorted((tuple(conflict[:4]) for conflict in conflicts), key=repr)  # type: ignore[misc]


def merge_content(
    bases: Content | Sequence[Content], ours: Content, theirs: Content, resolve: Any = None
) -> Content | list[Plain]:
    """Merge hierarchies given by their content; return that of the result, or the conflicts."""
    merge = Merge()
    bases = [bases] if isinstance(bases, dict) else bases
    root, conflicts = merge(
        [merge.root(base) for base in bases], merge.root(ours), merge.root(theirs), resolve
    )
    return plain(conflicts) if root is None else merge.content(root)
