"""Several block stores as one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeAlias

from ipldstore.backends.health import Health, Penalty
from ipldstore.backends.verified import VerifiedCAStore
from ipldstore.basics.locks import Guard, Turns
from ipldstore.blockstore.abilities import (
    KeepsJournals,
    KeepsPointers,
    ListsRoots,
    RemovesBlocks,
    SeesManyAtOnce,
)
from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock, require_block_store
from ipldstore.blockstore.eventloops import get_block_on_loop
from ipldstore.cid import CIDLike, Link, to_text
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    InvalidCIDError,
    ReentrantCallError,
)

Answer: TypeAlias = bytes | Exception

_REST = Penalty(1.0, 60.0)
_MOST_REQUESTS = 32
"""About how many requests to a store may be under way before others are asked first."""


class _Source:
    """One of the stores, and how it did."""

    def __init__(self, store: ContentAddressableStore, health: Health) -> None:
        self.store = store
        self._health = health
        self._requests = Turns()

    @property
    def is_good(self) -> bool:
        """Whether it answers, as far as is known, and keeps up with what it is asked."""
        return len(self._requests) < _MOST_REQUESTS and self._health.is_well(self)

    def ask(self, cid: Link) -> Answer:
        with self._noting() as answers:
            answers.append(self.store.get_block(cid))
        return answers[0]

    async def ask_async(self, cid: Link) -> Answer:
        with self._noting() as answers:
            answers.append(await get_block_on_loop(self.store, cid))
        return answers[0]

    @contextmanager
    def _noting(self) -> Iterator[list[Answer]]:
        answers: list[Answer] = []
        turn = self._requests.begin()
        try:
            yield answers
        except ReentrantCallError:
            raise
        except (BlockNotFoundError, InvalidCIDError) as error:
            self._health.clear(self)
            answers.append(error)
        except Exception as error:
            self._health.punish(self, _REST)
            answers.append(error)
        else:
            self._health.clear(self)
        finally:
            turn.end()


class UnionCAStore(VerifiedCAStore):
    """Reads from several stores and writes into the first.

    Put the fastest or nearest store first: a folder, then the local node, then gateways. Blocks
    are verified one store at a time, so that one that fails or serves wrong bytes is passed over
    and the next one asked. It is then asked after the others for a second, and for up to a
    minute if it goes on.

    Parameters
    ----------
    stores
        The stores, at least one. What is put goes into the first, which also names it; the
        others are only read. Blocks are removed from the first, and pointers and journals are kept
        there, if it can do that.
    race
        Whether all are asked at once and the first sound block is taken, instead of one after
        the other. That costs every store a request, and helps where one never knows which is fast.

    Raises
    ------
    TypeError
        If there is no store, or one of them is none.

    Examples
    --------
    >>> from ipldstore import MappingCAStore
    >>> first, second = MappingCAStore(), MappingCAStore()
    >>> cid = second.put(b"hello")
    >>> UnionCAStore(first, second).get(cid)
    b'hello'
    """

    def __init__(self, *stores: ContentAddressableStore, race: bool = False) -> None:
        if not stores:
            raise TypeError("expected at least one ContentAddressableStore, got none")
        for store in stores:
            require_block_store(store)
        super().__init__(default_hash=stores[0].default_hash)
        self.connections = max(store.connections for store in stores)
        self.stores = stores
        self.race = race
        self.is_shared = all(store.is_shared for store in stores)
        self.in_memory = stores[0].in_memory
        self._first = stores[0]
        if isinstance(self._first, RemovesBlocks):
            self.remove_block = self._first.remove_block
        if isinstance(self._first, ListsRoots):
            self.read_roots = self._first.read_roots
        if isinstance(self._first, KeepsPointers):
            self.read_pointer = self._first.read_pointer
            self.swap_pointer = self._first.swap_pointer
            self.iter_pointers = self._first.iter_pointers
        if isinstance(self._first, KeepsJournals):
            self.has_quick_journals = self._first.has_quick_journals
            self.append_journal = self._first.append_journal
            self.make_journal = self._first.make_journal
            self.read_journal = self._first.read_journal
            self.list_journals = self._first.list_journals
            self.find_journals = self._first.find_journals
            self.remove_journal = self._first.remove_journal
            self.iter_journal_groups = self._first.iter_journal_groups
        if isinstance(self._first, SeesManyAtOnce):
            self.find_missing_lately = partial(_find_missing_lately, stores)
        health = Health()
        self._sources = [_Source(store, health) for store in stores]

    def __repr__(self) -> str:
        race = ", race=True" * self.race
        return f"UnionCAStore({', '.join(map(repr, self.stores))}{race})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnionCAStore) and self.stores == other.stores

    def __hash__(self) -> int:
        return hash((UnionCAStore, self.stores))

    def __getstate__(self) -> dict[str, Any]:
        return {"stores": self.stores, "race": self.race}

    def __setstate__(self, state: dict[str, Any]) -> None:
        UnionCAStore.__init__(self, *state["stores"], race=state["race"])

    def get_raw(self, cid: Link) -> bytes:
        """Return the verified bytes of a block.

        Raises
        ------
        BlockNotFoundError
            If every store says that it has no such block.
        CorruptBlockError
            If none has it and one or more serve wrong bytes.
        BackendError
            If none has it and one or more cannot tell; retryable if one of these is. All of
            these name each store and its reason.
        """
        faults: dict[_Source, Exception] = {}
        for group in self._groups():
            for source, answer in _ask(group, cid):
                if isinstance(answer, bytes):
                    return answer
                faults[source] = answer
        raise _failure(cid, faults)

    async def get_raw_async(self, cid: Link) -> bytes:
        faults: dict[_Source, Exception] = {}
        for group in self._groups():
            answer = await _ask_async(group, cid, faults)
            if answer is not None:
                return answer
        raise _failure(cid, faults)

    def put_block(self, cid: Link, data: bytes) -> None:
        self._first.put_block(cid, data)

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        await self._first.put_block_async(cid, data)

    def put_many(self, blocks: Iterable[tuple[Link, bytes]]) -> None:
        self._first.put_many(blocks)

    def has_raw(self, cid: Link) -> bool:
        """Whether one of the stores has a block.

        Raises
        ------
        BackendError
            If none says so, and one or more cannot tell.
        """
        faults: dict[_Source, Exception] = {}
        for source in self._sources:
            try:
                if source.store.has(cid):
                    return True
            except ReentrantCallError:
                raise
            except Exception as error:
                faults[source] = error
        if faults:
            raise _failure(cid, faults)
        return False

    def find_missing(self, cids: Iterable[Link]) -> set[Link]:
        missing = set(cids)
        faults: dict[_Source, Exception] = {}
        for source in self._sources:
            if not missing:
                break
            try:
                missing = source.store.find_missing(missing)
            except ReentrantCallError:
                raise
            except Exception as error:
                faults[source] = error
        if missing and faults:
            raise _failure(next(iter(missing)), faults)
        return missing

    def size_of(self, cid: Link) -> int | None:
        for store in self.stores:
            try:
                size = store.size_of(cid)
            except BackendError:
                continue
            if size is not None:
                return size
        return None

    def iter_blocks(self) -> Iterator[StoredBlock]:
        for store in self.stores:
            yield from store.iter_blocks()

    def make_cid(self, data: bytes, codec: str) -> Link:
        return self._first.make_cid(data, codec)

    def resolve(self, name: CIDLike) -> Link:
        """Return the CID that a name stands for in the first store that can tell."""
        fault: Exception | None = None
        for store in self.stores:
            try:
                return store.resolve(name)
            except (BackendError, BlockNotFoundError, InvalidCIDError) as error:
                if fault is None or isinstance(fault, InvalidCIDError):
                    fault = error
        assert fault is not None
        raise fault

    def flush(self) -> None:
        self._first.flush()

    @property
    def noted_root(self) -> Link | None:
        return self._first.noted_root

    def note_root(self, root: Link) -> None:
        self._first.note_root(root)

    def close(self) -> None:
        with ExitStack() as stack:
            for store in reversed(self.stores):
                stack.callback(store.close)

    def _groups(self) -> list[list[_Source]]:
        """Return the stores in the order to ask them, those to be asked at once together."""
        good = [source for source in self._sources if source.is_good]
        others = [source for source in self._sources if source not in good]
        if self.race:
            return [group for group in (good, others) if group]
        return [[source] for source in good + others]


def _ask(group: list[_Source], cid: Link) -> Iterator[tuple[_Source, Answer]]:
    """Iterate the answers of stores as they come; those not waited for stay behind in threads."""
    if len(group) == 1:
        yield group[0], group[0].ask(cid)
        return
    race = _Race(group, cid)
    for _ in group:
        yield race.answers.get()


class _Race:
    """Several stores that are asked at once, each in a thread."""

    def __init__(self, group: list[_Source], cid: Link) -> None:
        self.answers: SimpleQueue[tuple[_Source, Answer]] = SimpleQueue()
        self._group = group
        self._guard = Guard(self._give_up)
        for source in group:
            # no pool: the end of the program would wait for its threads
            Thread(
                target=lambda source=source: self.answers.put((source, source.ask(cid))),
                name="ipldstore-race",
                daemon=True,
            ).start()

    def _give_up(self) -> None:
        """Answer for the threads in a forked process, where they are not."""
        for source in self._group:
            error = BackendError("the process forked while this was asked", retryable=True)
            self.answers.put((source, error))


async def _ask_async(
    group: list[_Source], cid: Link, faults: dict[_Source, Exception]
) -> bytes | None:
    """Return the first sound block, and cancel what is still under way; note the faults."""
    tasks = {asyncio.ensure_future(source.ask_async(cid)): source for source in group}
    pending = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                answer = task.result()
                if isinstance(answer, bytes):
                    return answer
                faults[tasks[task]] = answer
    finally:
        for task in pending:
            task.cancel()
    return None


def _failure(cid: Link, faults: dict[_Source, Exception]) -> Exception:
    """Return the error that says why no store gave a block, caused by the one that decides."""
    errors = list(faults.values())
    failures = [e for e in errors if not isinstance(e, BlockNotFoundError | CorruptBlockError)]
    corrupt = [e for e in errors if isinstance(e, CorruptBlockError)]
    invalid = [e for e in errors if isinstance(e, InvalidCIDError)]
    if invalid:
        return invalid[0]
    reasons = "; ".join(
        f"{source.store!r}: {type(error).__name__}: {error}" for source, error in faults.items()
    )
    text = f"block {to_text(cid)} cannot be had from any of {len(faults)} stores: {reasons}"
    error: Exception
    if failures:
        retryable = [e for e in failures if getattr(e, "retryable", False)]
        error = BackendError(text, retryable=bool(retryable))
        error.__cause__ = (retryable or failures)[0]
    elif corrupt:
        error = CorruptBlockError(text)
        error.__cause__ = corrupt[0]
    else:
        error = BlockNotFoundError(text)
        error.__cause__ = errors[0]
    return error


def _find_missing_lately(
    stores: Sequence[ContentAddressableStore], cids: Iterable[Link]
) -> set[Link]:
    missing = set(cids)
    for store in stores:
        if isinstance(store, SeesManyAtOnce):
            missing &= store.find_missing_lately(missing)
        elif missing:
            missing &= store.find_missing(missing)
    return missing
