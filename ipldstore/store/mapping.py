"""The mapping face of a store: keys to bytes, freezing, roots and CAR archives."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ipldstore.backends.mapping import MappingCAStore
from ipldstore.cid import CIDLike, Link, as_link, to_cid, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidKeyError, IPLDStoreError, ReadOnlyStoreError
from ipldstore.store import archive
from ipldstore.store.forks import Rule, changes_of, make_fork, merge_changes
from ipldstore.store.state import State
from ipldstore.store.values import Cut, is_canonical, make_entry, read_value
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_key, split_path
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES

if TYPE_CHECKING:
    from multiformats import CID

_READ_ONLY = "store was opened in read-only mode and does not support writing"


class HierarchyMapping(MutableMapping[str, bytes]):
    """A hierarchy of keys and values on a content-addressed block store.

    It needs no zarr; `ipldstore.IPLDStore` is this and a Zarr store.

    Parameters
    ----------
    backend
        Where the blocks are kept; a `MappingCAStore` over a new ``dict`` if none is given.
    root
        CID of the hierarchy to open; an empty one if none is given.
    read_only
        Whether the store refuses to be written through.
    cache_bytes
        How many bytes of directory blocks may be loaded before those that did not change are
        dropped again; in memory they take about five times that.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, InvalidCIDError
        If the root cannot be opened.
    """

    _state: State
    _read_only: bool

    def __init__(
        self,
        backend: ContentAddressableStore | None = None,
        *,
        root: CIDLike | None = None,
        read_only: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        if backend is None:
            backend = MappingCAStore()
        if not isinstance(backend, ContentAddressableStore):
            raise TypeError(
                f"expected a ContentAddressableStore, not {type(backend).__name__}; "
                "a mapping goes into MappingCAStore(mapping)"
            )
        state = State(backend, cache_bytes=cache_bytes)
        if root is not None:
            state.open_root(as_link(root))
        self._attach(state, read_only)

    def _attach(self, state: State, read_only: bool) -> None:
        self._state = state
        self._read_only = read_only

    @classmethod
    def _view(cls, state: State, read_only: bool) -> Self:
        store = cls.__new__(cls)
        store._attach(state, read_only)
        return store

    @property
    def backend(self) -> ContentAddressableStore:
        """The block store."""
        return self._state.backend

    @property
    def read_only(self) -> bool:
        """Whether writing is refused: in a read-only view, and in a copy in another process."""
        return self._read_only or self._state.is_detached

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return another view of the same hierarchy.

        Parameters
        ----------
        read_only
            Whether the view refuses to be written through.

        Raises
        ------
        ReadOnlyStoreError
            If a writable view is asked for in another process than that which made the store.
        """
        if not read_only:
            self._state.check_attached()
        return self._view(self._state, read_only)

    @property
    def root_cid(self) -> CID | None:
        """The CID of the whole hierarchy; None while changes are not frozen."""
        root = self._state.tree.root
        return None if root is None else to_cid(root)

    def freeze(self) -> CID:
        """Put the blocks of all that changed and return the root CID of the hierarchy.

        Raises
        ------
        BackendError
            If a block cannot be kept; the changes are still there, and not frozen.
        """
        return to_cid(self._state.freeze())

    def set_root(self, root: CIDLike) -> None:
        """Open another hierarchy on the same block store; changes that are not frozen are gone.

        Parameters
        ----------
        root
            Its root CID, in any form.

        Raises
        ------
        InvalidCIDError
            If the CID is malformed.
        BlockNotFoundError, CorruptBlockError
            If the root block cannot be had.
        InvalidNodeError
            If it is not a directory. In all these cases the store is as it was.
        """
        self._check_writable()
        self._state.open_root(as_link(root))

    def normalize(self) -> CID:
        """Rewrite every part of the hierarchy that is not in the canonical form, and freeze.

        Roots written by older software then get the CID that writing the same content anew
        would give. Loads every directory and metadata document, and every value whose link does
        not tell that it is canonical.
        """
        self._check_writable()
        with self._state.lock:
            for key, entry in list(self._state.tree.iter_entries()):
                name = key.rpartition("/")[2]
                if isinstance(entry, Link) and not is_canonical(self.backend, name, entry):
                    self[key] = bytes(self._read(key, entry))
            self._state.tree.touch_all()
            return self.freeze()

    def fork(self) -> Self:
        """Return a writer for another thread or process, whose changes can be merged.

        It begins from the hierarchy as it stands, which is frozen for that, and puts its blocks
        into the same block store. It can be pickled: sent to another process before it is used,
        it can be written there, and sent back it brings its changes along, to be merged. One that
        was used before it is sent can be read, forked and merged there, and not written.

        Returns
        -------
        IPLDStore
            Its `freeze` gives the root of what it began from with its changes.

        Raises
        ------
        ReadOnlyStoreError
            If this is a read-only view.
        """
        if self._read_only:
            raise ReadOnlyStoreError(_READ_ONLY)
        return self._view(make_fork(self._state), False)

    def merge(self, *forks: HierarchyMapping, on_conflict: Rule | None = None) -> None:
        """Make the changes of forks here, all or none; nothing is frozen afterwards.

        What counts is how a fork differs from what it began with: a key that got its old value
        again is not changed. Merging a fork twice does no harm, but to write on after a merge,
        make another fork.

        Parameters
        ----------
        forks
            Forks of this store on its block store, or of an earlier state of it.
        on_conflict
            Called as ``on_conflict(key, values)`` for each key that was changed in different
            ways, with the different values in order: that of this store, if it was changed here
            since a fork was made, then those of the forks; None where it was deleted. Returns
            the value that the key shall have, None to delete it.

        Raises
        ------
        MergeConflictError
            If keys were changed in different ways and there is no rule, or keys would be values
            and directories at once.
        BlockNotFoundError
            If a fork wrote its blocks elsewhere.
        """
        self._check_writable()
        parts = [changes_of(getattr(fork, "_state", None)) for fork in forks]
        merge_changes(self._state, parts, on_conflict)

    def __getitem__(self, key: str) -> bytes:
        entry = self._find(key)
        if entry is None:
            raise KeyError(key)
        return bytes(self._read(key, entry))

    def __setitem__(self, key: str, value: bytes) -> None:
        self._check_writable()
        segments = split_key(key)
        data = value if isinstance(value, bytes) else memoryview(value).tobytes()
        self._insert(segments, make_entry(self.backend, segments[-1], data))

    def __delitem__(self, key: str) -> None:
        self._check_writable()
        segments = split_key(key)
        with self._state.lock:
            if not self._state.tree.remove(segments):
                raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self._find(key) is not None
        except InvalidKeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        return self._iter_keys([])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        with self._state.lock:
            return not self._state.tree.is_empty

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HierarchyMapping):
            return NotImplemented
        if self._state is other._state:
            return True
        if self.backend != other.backend:
            return False
        roots = self._state.tree.root, other._state.tree.root
        if None not in roots:
            return roots[0] == roots[1]
        return self._entries() == other._entries()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        root = self._state.tree.root
        what = "not frozen" if root is None else to_text(root)
        return f"<IPLDStore {what} on {self.backend!r}{', read-only' * self.read_only}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self._read_only, self._state)

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        root = self._state.tree.root
        content = uuid.uuid4().hex if root is None else to_text(root)
        return "ipldstore.IPLDStore", repr(self.backend), content

    def clear(self) -> None:
        """Remove every key, at once."""
        self._check_writable()
        self._remove_directory("")

    def to_car(
        self,
        destination: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        since: CIDLike | None = None,
        path: str = "",
    ) -> bytes | int:
        """Freeze, and write the whole hierarchy, or a part of it, as a CARv1 archive.

        Its blocks come depth first from the root, each once.

        Parameters
        ----------
        destination
            A path, which appears once the archive is complete, or a binary stream.
        since
            The root of what the other side has, such as an earlier version. Its blocks are left
            out: importing the archive where they are completes it. What lies under nodes that
            both roots share is not looked through, so that a value that is there and in a new
            place as well is sent again.
        path
            The group or array that becomes the archive's root, instead of the whole hierarchy.

        Returns
        -------
        bytes or int
            The archive, or the number of bytes written where a destination is given.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError
            If a block of the hierarchy, or the root block of `since`, cannot be had.
        InvalidKeyError
            If the path is malformed, or not that of a directory.
        """
        root = self._state.freeze()
        known = None if since is None else as_link(since)
        return archive.export(self.backend, root, destination, since=known, path=path)

    def import_car(self, source: archive.Source) -> CID:
        """Read a CAR archive, keep its blocks and open its root.

        Parameters
        ----------
        source
            A CARv1 or CARv2 archive with one root: its bytes, its path, or a binary stream.

        Returns
        -------
        multiformats.CID
            The root.

        Raises
        ------
        CarFormatError
            If the archive is malformed, truncated, or holds a block that does not match its CID.
        BlockNotFoundError
            If blocks under the root are missing, in the archive and in the block store.
        InvalidNodeError
            If the root is not a directory. In all these cases the store's content is as it was;
            blocks that arrived may stay in the block store.
        """
        self._check_writable()
        root = archive.load(self.backend, source)
        self._state.open_root(root)
        return to_cid(root)

    @classmethod
    def from_car(
        cls, source: archive.Source, backend: ContentAddressableStore | None = None
    ) -> Self:
        """Make a store of a CAR archive; see `import_car`."""
        store = cls(backend)
        store.import_car(source)
        return store

    def _check_writable(self) -> None:
        self._state.check_attached()
        if self._read_only:
            raise ReadOnlyStoreError(_READ_ONLY)

    def _find(self, key: str) -> Link | Document | None:
        segments = split_key(key)
        with self._state.lock:
            return self._state.tree.find(segments)

    def _insert(self, segments: list[str], entry: Link | Document) -> None:
        with self._state.lock:
            self._state.tree.insert(segments, entry)

    def _read(self, key: str, entry: Link | Document, cut: Cut | None = None) -> bytes | memoryview:
        try:
            return read_value(self.backend, entry, cut)
        except IPLDStoreError as error:
            error.add_note(f"while reading key {key!r}")
            raise

    def _iter_keys(self, segments: list[str]) -> Iterator[str]:
        tree = self._state.tree
        entries = tree.iter_entries(segments)
        while True:
            with self._state.lock:
                key = next(entries, (None, None))[0]
            if key is None:
                return
            yield key

    def _entries(self) -> dict[str, Link]:
        with self._state.lock:
            return {
                key: self.backend.make_cid(entry.encoded, "dag-cbor")
                if isinstance(entry, Document)
                else entry
                for key, entry in self._state.tree.iter_entries()
            }

    def _list_directory(self, path: str) -> list[str]:
        segments = split_path(path)
        with self._state.lock:
            return self._state.tree.list_directory(segments)

    def _remove_directory(self, path: str) -> None:
        segments = split_path(path)
        with self._state.lock:
            self._state.tree.remove_directory(segments)


def _unpickle(cls: type[HierarchyMapping], read_only: bool, state: State) -> HierarchyMapping:
    return cls._view(state, read_only)
