"""What the views of one store share."""

from __future__ import annotations

import os
import uuid
from threading import RLock
from typing import Final
from weakref import WeakValueDictionary

from ipldstore.cid import Link, as_link
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import ReadOnlyStoreError
from ipldstore.tree.tree import Tree

_DETACHED = (
    "this store is a copy in another process, where what is written would be lost: "
    "write in the process that made the store, or make a store of this process's own with "
    "IPLDStore(store.backend, root=store.root_cid) and bring its root back"
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
    """

    def __init__(
        self,
        backend: ContentAddressableStore,
        root: Link | None = None,
        *,
        token: str | None = None,
        detached: bool = False,
    ) -> None:
        self.backend = backend
        self.lock = RLock()
        self.token = token or uuid.uuid4().hex
        self.tree = Tree(backend.get_block, root)
        self._pid: Final = None if detached else os.getpid()

    @property
    def is_detached(self) -> bool:
        """Whether the store was made in another process, of which this is a copy."""
        return self._pid != os.getpid()

    def check_attached(self) -> None:
        """Raise `ReadOnlyStoreError` in a copy, whose writes would be lost."""
        if self.is_detached:
            raise ReadOnlyStoreError(_DETACHED)

    def _put_node(self, data: bytes) -> Link:
        return as_link(self.backend.put_raw(data, "dag-cbor"))

    def _name_node(self, data: bytes) -> Link:
        return self.backend.make_cid(data, "dag-cbor")

    def freeze(self) -> Link:
        """Put the blocks of what changed and return the root."""
        with self.lock:
            return self.tree.freeze(self._put_node, self._name_node)

    def snapshot(self) -> Link | None:
        """Return the root of what is there now, None if there is nothing."""
        with self.lock:
            return self.freeze() if self.tree.root or not self.tree.is_empty else None

    def open_root(self, root: Link) -> None:
        """Replace the hierarchy by another one, once its root directory is loaded."""
        tree = Tree(self.backend.get_block, root)
        _ = tree.top
        with self.lock:
            self.tree = tree


_own: WeakValueDictionary[str, State] = WeakValueDictionary()
_copies: WeakValueDictionary[tuple[str, Link | None], State] = WeakValueDictionary()


def share(state: State) -> tuple[str, ContentAddressableStore, Link | None]:
    """Return what `restore` needs to find the state again, or to make a copy of it."""
    root = state.snapshot()
    if not state.is_detached:
        _own[state.token] = state
    return state.token, state.backend, root


def restore(token: str, backend: ContentAddressableStore, root: Link | None) -> State:
    """Return the state itself in the process that shared it, elsewhere a detached copy."""
    state = _own.get(token)
    if state is not None and not state.is_detached:
        return state
    state = _copies.get((token, root))
    if state is None:
        state = State(backend, root, token=token, detached=True)
        _copies[token, root] = state
    return state
