"""Copy datasets between block stores, and from and to plain Zarr stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from ipldstore.cid import CIDLike, Link
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import BackendError
from ipldstore.store.expansion import measure
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.transfer import Copied, Moves, Progress, copy_root
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs import write_file
from ipldstore.views.outline import look_into


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
    again, so that a copy that was stopped is resumed by starting it again. Metadata comes after
    all chunks, so that what is incomplete cannot be opened. Keys that only the target has stay.

    Parameters
    ----------
    source
        An `IPLDStore`, a block store together with `root`, or any Zarr store: a
        ``zarr.abc.store.Store`` or, as zarr-python 2 has them, a mapping of keys to bytes.
    target
        An `IPLDStore`, which then has the root of what was copied; a block store; or any Zarr
        store.
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
    if isinstance(source, HierarchyMapping) and isinstance(
        target, HierarchyMapping | ContentAddressableStore
    ):
        return _copy_blocks(source, target, workers, progress)
    if isinstance(target, ContentAddressableStore):
        target = HierarchyMapping(target)
    if isinstance(source, HierarchyMapping):
        content = look_into(source, lambda top, _: measure(source.backend, top))
        content.check(max_files, max_bytes)
    with Moves(workers, progress) as moves:
        _copy_values(_open_plain(source), _open_plain(target), moves)
    if isinstance(target, HierarchyMapping):
        target.freeze()
    return moves.copied


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


class _Plain(NamedTuple):
    """A store of keys and values, told what to do without an event loop.

    Attributes
    ----------
    iter_keys : callable
        Iterates the keys.
    get : callable
        Returns the value of a key, None if there is none.
    put : callable
        Sets a value.
    has_value : callable
        Whether a key has exactly this value.
    """

    iter_keys: Callable[[], Iterable[str]]
    get: Callable[[str], bytes | None]
    put: Callable[[str, bytes], None]
    has_value: Callable[[str, bytes], bool]


def _open_plain(store: Any) -> _Plain:
    if isinstance(store, HierarchyMapping):
        return _plain_hierarchy(store)
    if hasattr(store, "list_prefix") and not isinstance(store, MutableMapping):
        return _plain_zarr3(store)
    if isinstance(store, MutableMapping):
        return _Plain(
            iter_keys=lambda: list(store),
            get=lambda key: _bytes(store.get(key)),
            put=store.__setitem__,
            has_value=lambda key, data: _bytes(store.get(key)) == data,
        )
    raise TypeError(
        f"expected an IPLDStore, a block store, or a Zarr store, not {type(store).__name__}; "
        "open_block_store(URL) opens a block store"
    )


def _bytes(value: Any) -> bytes | None:
    return None if value is None else memoryview(value).tobytes()


def _plain_hierarchy(store: HierarchyMapping) -> _Plain:
    def has_value(key: str, data: bytes) -> bool:
        entry = store._find(key)
        if isinstance(entry, Link):
            return entry == write_file(data, store.backend.make_cid)
        return entry is not None and store[key] == data

    return _Plain(
        iter_keys=lambda: iter(store),
        get=lambda key: HierarchyMapping.get(store, key),
        put=lambda key, data: HierarchyMapping.__setitem__(store, key, data),
        has_value=has_value,
    )


def _plain_zarr3(store: Any) -> _Plain:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    prototype = default_buffer_prototype()

    async def list_keys() -> list[str]:
        return [key async for key in store.list()]

    def get(key: str) -> bytes | None:
        value: Any = sync(store.get(key, prototype))
        return None if value is None else value.to_bytes()

    def put(key: str, data: bytes) -> None:
        sync(store.set(key, prototype.buffer.from_bytes(data)))

    return _Plain(
        iter_keys=lambda: sync(list_keys()),
        get=get,
        put=put,
        has_value=lambda key, data: get(key) == data,
    )


def _copy_values(source: _Plain, target: _Plain, moves: Moves) -> None:
    """Move chunks, then metadata."""

    def move(key: str) -> int | None:
        data = source.get(key)
        if data is None:
            raise BackendError(f"value {key!r} disappeared while it was copied", retryable=True)
        if target.has_value(key, data):
            return None
        target.put(key, data)
        return len(data)

    metadata = []
    for key in source.iter_keys():
        if key.rpartition("/")[2] in METADATA_NAMES:
            metadata.append(key)
        else:
            moves.begin(move, key)
    moves.finish()
    for key in metadata:
        moves.begin(move, key)
    moves.finish()
