"""Copy what a root names from one block store to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import NamedTuple, Self, TypeAlias

from ipldstore.blockstore.abilities import SeesManyAtOnce
from ipldstore.blockstore.contract import ContentAddressableStore, require_block_store
from ipldstore.cid import CIDLike, Link
from ipldstore.dag import iter_dag
from ipldstore.errors import BlockNotFoundError

Progress: TypeAlias = Callable[[int, int], object]
"""Told how much was moved so far: how many, and their bytes."""

ABSENT = -1
"""What a move returns that found nothing to move."""

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
    workers: int | None = None,
    progress: Progress | None = None,
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
        How many blocks are moved at once; as many as the stores take requests at once if None.
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
    >>> copy_root(store.freeze(), store.blocks, MappingCAStore())
    Copied(blocks=2, bytes=52, skipped=0)
    """
    for store in (source, target):
        require_block_store(store)
    if workers is None:
        workers = max(source.connections, target.connections)
    with Moves(workers, progress) as moves:
        Copying(source, target, moves).run(source.resolve(root))
        moves.finish()
        target.flush()
    return moves.copied


class Moves:
    """What is moved by threads, so much at once, and the counts of it."""

    def __init__(self, workers: int, progress: Progress | None) -> None:
        self.copied = Copied(0, 0, 0)
        self._pool = ThreadPoolExecutor(workers, "ipldstore-copy")
        self._most = 2 * workers - 1
        self._progress = progress
        self._pending: set[Future[int | None]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def pending(self) -> tuple[Future[int | None], ...]:
        """What is on its way."""
        return tuple(self._pending)

    def begin(self, move: Callable[..., int | None], *what: object) -> None:
        """Have a thread move something.

        It returns the size, None if it was there, or `ABSENT`. Raises what an earlier move raised.
        """
        self._pending.add(self._pool.submit(move, *what))
        self._settle(self._most)

    def finish(self) -> None:
        """Wait until nothing is on its way, and raise what a move raised."""
        self._settle(0)

    def skip(self) -> None:
        """Count what was there."""
        self.copied = self.copied._replace(skipped=self.copied.skipped + 1)

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                self._count(future.result())

    def _count(self, size: int | None) -> None:
        if size is None:
            self.skip()
            return
        if size == ABSENT:
            return
        blocks, total, skipped = self.copied
        self.copied = Copied(blocks + 1, total + size, skipped)
        if self._progress is not None:
            self._progress(self.copied.blocks, self.copied.bytes)


class Copying:
    """Copies the blocks under roots that a target lacks, each after all that it leads to."""

    def __init__(
        self, source: ContentAddressableStore, target: ContentAddressableStore, moves: Moves
    ) -> None:
        self._source = source
        self._target = target
        self._moves = moves
        self._present: set[Link] = set()

    def run(self, root: Link, seen: set[Link] | None = None) -> None:
        """Copy what is under a root, but not what was seen, which that is added to."""
        values: list[Link] = []
        for link, data in iter_dag(root, self._load, seen=seen, children_first=True):
            if link in self._present:
                self._moves.skip()
                continue
            if data is None:
                values.append(link)
            if data is not None or len(values) == _VALUES_AT_ONCE:
                self._move_values(values)
                values.clear()
            if data is not None:
                self._moves.begin(self._move_node, link, data, self._moves.pending)
        self._move_values(values)

    def _load(self, node: Link) -> bytes:
        """Load a node from the target if it is there: what it leads to may still be missing."""
        if self._find_missing([node]):
            return self._source.get_block(node)
        self._present.add(node)
        if self._source.is_local and not self._target.is_local:
            with suppress(BlockNotFoundError):
                return self._source.get_block(node)
        return self._target.get_block(node)

    def _find_missing(self, links: Sequence[Link]) -> set[Link]:
        if isinstance(self._target, SeesManyAtOnce):
            return self._target.find_missing_lately(links)
        return self._target.find_missing(links)

    def _move_values(self, values: Sequence[Link]) -> None:
        missing = self._find_missing(values) if values else ()
        for link in values:
            if link in missing:
                self._moves.begin(self._move_value, link)
            else:
                self._moves.skip()

    def _move_value(self, link: Link) -> int:
        data = self._source.get_block(link)
        self._target.put_block(link, data)
        return len(data)

    def _move_node(self, link: Link, data: bytes, before: Iterable[Future[int | None]]) -> int:
        """Move a node after all that it leads to."""
        # the pool begins tasks in the order in which they came, so these end without this one
        for other in before:
            other.result()
        self._target.put_block(link, data)
        return len(data)
