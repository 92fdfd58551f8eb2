"""What the views of one store share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from threading import RLock
from typing import Any, Final
from weakref import WeakValueDictionary

from ipldstore.cid import Link, as_link
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import ReadOnlyStoreError
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

_DETACHED = (
    "this store is a copy in another process, where what is written would be lost: "
    "write through a store.fork(), bring the fork back and store.merge() it in the process that "
    "made the store; dask datasets are written from all processes with "
    "ipldstore.distributed.to_zarr(dataset, store)"
)


class State:
    """A tree on a block store, and the lock around the tree.

    Parameters
    ----------
    backend
        Where the blocks are.
    root
        The hierarchy to begin with; None for an empty one.
    token
        Names the state across processes; a new one if None.
    detached
        Whether it is a copy of a state in another process.
    cache_bytes
        As in `Tree`.
    """

    def __init__(
        self,
        backend: ContentAddressableStore,
        root: Link | None = None,
        *,
        token: str | None = None,
        detached: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self.backend = backend
        self.lock = RLock()
        self.token = token or uuid.uuid4().hex
        self.cache_bytes = cache_bytes
        self.tree = self._make_tree(root)
        self._unflushed: Link | None = None
        self._pid: Final = None if detached else os.getpid()

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
        """Raise `ReadOnlyStoreError` in a copy, whose writes would be lost."""
        if self.is_detached:
            raise ReadOnlyStoreError(_DETACHED)

    def _make_tree(self, root: Link | None) -> Tree:
        return Tree(self.backend.get_block, root, cache_bytes=self.cache_bytes)

    def _put_node(self, data: bytes) -> Link:
        return as_link(self.backend.put_raw(data, "dag-cbor"))

    def name_node(self, data: bytes) -> Link:
        return self.backend.make_cid(data, "dag-cbor")

    @property
    def root(self) -> Link | None:
        """The root; None while changes are not frozen, or not all of its blocks are kept."""
        root = self.tree.root
        return None if root == self._unflushed else root

    def freeze(self) -> Link:
        """Put the blocks of what changed and return the root once all of them are kept."""
        with self.lock:
            changed = self.tree.root is None
            root = self.tree.freeze(self._put_node, self.name_node)
            if changed:
                self._unflushed = root
        self.backend.flush()
        with self.lock:
            if self._unflushed == root:
                self._unflushed = None
        return root

    def note_root(self, root: Link) -> None:
        """Tell the block store a root that was frozen."""
        if not self.is_away:
            self.backend.note_root(root)

    def snapshot(self) -> Link | None:
        """Return the root of what is there now, None if there is nothing."""
        with self.lock:
            is_blank = self.tree.root is None and self.tree.is_empty
        return None if is_blank else self.freeze()

    def mark(self) -> Callable[[], None]:
        """Return what brings the hierarchy back to how it is now."""
        root = self.snapshot()

        def back() -> None:
            self.tree = self._make_tree(root)

        return back

    def open_root(self, root: Link) -> None:
        """Replace the hierarchy by another one, once its root directory is loaded."""
        tree = self._make_tree(root)
        _ = tree.top
        with self.lock:
            self.tree = tree


_run = uuid.uuid4().hex
_own: WeakValueDictionary[str, State] = WeakValueDictionary()
_copies: WeakValueDictionary[tuple[str, Link | None], State] = WeakValueDictionary()


def note_own(state: State) -> None:
    """Remember a state for when it comes back by pickle, if it belongs to this process."""
    if not state.is_away:
        _own[state.token] = state


def find_own(token: str) -> State | None:
    """Return a state that was pickled in this process, to which it belongs."""
    state = _own.get(token)
    return None if state is None or state.is_away else state


def _this_process() -> tuple[int, str]:
    return os.getpid(), _run


def share(state: State) -> tuple[Any, ...]:
    """Return what `restore` needs to find the state again, or to make a copy of it."""
    root = state.snapshot()
    note_own(state)
    home = None if state.is_away else _this_process()
    return state.token, state.backend, root, state.cache_bytes, home


def restore(
    token: str,
    backend: ContentAddressableStore,
    root: Link | None,
    cache_bytes: int,
    home: tuple[int, str] | None,
) -> State:
    """Return the state itself in the process that shared it, elsewhere a detached copy.

    Where nothing in the sharing process holds the state any more, it is made again.
    """
    if (own := find_own(token)) is not None:
        return own
    if home == _this_process():
        state = State(backend, root, token=token, cache_bytes=cache_bytes)
        note_own(state)
        return state
    copy = _copies.get((token, root))
    if copy is None:
        copy = State(backend, root, token=token, detached=True, cache_bytes=cache_bytes)
        _copies[token, root] = copy
    return copy
