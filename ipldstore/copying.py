"""Copy datasets between block stores, and from and to plain Zarr stores."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import groupby
from typing import Any

from ipldstore.cid import CIDLike
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import BackendError
from ipldstore.naming import read_name
from ipldstore.store.expansion import measure
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.transfer import Copied, Moves, Progress, copy_root
from ipldstore.tree.keys import METADATA_NAMES, split_key
from ipldstore.views.outline import look_into
from ipldstore.zarrstores import PlainStore, open_zarr_store


def copy(
    source: Any,
    target: Any,
    *,
    root: CIDLike | None = None,
    workers: int = 8,
    progress: Progress | None = None,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> Copied:
    """Copy a dataset, moving only what the target lacks.

    Between block stores, blocks are copied as they are, see `copy_root`. Where a plain Zarr store
    takes part, keys and values are: what the target has already is compared and not written
    again, so that a copy that was stopped is resumed by starting it again. Metadata comes before
    the chunks, that of a group before what is below it, as some stores demand: a plain Zarr store
    into which a copy was stopped can be opened, and lacks chunks. Keys that only the target has
    stay.

    Parameters
    ----------
    source
        An `IPLDStore`, a block store together with `root`, or any Zarr store: one of zarr-python;
        a mapping of keys to bytes; a group or array, of which what is at or below its path is
        copied; or the path or URL of one, see `open_zarr_store`. Text may also name a root, whose
        blocks are where ``IPLDSTORE_BLOCKS`` says, or a CAR file, see `ipldstore.open`.
    target
        An `IPLDStore`, which then has the root of what was copied; a block store; or any Zarr
        store. A path or URL is that of a plain Zarr store, a folder or a zip file, which is made;
        `open_block_store` opens a block store.
    root
        What to copy from a block store.
    workers
        How many blocks or values are moved at once.
    progress
        Called, in the caller's thread, with the number of blocks or values that were moved so
        far and their bytes. What it raises stops the copy.
    max_files, max_bytes
        How many keys, and bytes of all values, are written to a plain Zarr store at most: a few
        blocks can stand for any number. A million and 64 GiB if None; more are written where that
        is at most a hundred times what the distinct blocks hold.

    Returns
    -------
    Copied
        How many blocks were moved; values, where a plain Zarr store takes part.

    Raises
    ------
    TypeError
        If source or target is none of these, or the root is missing, or not wanted.
    FileNotFoundError
        If the source is not there.
    FileExistsError
        If the target is a zip file that exists.
    InvalidKeyError
        If the source is a path or URL that holds no Zarr metadata, or a key is none that an
        `IPLDStore` could hold; nothing is written then.
    ReadOnlyStoreError
        If the target is not to be written to.
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had.
    LimitExceededError
        If there is more than `max_files` or `max_bytes`; nothing is written then.
    BackendError
        If a store cannot do its work, or a value disappears meanwhile.

    Examples
    --------
    >>> import ipldstore
    >>> plain = {"a/0": b"chunk", ".zgroup": b'{"zarr_format":2}'}
    >>> store = ipldstore.IPLDStore()
    >>> ipldstore.copy(plain, store)
    Copied(blocks=2, bytes=22, skipped=0)
    >>> ipldstore.copy(store, {})
    Copied(blocks=2, bytes=22, skipped=0)
    >>> ipldstore.copy(store, ipldstore.MappingCAStore())
    Copied(blocks=2, bytes=74, skipped=0)
    """
    if isinstance(source, ContentAddressableStore):
        if root is None:
            raise TypeError("expected root=, the CID of what to copy from a block store")
        source = HierarchyMapping(source, root=root, read_only=True)
    elif root is not None:
        raise TypeError(
            f"root= goes with a block store as the source, not with {type(source).__name__}; "
            "open_block_store(URL) opens one"
        )
    with ExitStack() as stack:
        if isinstance(source, str | os.PathLike) and _names_hierarchy(source):
            from ipldstore.opening import open as open_hierarchy

            source = stack.enter_context(open_hierarchy(source))
        if isinstance(source, HierarchyMapping) and isinstance(
            target, HierarchyMapping | ContentAddressableStore
        ):
            return _copy_blocks(source, target, workers, progress)
        if isinstance(target, ContentAddressableStore):
            target = HierarchyMapping(target)
        if isinstance(source, HierarchyMapping):
            content = look_into(source, lambda top, _: measure(source.backend, top))
            content.check(max_files, max_bytes)
        opened = stack.enter_context(open_zarr_store(source))
        written = stack.enter_context(open_zarr_store(target, write=True))
        moves = stack.enter_context(Moves(workers, progress))
        _copy_values(opened, written, moves)
        if isinstance(target, HierarchyMapping):
            target.freeze()
        return moves.copied


def _names_hierarchy(what: str | os.PathLike[str]) -> bool:
    name = read_name(what)
    return name.root is not None or name.is_archive


def _copy_blocks(
    source: HierarchyMapping,
    target: HierarchyMapping | ContentAddressableStore,
    workers: int,
    progress: Progress | None,
) -> Copied:
    root = source.freeze()
    backend = target.backend if isinstance(target, HierarchyMapping) else target
    copied = copy_root(root, source.backend, backend, workers=workers, progress=progress)
    if isinstance(target, HierarchyMapping):
        target.set_root(root)
    return copied


def _copy_values(source: PlainStore, target: PlainStore, moves: Moves) -> None:
    """Move documents, those of a group before those below it, then chunks."""

    def move(key: str) -> int | None:
        data = source.get(key)
        if data is None:
            raise BackendError(f"value {key!r} disappeared while it was copied", retryable=True)
        if target.has_value(key, data):
            return None
        target.put(key, data)
        return len(data)

    keys = source.list_keys()
    for key in keys:
        split_key(key)  # one such as ../x would lead out of a folder
    documents = sorted(filter(_is_document, keys), key=_depth)
    for _, level in groupby(documents, key=_depth):
        for key in level:
            moves.begin(move, key)
        moves.finish()
    for key in keys:
        if not _is_document(key):
            moves.begin(move, key)
    moves.finish()


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES


def _depth(key: str) -> int:
    return key.count("/")
