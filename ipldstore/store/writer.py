"""A hierarchy as it is written: a reader, what changed in it, and how that is frozen."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link
from ipldstore.errors import DetachedStoreError, UnfrozenChangesError
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.store.expansion import measure
from ipldstore.store.ledger import Ledger
from ipldstore.store.reader import Reader
from ipldstore.store.values import is_canonical, is_entry_of, make_entry
from ipldstore.store.written import Written
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_key
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

_DETACHED = (
    "this store is a copy in another process, where what is written would be lost: "
    "write through a store.fork(), bring the fork back and store.merge() it in the process that "
    "made the store; dask datasets are written from all processes with "
    "ipldstore.distributed.to_zarr(dataset, store)"
)


_ASKED_FOR = 16


class Writer(Reader):
    """A hierarchy that can be changed and frozen; what all views of one store share.

    What changes the tree in several steps that belong together changes a copy, which then takes
    its place in a single one.

    `token` names the hierarchy across processes; a new one does if None. `detached` says whether it
    is a copy of what was made in another process. `unfrozen` are the changes that are in no root
    that anybody was told.
    """

    how_to_keep = (
        "call store.freeze() once all is written, again if it failed, or write within `with store:`"
    )

    def __init__(
        self,
        blocks: ContentAddressableStore,
        root: Link | None = None,
        *,
        token: str | None = None,
        detached: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        super().__init__(blocks, root, cache_bytes=cache_bytes)
        self.token = token or uuid.uuid4().hex
        self._pid: Final = None if detached else os.getpid()
        self.why_detached = _DETACHED
        self.unfrozen = Ledger(blocks, f"are lost: {self.how_to_keep}")
        self._written = Written(blocks)
        self._is_writer = False
        self._found_again = 0
        self._flushed = root
        self.tree.note_change = self._note_change
        if not self.is_detached:
            self.unfrozen.watch(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, share(self)

    @property
    def is_away(self) -> bool:
        """Whether this is a copy of what was made in another process."""
        return self._pid != os.getpid()

    @property
    def is_detached(self) -> bool:
        """Whether what is written here would be lost."""
        return self.is_away

    def check_attached(self) -> None:
        """Raise `DetachedStoreError` in a copy, whose writes would be lost."""
        if self.is_detached:
            raise DetachedStoreError(self.why_detached)

    def _note_change(self, segments: Sequence[str]) -> None:
        self._is_writer = True
        self.unfrozen.note(segments)

    def _put_node(self, data: bytes) -> Link:
        return as_link(self.blocks.put_raw(data, "dag-cbor"))

    @property
    def root(self) -> Link | None:
        """The root; None while changes are not frozen, or not all of its blocks are kept."""
        root = self.tree.root
        return root if root == self._flushed else None

    def keep(self, segments: Sequence[str], data: bytes | memoryview) -> Link | Document:
        """Keep a value and return its entry."""
        kept = self.find_kept(segments, data) if self.waits else None
        return kept or make_entry(self.blocks, segments[-1], data)

    def find_kept(self, segments: Sequence[str], data: bytes | memoryview) -> Link | None:
        """Return the entry of a key that has this very value, so that it need not be sent again.

        That its block is there is asked for the first such values, and then for one of 32.
        """
        entry = self.find_here(segments)
        if not isinstance(entry, Link) or not is_entry_of(self.blocks, entry, data):
            return None
        self._found_again += 1
        is_sure = self._found_again > _ASKED_FOR and self._found_again % (2 * _ASKED_FOR)
        if (is_sure and not self._has_missed) or self.blocks.has(entry):
            return entry
        self._found_again = 0
        return None

    @property
    def _has_missed(self) -> bool:
        return self.recent is not None and self.recent.has_missed

    def insert(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Set the entry of a value, whose blocks were put."""
        if self.waits:
            self.fetch(segments)
        with self.lock():
            self._written.note(segments, entry)
            self.tree.insert(segments, entry)

    def insert_if_absent(self, segments: Sequence[str], entry: Link | Document) -> Link | Document:
        """Set the entry of a value, whose blocks were put, if there is none; return what is there.

        It is one step: of several threads that do so at once the first one wins.
        """
        with self.lock():
            present = self.tree.find(segments)
            if present is not None:
                return present
            self._written.note(segments, entry)
            self.tree.insert(segments, entry)
            return entry

    def remove(self, segments: Sequence[str], entry: Link | Document | None = None) -> bool:
        """Remove a value, if an entry is given only that one; False if it is not there."""
        with self.lock():
            if entry is not None and self.tree.find(segments) != entry:
                return False
            return self.tree.remove(segments)

    def remove_directory(self, segments: Sequence[str]) -> None:
        """Remove a directory and all in it, if it is there."""
        with self.lock():
            self.tree.remove_directory(segments)
            if not segments:
                self._is_writer = True
                self.unfrozen.clear()

    def normalize(self, *, max_files: int | None, max_bytes: int | None) -> None:
        """Make the next `freeze` write anew all that is not in the canonical form."""
        with self.lock():
            content = measure(self.blocks, self.tree.top)
            content.check_held()
            content.check(max_files, max_bytes, parts="keys")
            others = [
                (key, entry)
                for key, entry in self.tree.iter_entries(max_keys=MAX_HELD_KEYS)
                if isinstance(entry, Link)
                and not is_canonical(self.blocks, key.rpartition("/")[2], entry)
            ]
            for key, entry in others:
                segments = split_key(key)
                data = bytes(self.read(key, entry))
                self.tree.insert(segments, make_entry(self.blocks, segments[-1], data))
            self.tree.touch_all()

    def freeze(self) -> Link:
        """Put the blocks of what changed, and lost nodes again; return the root if all are kept."""
        return self._freeze(is_asking=True)

    def _freeze(self, *, is_asking: bool = False) -> Link:
        with self.lock():
            if is_asking and self._is_writer:
                self._written.check(self.tree)
                self.tree.renew_lost(
                    self._written.find_missing,
                    self.name_node,
                    self.blocks.put_block,
                    lambda: self._written.check_others(self.tree),
                )
            root = self._freeze_tree()
        self.blocks.flush()
        with self.lock():
            if self.tree.root == root:
                self._flushed = root
                if is_asking:
                    self._written.note_frozen()
        return root

    def _freeze_tree(self) -> Link:
        root = self.tree.freeze(self._put_node)
        self.tree.prune(self.name_node)
        return root

    def note_handed_out(self, root: Link) -> None:
        """Note that somebody was told a root: its content is not lost with this writer."""
        if self.unfrozen:
            with self.lock():
                if self.tree.root == root:
                    self.unfrozen.clear()

    def note_root(self, root: Link) -> None:
        """Tell the block store a root that was frozen."""
        if not self.is_away:
            self.blocks.note_root(root)

    def snapshot(self) -> Link | None:
        """Return the root of what is there now, None if there is nothing."""
        with self.lock():
            is_blank = self.tree.root is None and self.tree.is_empty
        return None if is_blank else self._freeze()

    def prepare_copy(self) -> None:
        """Do what must be done before the lock is taken for `copy_tree` and `adopt`."""

    def copy_tree(self) -> Tree:
        """Return a tree of what is here now, for changes to be made aside; the lock is held."""
        is_blank = self.tree.root is None and self.tree.is_empty
        return self._make_tree(None if is_blank else self._freeze_tree())

    def adopt(self, tree: Tree, changes: Mapping[str, Link | Document | None]) -> None:
        """Put a changed copy in the place of the tree; the lock is held.

        The tree is what `copy_tree` returned, changed. `changes` are what the keys have now that
        were changed in it, None where they were removed.
        """
        for key, entry in changes.items():
            segments = key.split("/")
            self._note_change(segments)
            if entry is not None:
                self._written.note(segments, entry)
        tree.share_kept(self.tree)
        tree.note_change = self._note_change
        self.tree = tree

    def check_frozen(self) -> None:
        """Raise `UnfrozenChangesError` if there are changes in no root that anybody was told."""
        if self.unfrozen:
            raise UnfrozenChangesError(
                f"{self.unfrozen} would be lost: freeze() the store first, or say discard=True"
            )

    def open_root(self, root: Link, *, discard: bool = False) -> None:
        """Replace the hierarchy by another one, once its root directory is loaded."""
        tree = self._make_tree(root)
        tree.note_change = self._note_change
        _ = tree.top
        with self.lock():
            if not discard:
                self.check_frozen()
            self._flushed = root
            self.tree = tree
            self._written = Written(self.blocks)
            self.unfrozen.clear()


_run = uuid.uuid4().hex
_own: WeakValueDictionary[str, Writer] = WeakValueDictionary()
_made: WeakValueDictionary[tuple[str, Link | None], Writer] = WeakValueDictionary()


def note_own(writer: Writer) -> None:
    """Remember a writer for when it comes back by pickle, if it belongs to this process."""
    if not writer.is_away:
        _own[writer.token] = writer


def find_own(token: str) -> Writer | None:
    """Return a writer that was pickled in this process, to which it belongs."""
    writer = _own.get(token)
    return None if writer is None or writer.is_away else writer


def this_process() -> tuple[int, str]:
    """Tell this process from others."""
    return os.getpid(), _run


def share(writer: Writer) -> tuple[Any, ...]:
    """Return what `restore` needs to find the writer again, or to make a copy of it."""
    root = writer.snapshot()
    note_own(writer)
    home = None if writer.is_away else this_process()
    return writer.token, writer.blocks, root, writer.cache_bytes, home


def restore(
    token: str,
    blocks: ContentAddressableStore,
    root: Link | None,
    cache_bytes: int,
    home: tuple[int, str] | None,
) -> Writer:
    """Return the writer itself in the process that shared it, elsewhere a detached copy.

    Where nothing in the sharing process holds the writer any more, it is made again, as it was
    when it was shared: one for each content that was, as long as that one is held.
    """
    if (own := find_own(token)) is not None:
        return own
    is_home = home == this_process()
    made = _made.get((token, root))
    if made is None or made.is_away == is_home:
        made = Writer(
            blocks,
            root,
            token=None if is_home else token,
            detached=not is_home,
            cache_bytes=cache_bytes,
        )
        _made[token, root] = made
    return made
