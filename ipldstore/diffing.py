"""What changed between two hierarchies: `diff`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.model.differences import Difference, Source, iter_differences
from ipldstore.names.finding import (
    Blocks,
    HierarchyLike,
    found_root,
    read_root,
    share_blocks,
)
from ipldstore.store.deprecated import renamed
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.nodes import Directory


class Change(NamedTuple):
    """A key in which two hierarchies differ.

    Attributes
    ----------
    key : str
        The key.
    kind : str
        ``"added"``, ``"removed"`` or ``"changed"``.
    old, new : str or None
        The CIDs of the values, None where there is none. That of a JSON document is the CID of
        its own DAG-CBOR encoding, whether it stands in a block of its own or not.
    array : str or None
        The path of the array (empty for the root) where the key is that of a chunk.
    chunk : tuple of int or None
        The place of the chunk (or shard) in the array's grid, ``()`` in a scalar array.
    """

    key: str
    kind: Literal["added", "removed", "changed"]
    old: str | None
    new: str | None
    array: str | None = None
    chunk: tuple[int, ...] | None = None


def diff(
    a: HierarchyLike,
    b: HierarchyLike,
    blocks: Blocks | None = None,
    *,
    backend: Blocks | None = None,
) -> Iterator[Change]:
    """Iterate the keys in which two hierarchies differ, in natural order.

    Directories and pages that both share are not loaded, nor are values; how much is loaded
    depends on how much differs. Where one has a value and the other a directory, the value and
    all below the directory are removed or added.

    Parameters
    ----------
    a, b
        The old and the new hierarchy: each a store, as it stands, frozen or not, or what
        `ipldstore.open` takes: a root, a revision, a CAR file.
    blocks
        Where the blocks of roots are, as in `ipldstore.open`; if None, also where those of the
        other one are, if it is a store.
    backend
        The former name of `blocks`.

    Returns
    -------
    iterator of Change
        Of an unfrozen store that is written to meanwhile, the state when it is reached.

    Raises
    ------
    BlockStoreURLError, BackendError, InvalidCIDError
        As `ipldstore.open`.
    BlockNotFoundError, CorruptBlockError, InvalidNodeError
        While iterating, if a node that not both share cannot be had or read.

    Examples
    --------
    >>> import ipldstore
    >>> store = ipldstore.IPLDStore()
    >>> store["a/0"] = b"old"
    >>> root = store.freeze()
    >>> store["a/0"] = b"new"
    >>> [(change.key, change.kind) for change in ipldstore.diff(root, store)]
    [('a/0', 'changed')]
    """
    with ExitStack() as stack:
        shared = share_blocks((a, b), renamed(blocks, backend), stack)
        sides = [_find_side(*side, stack) for side in zip((a, b), shared, strict=True)]
        if sides[0].root != sides[1].root:
            sides = [side.lead() for side in sides]
        opened = stack.pop_all()
    old, new = (side.root for side in sides)
    differences = iter_differences(old, new, (sides[0].source, sides[1].source))
    changes = _iter_locked(
        differences, [side.lock for side in sides if side.lock is not None], opened
    )
    next(changes)  # so that closing it closes what was opened, also if nobody iterates it
    return changes


class _Side(NamedTuple):
    """One of the two hierarchies: its root, where its blocks are, and its lock if it may change.

    `read` is the root's block if it was read already.
    """

    root: Link | Directory
    blocks: ContentAddressableStore
    lock: Guard | None = None
    read: bytes | None = None

    def lead(self) -> _Side:
        """Return the side with the root that a CID leads to."""
        if isinstance(self.root, Directory):
            return self
        root, read = read_root(self.blocks, self.root)
        return self._replace(root=root, read=read)

    @property
    def source(self) -> Source:
        return Source(self._load, partial(self.blocks.make_cid, codec="dag-cbor"))

    def _load(self, link: Link) -> bytes:
        if self.read is not None and link == self.root:
            return self.read
        return self.blocks.get_block(link)


def _find_side(
    hierarchy: HierarchyLike, blocks: ContentAddressableStore | None, stack: ExitStack
) -> _Side:
    if not isinstance(hierarchy, Hierarchy):
        return _Side(*stack.enter_context(found_root(hierarchy, blocks, leads=False)))
    standing = hierarchy.reader.standing
    lock = hierarchy.reader.lock if isinstance(standing, Directory) else None
    return _Side(standing, hierarchy.blocks, lock)


def _iter_locked(
    differences: Iterator[Difference], locks: Iterable[Guard], opened: ExitStack
) -> Iterator[Any]:
    locks = sorted(set(locks), key=id)
    with opened:
        yield None
        while (found := _next_within(locks, differences)) is not None:
            yield _make_change(found)


def _next_within(locks: list[Guard], differences: Iterator[Difference]) -> Difference | None:
    if not locks:
        return next(differences, None)
    with locks[0]():
        return _next_within(locks[1:], differences)


def _make_change(found: Difference) -> Change:
    old, new = (None if link is None else to_text(link) for link in (found.old, found.new))
    kind: Literal["added", "removed", "changed"] = (
        "added" if old is None else "removed" if new is None else "changed"
    )
    return Change(found.key, kind, old, new, found.array, found.chunk)
