"""Copy datasets between block stores, and from and to plain Zarr stores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import CIDLike, as_link
from ipldstore.errors import BackendError
from ipldstore.formats.jsontext import load_json
from ipldstore.names.finding import find_group, found_store
from ipldstore.names.naming import is_root, read_name
from ipldstore.store.expansion import measure
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.transfer import ABSENT, Copied, Moves, Progress, copy_root
from ipldstore.tree.keys import METADATA_NAMES, split_key
from ipldstore.zarrstores import PlainStore, find_store, open_zarr_store
from ipldstore.zarrstores.locations import find_location

_VALUES_AT_ONCE = 8


def copy(
    source: Any,
    target: Any,
    *,
    root: CIDLike | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> Copied:
    """Copy a dataset, moving only what the target lacks.

    Between block stores, blocks are copied as they are, see `copy_root`. Where a plain Zarr store
    takes part, keys and values are: what the target has already is compared and not written
    again, so that a copy that was stopped is resumed by starting it again. Keys that only the
    target has stay.

    A hierarchy gets all that is copied into it, or nothing. In a plain Zarr store, documents come
    before the chunks, as some demand, but those of the group at the top last, so that what is
    incomplete cannot be opened there. An array of format 3 at the top is the exception.

    Parameters
    ----------
    source
        An `IPLDStore`, a block store together with `root`, or any Zarr store: one of zarr-python;
        a mapping of keys to bytes; a ``StorePath``, group or array, of which what is at or below
        its path is copied; or the path or URL of one: a folder, a zip file, ``s3://``,
        ``https://`` where the metadata is consolidated, and what fsspec knows. Text may also
        name a root, whose blocks are where ``IPLDSTORE_BLOCKS`` says, or a CAR file, see
        `ipldstore.open`; so does a root as `freeze` returns it.
    target
        An `IPLDStore`, which then has the root of what was copied; a block store; or any Zarr
        store. A path or URL is that of a plain Zarr store, a folder or a zip file, which is made;
        `open_block_store` opens a block store.
    root
        What to copy from a block store: a root, or a revision of the repository in it.
    workers
        How many blocks or values are moved at once. If None: blocks as in `copy_root`, and values
        eight.
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
    ValueError
        If the target is in the folder that is copied.
    FileNotFoundError
        If the source is not there, or the folder that a zip file goes into.
    FileExistsError
        If there is a file where the target is to be made.
    InvalidKeyError
        If the source is a path or URL that holds no Zarr metadata, or a key is none that an
        `IPLDStore` could hold; nothing is written then.
    ReadOnlyStoreError
        If the target is not to be written to.
    UnfrozenChangesError
        If the target would lose changes.
    MergeConflictError
        If somebody changed the same keys of the target meanwhile.
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had.
    LimitExceededError
        If there is more than `max_files` or `max_bytes`; nothing is written then.
    BackendError
        If a store cannot do its work, cannot be listed, or a value disappears meanwhile.

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
    with ExitStack() as stack:
        source = _find_source(source, root, stack)
        if is_root(target) or (isinstance(target, str) and read_name(target).is_in_blocks):
            raise TypeError(f"{target!r} is a root, which never changes: expected a store")
        _check_apart(source, target)
        if isinstance(source, Hierarchy):
            if (goal := _block_target(target)) is not None:
                return _copy_blocks(source, goal, workers, progress)
            content = source.reader.look(lambda top, _: measure(source.blocks, top))
            content.check(max_files, max_bytes)
        opened = stack.enter_context(open_zarr_store(source))
        written = stack.enter_context(_written(target))
        moves = stack.enter_context(
            Moves(_VALUES_AT_ONCE if workers is None else workers, progress)
        )
        _copy_values(opened, written, moves)
    return moves.copied


def _check_apart(source: Any, target: Any) -> None:
    """Refuse a target in the folder that is copied, which would become a part of the source."""
    above, inner = _path_of(source), _path_of(target)
    if above is not None and inner is not None and above in inner.parents:
        raise ValueError(f"{str(target)!r} is in the folder that is copied, {str(source)!r}")


def _path_of(what: Any) -> Path | None:
    if not isinstance(what, str | os.PathLike):
        return None
    path = find_location(what).path
    return None if path is None else path.resolve()


def _find_source(source: Any, root: CIDLike | None, stack: ExitStack) -> Any:
    """Return the hierarchy that is meant, or what else it is."""
    if isinstance(source, ContentAddressableStore):
        if root is None:
            raise TypeError("expected root=, the CID of what to copy from a block store")
        return stack.enter_context(found_store(root, source))
    if root is not None:
        raise TypeError(
            f"root= goes with a block store as the source, not with {type(source).__name__}; "
            "open_block_store(URL) opens one"
        )
    if isinstance(source, str | os.PathLike) or is_root(source):
        name = read_name(source)
        if not name.is_in_blocks and not name.is_archive:
            return source
        return stack.enter_context(found_store(source))
    store, path = find_store(source)
    if not isinstance(store, Hierarchy):
        return source
    if not path:
        return store
    top, blocks = find_group(store.blocks, as_link(store.freeze()), path)
    return Hierarchy(blocks, root=top, read_only=True)


def _block_target(target: Any) -> Hierarchy | ContentAddressableStore | None:
    """Return a target that takes blocks as they are, None if it takes values."""
    if isinstance(target, ContentAddressableStore):
        return target
    if isinstance(target, str | os.PathLike):
        return None
    store, path = find_store(target)
    return store if isinstance(store, Hierarchy) and not path else None


def _copy_blocks(
    source: Hierarchy,
    target: Hierarchy | ContentAddressableStore,
    workers: int | None,
    progress: Progress | None,
) -> Copied:
    root = as_link(source.freeze())
    if isinstance(target, ContentAddressableStore):
        copied = copy_root(root, source.blocks, target, workers=workers, progress=progress)
        target.note_root(root)
        return copied
    target.check_replaceable()
    copied = copy_root(root, source.blocks, target.blocks, workers=workers, progress=progress)
    target.set_root(root)
    return copied


@contextmanager
def _written(target: Any) -> Iterator[PlainStore]:
    """Open a target; a hierarchy gets all that is written, or nothing if there is an error."""
    if isinstance(target, str | os.PathLike):
        store, path = None, ""
    elif isinstance(target, ContentAddressableStore):
        store, path = Hierarchy(target), ""
    else:
        store, path = find_store(target)
    if not isinstance(store, Hierarchy):
        with open_zarr_store(target, write=True) as plain:
            yield plain
        return
    store._check_writable()
    fork = store.fork()
    try:
        with open_zarr_store(fork, write=True) as plain:
            yield plain.below(path)
        store.merge(fork)
        store.freeze()
    finally:
        fork.abandon()


def _copy_values(source: PlainStore, target: PlainStore, moves: Moves) -> None:
    """Move values, in stages each of which is complete before the next one begins."""

    def move(key: str) -> int | None:
        data = source.get(key)
        if data is None:
            if not source.is_exact:
                return ABSENT
            raise BackendError(f"value {key!r} disappeared while it was copied", retryable=True)
        if target.has_value(key, data):
            return None
        target.put(key, data)
        return len(data)

    for stage in _stages(source):
        for key in stage:
            moves.begin(move, key)
        moves.finish()


def _stages(source: PlainStore) -> Iterator[Iterable[str]]:
    """Give the keys in the order in which they are copied.

    The documents of a group come before those below it, and those of an array before its chunks,
    as some stores demand. What makes a group or array of the top comes last, so that what is
    incomplete cannot be opened there.
    """
    keys = source.list_keys()
    documents = []
    for key in keys:
        split_key(key)  # one such as ../x would lead out of a folder
        if _is_document(key):
            documents.append(key)
    documents.sort(key=_depth)
    last = _find_last(documents, source)
    for _, level in groupby((key for key in documents if key not in last), key=_depth):
        yield level
    yield (key for key in keys if not _is_document(key))
    yield from ([key] for key in sorted(last, key=_by_what_it_opens))


def _is_document(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES


def _depth(key: str) -> int:
    return key.count("/")


def _find_last(documents: Iterable[str], source: PlainStore) -> set[str]:
    """Find the documents of groups and arrays that are in no other group.

    That of an array in format 3 is none of them: such a store may refuse chunks before it.
    """
    tops: set[str] = set()
    last: set[str] = set()
    for key in documents:
        folder, _, name = key.rpartition("/")
        above = [folder[:end] for end, sign in enumerate(folder) if sign == "/"]
        if not any(place in tops for place in ("", *above) if place != folder):
            tops.add(folder)
            if name != "zarr.json" or not _is_array(source.get(key)):
                last.add(key)
    return last


def _is_array(document: bytes | None) -> bool:
    try:
        found = load_json(document or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("node_type") == "array"


def _by_what_it_opens(key: str) -> tuple[bool, str]:
    """Sort attributes before what makes a group or array, and consolidated metadata after it."""
    return not key.endswith(".zattrs"), key
