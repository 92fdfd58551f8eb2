"""Copy what a root names from one block store to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from ipldstore.cid import CIDLike, Link, as_link
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag

_VALUES_AT_ONCE = 256


class Copied(NamedTuple):
    """What a copy did.

    Attributes
    ----------
    blocks : int
        Blocks that were moved.
    bytes : int
        Their bytes.
    skipped : int
        Blocks that the target had already.
    """

    blocks: int
    bytes: int
    skipped: int


def copy_root(
    root: CIDLike,
    source: ContentAddressableStore,
    target: ContentAddressableStore,
    *,
    workers: int = 8,
    progress: Callable[[int, int], object] | None = None,
) -> Copied:
    """Copy all blocks under a root that the target lacks.

    A block is put after all that it leads to, so that once the root is there, all is there. A
    copy that was stopped, however hard, is resumed by starting it again: no block is moved twice.
    Values are read and written by several threads, each of which holds one block at a time.

    Parameters
    ----------
    root
        The CID of what is copied: a hierarchy, or any other DAG of raw, dag-pb and dag-cbor.
    source, target
        Where the blocks are, and where they go.
    workers
        How many blocks are moved at once.
    progress
        Called, in the caller's thread, with the number of blocks that were moved so far and their
        bytes. What it raises stops the copy.

    Returns
    -------
    Copied
        How much was moved.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had from the source.
    BackendError
        If one of the stores cannot do its work. What was moved until then stays in the target.

    Examples
    --------
    >>> from ipldstore import IPLDStore, MappingCAStore, copy_root
    >>> store = IPLDStore()
    >>> store["a/0"] = b"chunk"
    >>> copy_root(store.freeze(), store.backend, MappingCAStore())
    Copied(blocks=2, bytes=52, skipped=0)
    """
    return _Copy(source, target, workers, progress).run(as_link(root))


class _Copy:
    """One copy, its counts, and the blocks that are on their way."""

    def __init__(
        self,
        source: ContentAddressableStore,
        target: ContentAddressableStore,
        workers: int,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self._source = source
        self._target = target
        self._workers = workers
        self._progress = progress
        self._present: set[Link] = set()
        self._pending: set[Future[int]] = set()
        self._blocks = self._bytes = self._skipped = 0

    def run(self, root: Link) -> Copied:
        with ThreadPoolExecutor(self._workers, "ipldstore-copy") as pool:
            try:
                self._move_all(root, pool)
                self._settle(0)
                self._target.flush()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return Copied(self._blocks, self._bytes, self._skipped)

    def _move_all(self, root: Link, pool: ThreadPoolExecutor) -> None:
        values: list[Link] = []
        for link, data in iter_dag(root, self._load, children_first=True):
            if link in self._present:
                self._skipped += 1
                continue
            if data is None:
                values.append(link)
            if data is not None or len(values) == _VALUES_AT_ONCE:
                self._move_values(values, pool)
                values.clear()
            if data is not None:
                before = tuple(self._pending)
                self._submit(pool, self._move_node, link, data, before)
        self._move_values(values, pool)

    def _move_values(self, values: Sequence[Link], pool: ThreadPoolExecutor) -> None:
        missing = self._target.find_missing(values) if values else ()
        for link in values:
            if link in missing:
                self._submit(pool, self._move_value, link)
            else:
                self._skipped += 1

    def _submit(self, pool: ThreadPoolExecutor, move: Callable[..., int], *what: object) -> None:
        self._pending.add(pool.submit(move, *what))
        self._settle(2 * self._workers - 1)

    def _load(self, node: Link) -> bytes:
        """Load a node from the target if it is there: what it leads to may still be missing."""
        if not self._target.has(node):
            return self._source.get_block(node)
        self._present.add(node)
        return self._target.get_block(node)

    def _move_value(self, link: Link) -> int:
        data = self._source.get_block(link)
        self._target.put_block(link, data)
        return len(data)

    def _move_node(self, link: Link, data: bytes, before: Iterable[Future[int]]) -> int:
        """Move a node after all that it leads to."""
        # the pool begins tasks in the order in which they came, so these end without this one
        for other in before:
            other.result()
        self._target.put_block(link, data)
        return len(data)

    def _settle(self, most: int) -> None:
        """Wait until no more than so many blocks are on their way."""
        while len(self._pending) > most:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                self._count(future.result())

    def _count(self, size: int) -> None:
        self._blocks += 1
        self._bytes += size
        if self._progress is not None:
            self._progress(self._blocks, self._bytes)
