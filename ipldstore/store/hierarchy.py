"""A hierarchy as users hold it: a mapping of keys to bytes, with a root, forks and archives."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.blockstore.contract import ContentAddressableStore, require_block_store
from ipldstore.cid import CIDLike, Link, as_link, to_text
from ipldstore.errors import IPLDStoreError, ReadOnlyStoreError
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.store import archive
from ipldstore.store.deprecated import renamed
from ipldstore.store.forks import NO_FORK, Changes, Rule, changes_of, make_fork, merge_changes
from ipldstore.store.reader import Reader
from ipldstore.store.values import make_entry, to_bytes
from ipldstore.store.writer import Writer
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_if_key, split_if_path, split_key
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES

if TYPE_CHECKING:
    from types import TracebackType

    from ipldstore.backends.ipfs.store import IPFSStore
    from ipldstore.formats.cidobject import CID
    from ipldstore.store.publish import Published

_READ_ONLY = (
    "store was opened in read-only mode and does not support writing: open it with read_only=False"
)
_MISSING: Final = object()


class Hierarchy(MutableMapping[str, bytes]):
    """A hierarchy of keys and values on a content-addressed block store.

    It needs no zarr; `ipldstore.IPLDStore` is this and a Zarr store.

    Parameters
    ----------
    blocks
        Where the blocks are kept; a `MappingCAStore` over a new ``dict`` if none is given.
    root
        CID of the hierarchy to open; an empty one if none is given.
    read_only
        Whether the store refuses to be written through.
    cache_bytes
        How many bytes of directory blocks may be loaded before those that did not change are
        dropped again; in memory they take about five times that.
    backend
        Former name of `blocks`.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, InvalidCIDError
        If the root cannot be opened.
    """

    _writer: Writer
    _read_only: bool

    def __init__(
        self,
        blocks: ContentAddressableStore | None = None,
        root: CIDLike | None = None,
        *,
        read_only: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        backend: ContentAddressableStore | None = None,
    ) -> None:
        blocks = renamed(blocks, backend)
        if blocks is None:
            blocks = MappingCAStore()
        require_block_store(blocks)
        writer = Writer(blocks, cache_bytes=cache_bytes)
        root = blocks.noted_root if root is None else blocks.resolve(root)
        if root is not None:
            writer.open_root(root)
        self._attach(writer, read_only)

    def _attach(self, writer: Writer, read_only: bool) -> None:
        self._writer = writer
        self._read_only = read_only

    @classmethod
    def _view(cls, writer: Writer, read_only: bool) -> Self:
        store = cls.__new__(cls)
        store._attach(writer, read_only)
        return store

    @property
    def blocks(self) -> ContentAddressableStore:
        """The block store."""
        return self._writer.blocks

    @property
    def backend(self) -> ContentAddressableStore:
        """Former name of `blocks`."""
        return self._writer.blocks

    @property
    def reader(self) -> Reader:
        """The hierarchy as functions look into it that work on all of it, such as `diff`."""
        return self._writer

    @property
    def read_only(self) -> bool:
        """Whether writing is refused, as in a read-only view and in a copy in another process."""
        return self._read_only or self._writer.is_detached

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
            self._writer.check_attached()
        return self._view(self._writer, read_only)

    @property
    def root_cid(self) -> CID | None:
        """The CID of the whole hierarchy; None while changes are not frozen."""
        root = self._writer.root
        if root is None:
            return None
        self._writer.note_handed_out(root)
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
            self._writer.note_root(root)
        return _cid_of(root)

    def _freeze(self) -> Link:
        root = self._writer.freeze()
        self._writer.note_handed_out(root)
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
        self.blocks.close()

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
        self._writer.open_root(self.blocks.resolve(root), discard=discard)

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
        return self._view(make_fork(self._writer), False)

    def merge(self, *forks: Hierarchy | Changes, on_conflict: Rule | None = None) -> None:
        """Make the changes of forks here, all or none; nothing is frozen afterwards.

        What counts is how a fork differs from what it began with: a key that got its old value
        again is not changed. Merging a fork twice does no harm, but to write on after a merge,
        make another fork.

        Parameters
        ----------
        forks
            Forks of this store on its block store, or of an earlier state of it; or what
            `take_changes` of such forks returned.
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
        parts = [_changes_in(fork) for fork in forks]
        merge_changes(self._writer, parts, on_conflict)
        for fork in forks:
            if isinstance(fork, Hierarchy):
                fork.abandon()

    def take_changes(self) -> Changes:
        """Return what a fork changed, to be merged without it, once the blocks of that are kept.

        Raises
        ------
        TypeError
            If it is no fork.
        BackendError
            If its blocks cannot be kept.
        """
        return changes_of(self._writer)

    def abandon(self) -> None:
        """Let what is not frozen go without a warning, as it is merged or of no use."""
        self._writer.unfrozen.clear()

    def check_replaceable(self) -> None:
        """Raise the error that `set_root` would raise, whatever the root is.

        Raises
        ------
        ReadOnlyStoreError
            If nothing can be written through this store.
        UnfrozenChangesError
            If there are changes that are not frozen.
        """
        self._check_writable()
        self._writer.check_frozen()

    def __getitem__(self, key: str) -> bytes:
        entry = self._find(key)
        if entry is None:
            raise KeyError(key)
        return bytes(self._writer.read(key, entry))

    def __setitem__(self, key: str, value: bytes) -> None:
        self._check_writable()
        segments, data = split_key(key), to_bytes(key, value)
        self._insert(segments, self._writer.keep(segments, data))

    def __delitem__(self, key: str) -> None:
        if not self._remove(key):
            raise KeyError(key)

    def setdefault(self, key: str, default: Any = None) -> bytes:
        """Return a key's value, or set it and return that if there is none.

        One step under threads: of several that set the key at once the first one wins.
        """
        entry = self._find(key)
        if entry is None:
            self._check_writable()
            segments, data = split_key(key), to_bytes(key, default)
            new = make_entry(self.blocks, segments[-1], data)
            entry = self._writer.insert_if_absent(segments, new)
            if entry is new and isinstance(new, Link):
                return data
        return bytes(self._writer.read(key, entry))

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Remove a key and return its value, which is read first; one step under threads."""
        self._check_writable()
        while (entry := self._find(key)) is not None:
            value = bytes(self._writer.read(key, entry))
            if self._remove(key, entry):
                return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __iter__(self) -> Iterator[str]:
        return self._writer.iter_keys([])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return not self._is_empty("")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hierarchy):
            return NotImplemented
        if self._writer is other._writer:
            return True
        if self.blocks != other.blocks:
            return False
        roots = self._writer.root, other._writer.root
        if None not in roots:
            return roots[0] == roots[1]
        return self._writer.identify_all() == other._writer.identify_all()

    __hash__ = object.__hash__

    def clear(self) -> None:
        """Remove every key, at once."""
        self._remove_directory("")

    def normalize(self, *, max_files: int | None = None, max_bytes: int | None = None) -> CID:
        """Rewrite every part of the hierarchy that is not in the canonical form, and freeze.

        Roots written by older software then get the CID that writing the same content anew
        would give. Loads every directory and metadata document, and every value whose link does
        not tell that it is canonical.
        """
        self._check_writable()
        self._writer.normalize(max_files=max_files, max_bytes=max_bytes)
        return self.freeze()

    def _find(self, key: object) -> Link | Document | None:
        segments = split_if_key(key)
        return None if segments is None else self._writer.find(segments)

    def _remove(self, key: object, entry: Link | Document | None = None) -> bool:
        """Remove a value, if an entry is given only that one; False if it is not there."""
        self._check_writable()
        segments = split_if_key(key)
        return segments is not None and self._writer.remove(segments, entry)

    def _insert(self, segments: list[str], entry: Link | Document) -> None:
        self._writer.insert(segments, entry)

    def _is_empty(self, path: str) -> bool:
        """Whether there is nothing below a path."""
        segments = split_if_path(path)
        return segments is None or self._writer.is_empty(segments)

    def _list_directory(self, path: str) -> list[str]:
        segments = split_if_path(path)
        return [] if segments is None else self._writer.list_directory(segments)

    def _remove_directory(self, path: str) -> None:
        self._check_writable()
        segments = split_if_path(path)
        if segments is not None:
            self._writer.remove_directory(segments)

    def __repr__(self) -> str:
        root = self._writer.root
        what = "not frozen" if root is None else to_text(root)
        return f"<IPLDStore {what} on {self.blocks!r}{', read-only' * self.read_only}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._view, (self._writer, self._read_only)

    def __dask_tokenize__(self) -> tuple[str, str, str]:
        root = self._writer.root
        content = uuid.uuid4().hex if root is None else to_text(root)
        return "ipldstore.IPLDStore", repr(self.blocks), content

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
            self.blocks, root, destination, since=known, path=path, overwrite=overwrite
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
            self._writer.check_frozen()
        root = archive.load(self.blocks, source, allow_padding=allow_padding)
        self._writer.open_root(root, discard=discard)
        return _cid_of(root)

    @classmethod
    def from_car(
        cls,
        source: archive.Source,
        blocks: ContentAddressableStore | None = None,
        *,
        allow_padding: bool = False,
        backend: ContentAddressableStore | None = None,
    ) -> Self:
        """Make a store of a CAR archive.

        Parameters
        ----------
        source, allow_padding
            The archive, as in `import_car`.
        blocks
            Where its blocks go; into a new ``dict`` if None.
        backend
            Former name of `blocks`.

        Raises
        ------
        CarFormatError, BlockNotFoundError, InvalidNodeError
            As in `import_car`.
        """
        store = cls(renamed(blocks, backend))
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
            self.blocks, self._freeze(), max_files=max_files, max_bytes=max_bytes
        )
        self.blocks.flush()
        return _cid_of(directory)

    @classmethod
    def from_unixfs(
        cls,
        directory: CIDLike,
        blocks: ContentAddressableStore | None = None,
        *,
        max_keys: int | None = None,
        backend: ContentAddressableStore | None = None,
    ) -> Self:
        """Make a store of a UnixFS directory of plain files, and freeze it.

        Values keep their blocks where these are cut as this package cuts them; other files are
        read and written anew. Empty directories are left out.

        Parameters
        ----------
        directory
            The directory's CID, in any form.
        blocks
            Where its blocks are, and where those of the hierarchy go.
        max_keys
            How many files, directories and shards there may be; ten million if None.
        backend
            Former name of `blocks`.

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

        store = cls(renamed(blocks, backend))
        root = store.blocks.resolve(directory)
        read_plain(store.blocks, root, store._writer.tree, max_keys=max_keys or MAX_HELD_KEYS)
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
            root, self.blocks, node, name=name, key=key, replace=replace, announce=announce
        )

    def _check_writable(self) -> None:
        self._writer.check_attached()
        if self._read_only:
            raise ReadOnlyStoreError(_READ_ONLY)


def _changes_in(fork: object) -> Changes:
    if isinstance(fork, Hierarchy):
        return fork.take_changes()
    if isinstance(fork, Changes):
        return fork
    raise TypeError(NO_FORK)


def _cid_of(link: Link) -> CID:
    from ipldstore.formats.cidobject import to_cid  # which imports multiformats

    return to_cid(link)
