"""A hierarchy as a whole: its root, its views and forks, and how it goes elsewhere."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import CIDLike, Link, as_link, to_text
from ipldstore.contentstore import ContentAddressableStore, require_block_store
from ipldstore.errors import IPLDStoreError, ReadOnlyStoreError
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.store import archive
from ipldstore.store.forks import Rule, changes_of, make_fork, merge_changes
from ipldstore.store.state import State
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES

if TYPE_CHECKING:
    from types import TracebackType

    from ipldstore.backends.ipfs.store import IPFSStore
    from ipldstore.cidobject import CID
    from ipldstore.store.publish import Published

_READ_ONLY = (
    "store was opened in read-only mode and does not support writing: open it with read_only=False"
)


class Hierarchy:
    """What an `IPLDStore` does with all of its content at once; parameters as there."""

    _state: State
    _read_only: bool

    def __init__(
        self,
        backend: ContentAddressableStore | None = None,
        root: CIDLike | None = None,
        *,
        read_only: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        if backend is None:
            backend = MappingCAStore()
        require_block_store(backend)
        state = State(backend, cache_bytes=cache_bytes)
        root = backend.noted_root if root is None else backend.resolve(root)
        if root is not None:
            state.open_root(root)
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
        """Whether writing is refused, as in a read-only view and in a copy in another process."""
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
        root = self._state.root
        if root is None:
            return None
        self._state.note_handed_out(root)
        return _cid_of(root)

    def freeze(self) -> CID:
        """Put the blocks of all that changed and return the root CID of the hierarchy.

        Directories that the block store has lost since this store loaded or put them are put
        again. A store without keys gives the root of the empty hierarchy, the same for all; `info`
        tells what is under a root.

        Raises
        ------
        BackendError
            If a block cannot be kept; the changes are still there, and not frozen.
        BlockNotFoundError
            If values that were written are not in the block store any more, or a directory that
            this store loaded or put is neither there nor in memory; the same holds then. Of
            many values the first and last are looked for; `ipldstore.verify` looks for all.
        ReentrantCallError
            If a signal handler calls it in the middle of another call.
        """
        root = self._freeze()
        if not self._read_only:
            self._state.note_root(root)
        return _cid_of(root)

    def _freeze(self) -> Link:
        root = self._state.freeze()
        self._state.note_handed_out(root)
        return root

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Freeze what was written, but not after an exception, and close."""
        if error is not None:
            # what went wrong first is what counts
            with suppress(IPLDStoreError):
                self.close()
            return
        try:
            if not self.read_only:
                self.freeze()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connections and files of the block store; nothing is frozen by that.

        What is used afterwards opens them anew.
        """
        self.backend.close()

    def set_root(self, root: CIDLike, *, discard: bool = False) -> None:
        """Open another hierarchy on the same block store.

        Datasets and arrays that were opened from this store follow it to the other hierarchy. To
        compare two, open each of them by itself, with `ipldstore.open`.

        Parameters
        ----------
        root
            Its root CID, in any form.
        discard
            Whether changes that are not frozen may be lost.

        Raises
        ------
        UnfrozenChangesError
            If there are changes that are not frozen, and they are not to be discarded.
        InvalidCIDError
            If the CID is malformed.
        BlockNotFoundError, CorruptBlockError
            If the root block cannot be had.
        InvalidNodeError
            If it is not a directory. In all these cases the store is as it was.
        """
        self._check_writable()
        self._state.open_root(self.backend.resolve(root), discard=discard)

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

    def merge(self, *forks: Hierarchy, on_conflict: Rule | None = None) -> None:
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
        for fork in forks:
            fork._state.unfrozen.clear()

    def __repr__(self) -> str:
        root = self._state.root
        what = "not frozen" if root is None else to_text(root)
        return f"<IPLDStore {what} on {self.backend!r}{', read-only' * self.read_only}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self._read_only, self._state)

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        root = self._state.root
        content = uuid.uuid4().hex if root is None else to_text(root)
        return "ipldstore.IPLDStore", repr(self.backend), content

    def to_car(
        self,
        destination: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        since: CIDLike | None = None,
        path: str = "",
        overwrite: bool = False,
    ) -> bytes | int:
        """Freeze, and write the whole hierarchy, or a part of it, as a CARv1 archive.

        Its blocks come depth first from the root, each once.

        Parameters
        ----------
        destination
            A path, which appears once the archive is complete, or a binary stream, also as the
            path of a pipe or a device.
        since
            The root of what the other side has, such as an earlier version. Its blocks are left
            out: importing the archive where they are completes it. What lies under nodes that
            both roots share is not looked through, so that a value that is there and in a new
            place as well is sent again.
        path
            The group or array that becomes the archive's root, instead of the whole hierarchy.
        overwrite
            Whether a file that is there is written over, at once and not before the new one is
            complete.

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
        FileExistsError
            If there is a file, and it is not to be written over.
        OSError
            If no file can be made there.
        """
        root = self._freeze()
        known = None if since is None else as_link(since)
        return archive.export(
            self.backend, root, destination, since=known, path=path, overwrite=overwrite
        )

    def import_car(
        self, source: archive.Source, *, discard: bool = False, allow_padding: bool = False
    ) -> CID:
        """Read a CAR archive, keep its blocks and open its root.

        Parameters
        ----------
        source
            A CARv1 or CARv2 archive with one root: its bytes, its path, or a binary stream.
        discard
            Whether changes that are not frozen may be lost.
        allow_padding
            Whether zeros may follow the last section, as in archives that are padded for Filecoin.

        Returns
        -------
        CID
            The root.

        Raises
        ------
        UnfrozenChangesError
            If there are changes that are not frozen, and they are not to be discarded.
        CarFormatError
            If the archive is malformed, truncated, or holds a block that does not match its CID.
        BlockNotFoundError
            If blocks under the root are missing, in the archive and in the block store.
        InvalidNodeError
            If the root is not a directory. In all these cases the store's content is as it was;
            blocks that arrived may stay in the block store.
        """
        self._check_writable()
        if not discard:
            self._state.check_frozen()
        root = archive.load(self.backend, source, allow_padding=allow_padding)
        self._state.open_root(root, discard=discard)
        return _cid_of(root)

    @classmethod
    def from_car(
        cls,
        source: archive.Source,
        backend: ContentAddressableStore | None = None,
        *,
        allow_padding: bool = False,
    ) -> Self:
        """Make a store of a CAR archive; see `import_car`."""
        store = cls(backend)
        store.import_car(source, allow_padding=allow_padding)
        return store

    def to_unixfs(self, *, max_files: int | None = None, max_bytes: int | None = None) -> CID:
        """Freeze, and keep the hierarchy also as a UnixFS directory of plain files.

        It shares the blocks of the values, and is what ``ipfs add -r --hidden`` makes in the
        profile ``unixfs-v1-2025`` of the files that ``ipldstore get`` writes. Anything that reads
        IPFS directories reads it without this package.

        Parameters
        ----------
        max_files, max_bytes
            How many files there may be, and of how many bytes, if that is far more than what the
            distinct blocks hold: a few blocks can repeat each other without end. A million and
            64 GiB if None.

        Returns
        -------
        CID
            The directory's CID.

        Raises
        ------
        LimitExceededError
            If the hierarchy stands for more; nothing is written then.
        BlockNotFoundError, CorruptBlockError
            If a block of the hierarchy cannot be had.
        BackendError
            If a block cannot be kept.
        """
        from ipldstore.store.plain import write_plain

        directory = write_plain(
            self.backend, self._freeze(), max_files=max_files, max_bytes=max_bytes
        )
        self.backend.flush()
        return _cid_of(directory)

    @classmethod
    def from_unixfs(
        cls, directory: CIDLike, backend: ContentAddressableStore, *, max_keys: int | None = None
    ) -> Self:
        """Make a store of a UnixFS directory of plain files, and freeze it.

        Values keep their blocks where these are cut as this package cuts them; other files are
        read and written anew. Empty directories are left out.

        Parameters
        ----------
        directory
            The directory's CID, in any form.
        backend
            Where its blocks are, and where those of the hierarchy go.
        max_keys
            How many files, directories and shards there may be; ten million if None.

        Raises
        ------
        InvalidNodeError
            If a block is malformed, or neither of a file nor of a directory.
        InvalidKeyError
            If a path is no key.
        LimitExceededError
            If there is more than `max_keys`, or a file that has to be written anew has more than
            1 GiB.
        BlockNotFoundError, CorruptBlockError
            If a block cannot be had.
        """
        from ipldstore.store.plain import read_plain

        store = cls(backend)
        root = backend.resolve(directory)
        read_plain(backend, root, store._state.tree, max_keys=max_keys or MAX_HELD_KEYS)
        store.freeze()
        return store

    def publish(
        self,
        node: IPFSStore | str | None = None,
        *,
        name: str | None = None,
        key: str | None = None,
        replace: CIDLike | None = None,
        announce: bool = True,
    ) -> Published:
        """Freeze, and have an IPFS node keep and offer the hierarchy.

        Parameters
        ----------
        node
            The node, or its address. If None: that of the block store, else the local one.
        name, key, replace, announce
            The name of the pin; the IPNS key to point at the root; the root whose pin goes; and
            whether to tell the network. See `ipldstore.store.publish.publish`.

        Returns
        -------
        Published
            The root, and what was done.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError
            If a block of the hierarchy cannot be had.
        BackendError
            If the node cannot be reached or fails, or `replace` is not pinned.
        """
        from ipldstore.store.publish import publish

        root = self._freeze()
        return publish(
            root, self.backend, node, name=name, key=key, replace=replace, announce=announce
        )

    def _check_writable(self) -> None:
        self._state.check_attached()
        if self._read_only:
            raise ReadOnlyStoreError(_READ_ONLY)


def _unpickle(cls: type[Hierarchy], read_only: bool, state: State) -> Hierarchy:
    return cls._view(state, read_only)


def _cid_of(link: Link) -> CID:
    from ipldstore.cidobject import to_cid  # which imports multiformats

    return to_cid(link)
