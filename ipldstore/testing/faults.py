"""A block store that fails, stalls, corrupts, reorders and loses when a schedule says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from threading import Event
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.abilities import KeepsJournals, KeepsPointers
from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock
from ipldstore.cid import CIDLike, Link, as_link

T = TypeVar("T")

GET, PUT, HAS, FLUSH, NOTE = "get", "put", "has", "flush", "note"
READ_POINTER, SWAP_POINTER = "read pointer", "swap pointer"
APPEND_JOURNAL, MAKE_JOURNAL, REMOVE_JOURNAL = "append journal", "make journal", "remove journal"
READ_JOURNAL, LIST_JOURNALS, FIND_JOURNALS = "read journal", "list journals", "find journals"
_CHANGES = frozenset((SWAP_POINTER, APPEND_JOURNAL, MAKE_JOURNAL, REMOVE_JOURNAL))
_ALL = _CHANGES.union(
    (GET, PUT, HAS, FLUSH, NOTE, READ_POINTER, READ_JOURNAL, LIST_JOURNALS, FIND_JOURNALS)
)


class Call(NamedTuple):
    """A call that a `FaultyStore` is about to make.

    Attributes
    ----------
    number : int
        Which call it is, the first being 1.
    operation : str
        ``"get"``, ``"put"``, ``"has"`` (also for `size_of`, and for each CID of `find_missing`),
        ``"flush"``, ``"note"`` (of a root), ``"read pointer"``, ``"swap pointer"``, ``"append
        journal"``, ``"make journal"``, ``"read journal"``, ``"list journals"``, ``"find
        journals"`` or ``"remove journal"``.
    cid : Link or None
        What it is about; where a pointer is to move; None for a flush and for reading a pointer.
    """

    number: int
    operation: str
    cid: Link | None


class Fault:
    """Something that goes wrong with a call; the operations that it may befall are in `on`."""

    on: frozenset[str] = _ALL

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Fail(Fault):
    """The call raises an error and does nothing.

    Parameters
    ----------
    error
        The error, such as ``BackendError("disk full")`` or ``OSError(...)``, or a class of it.
    """

    def __init__(self, error: Exception | type[Exception]) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Fail({self.error!r})"


class Stall(Fault):
    """The call waits until `go` is set, and then goes on; `reached` tells that it waits."""

    def __init__(self) -> None:
        self.reached, self.go = Event(), Event()


class Damage(Fault):
    """Bytes come back damaged from a get, or are kept damaged by a put."""

    on = frozenset((GET, PUT))

    def apply(self, data: bytes) -> bytes:
        """Return the damaged bytes."""
        raise NotImplementedError


class FlipBit(Damage):
    """One bit is another one; an empty block gets a byte.

    Parameters
    ----------
    bit
        Which one; counted on from the first again at the end.
    """

    def __init__(self, bit: int = 0) -> None:
        self.bit = bit

    def __repr__(self) -> str:
        return f"FlipBit({self.bit})"

    def apply(self, data: bytes) -> bytes:
        if not data:
            return b"\0"
        byte, bit = divmod(self.bit % (8 * len(data)), 8)
        changed = bytearray(data)
        changed[byte] ^= 1 << bit
        return bytes(changed)


class Truncate(Damage):
    """The last bytes are missing; an empty block gets a byte.

    Parameters
    ----------
    count
        How many bytes, at most all.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def __repr__(self) -> str:
        return f"Truncate({self.count})"

    def apply(self, data: bytes) -> bytes:
        return data[: max(0, len(data) - self.count)] if data else b"\0"


class Swap(Damage):
    """The bytes are those of another block.

    Parameters
    ----------
    data
        The bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Swap({len(self.data)} bytes)"

    def apply(self, data: bytes) -> bytes:
        return self.data


class Late(Fault):
    """A put waits in the memory of the wrapper for the next flush, which puts in another order."""

    on = frozenset((PUT,))


class Unanswered(Fail):
    """The call does what it is to do, and raises an error in place of the answer.

    Parameters
    ----------
    error
        The error, or a class of it, as of `Fail`.
    """

    on = _CHANGES

    def __repr__(self) -> str:
        return f"Unanswered({self.error!r})"


class Lose(Fault):
    """A put says that it is done, and the block is nowhere."""

    on = frozenset((PUT,))


Schedule: TypeAlias = Callable[[Call], Fault | None]
"""Says what goes wrong with a call, None if nothing does."""


def at(number: int, fault: Fault, *, on: Collection[str] | None = None) -> Schedule:
    """Make a schedule of one fault.

    Parameters
    ----------
    number
        Which call it befalls, the first being 1; counted among those of the operations `on`.
    fault
        The fault.
    on
        The operations, all that the fault may befall if None.
    """
    operations = fault.on if on is None else fault.on.intersection(on)
    count = 0

    def schedule(call: Call) -> Fault | None:
        nonlocal count
        if call.operation not in operations:
            return None
        count += 1
        return fault if count == number else None

    return schedule


def randomly(
    seed: int, rate: float, faults: Sequence[Fault], *, on: Collection[str] | None = None
) -> Schedule:
    """Make a schedule of faults by chance, the same for the same seed and the same calls.

    Parameters
    ----------
    seed
        Of the chance.
    rate
        How many of the calls a fault befalls, from 0 to 1.
    faults
        What may happen.
    on
        The operations, all that a fault may befall if None.
    """
    chance = random.Random(seed)

    def schedule(call: Call) -> Fault | None:
        is_due = chance.random() < rate
        fitting = [fault for fault in faults if call.operation in fault.on]
        if not is_due or not fitting or (on is not None and call.operation not in on):
            return None
        return chance.choice(fitting)

    return schedule


class FaultyStore(ContentAddressableStore):
    """A block store before another one, whose calls go wrong when a schedule says so.

    What is damaged, late or lost is so for the store behind it too, as far as this keeps bytes
    without looking at them. Several blocks at once are called for one by one. What a store like
    this must never lead to: wrong bytes, a missing chunk taken for one that was not written, an
    error of another type than the package's own, a root that counts and is not complete. Damage
    and loss on a put are the exception that no writer can see: `ipldstore.verify` finds them.

    Parameters
    ----------
    store
        The store that does the work.
    schedule
        What goes wrong; `at` and `randomly` make schedules, and any function will do.
    seed
        Of the order in which a flush puts what is late.
    inline_limit
        As of a block store; that of the store behind if None. With 0, event loops use the
        asynchronous methods.

    Attributes
    ----------
    schedule : callable or None
        May be set at any time.
    calls : list of Call
        The calls so far.
    faults : list of tuple of Call and Fault
        What went wrong so far.

    Examples
    --------
    >>> from ipldstore import BackendError, IPLDStore, MappingCAStore
    >>> blocks = FaultyStore(MappingCAStore(), at(2, Fail(BackendError("disk full"))))
    >>> store = IPLDStore(blocks)
    >>> store["a/0"] = b"chunk"
    >>> store.freeze()
    Traceback (most recent call last):
    ipldstore.errors.BackendError: disk full
    >>> store.root_cid is None
    True
    >>> print(store.freeze())
    bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4
    """

    def __init__(
        self,
        store: ContentAddressableStore,
        schedule: Schedule | None = None,
        *,
        seed: int = 0,
        inline_limit: int | None = None,
    ) -> None:
        super().__init__(default_hash=store.default_hash)
        self.store = store
        self.schedule = schedule
        self.inline_limit = store.inline_limit if inline_limit is None else inline_limit
        self.is_shared = False
        self.in_memory = store.in_memory
        self.calls: list[Call] = []
        self.faults: list[tuple[Call, Fault]] = []
        self._late: dict[Link, bytes] = {}
        self._chance = random.Random(seed)
        self._guard = Guard()
        if isinstance(store, KeepsPointers):
            self.read_pointer = partial(_read_pointer, self, store)
            self.swap_pointer = partial(_swap_pointer, self, store)
            self.iter_pointers = store.iter_pointers
        if isinstance(store, KeepsJournals):
            self.has_quick_journals = store.has_quick_journals
            self.append_journal = partial(_change, self, APPEND_JOURNAL, store.append_journal)
            self.make_journal = partial(_change, self, MAKE_JOURNAL, store.make_journal)
            self.remove_journal = partial(_change, self, REMOVE_JOURNAL, store.remove_journal)
            self.read_journal = partial(_look, self, READ_JOURNAL, store.read_journal)
            self.list_journals = partial(_look, self, LIST_JOURNALS, store.list_journals)
            self.find_journals = partial(_look, self, FIND_JOURNALS, store.find_journals)
            self.iter_journal_groups = store.iter_journal_groups

    def __repr__(self) -> str:
        return f"FaultyStore({self.store!r})"

    def get_raw(self, cid: Link) -> bytes:
        fault = self._begin(GET, cid)
        self._stop_for(fault)
        data = self._late.get(cid)
        return _damaged(self.store.get_raw(cid) if data is None else data, fault)

    async def get_raw_async(self, cid: Link) -> bytes:
        fault = self._begin(GET, cid)
        await self._stop_for_async(fault)
        data = self._late.get(cid)
        return _damaged(await self.store.get_raw_async(cid) if data is None else data, fault)

    def put_block(self, cid: Link, data: bytes) -> None:
        fault = self._begin(PUT, cid)
        self._stop_for(fault)
        if not self._is_put_otherwise(cid, data, fault):
            self.store.put_block(cid, data)

    async def put_block_async(self, cid: Link, data: bytes) -> None:
        fault = self._begin(PUT, cid)
        await self._stop_for_async(fault)
        if not self._is_put_otherwise(cid, data, fault):
            await self.store.put_block_async(cid, data)

    def has(self, cid: CIDLike) -> bool:
        link = as_link(cid)
        self._stop_for(self._begin(HAS, link))
        return link in self._late or self.store.has(link)

    def has_raw(self, cid: Link) -> bool:
        return self.has(cid)

    def size_of(self, cid: Link) -> int | None:
        self._stop_for(self._begin(HAS, cid))
        data = self._late.get(cid)
        return self.store.size_of(cid) if data is None else len(data)

    def iter_blocks(self) -> Iterator[StoredBlock]:
        """List what the store behind lists; nothing goes wrong with that."""
        return self.store.iter_blocks()

    def make_cid(self, data: bytes, codec: str) -> Link:
        return self.store.make_cid(data, codec)

    def resolve(self, name: CIDLike) -> Link:
        return self.store.resolve(name)

    def flush(self) -> None:
        """Put what is late, in another order than it came, and flush the store behind."""
        self._stop_for(self._begin(FLUSH, None))
        with self._guard():
            order = list(self._late)
            self._chance.shuffle(order)
            for cid in order:
                self.store.put_block(cid, self._late[cid])
                del self._late[cid]
        self.store.flush()

    def forget(self) -> None:
        """Forget what is late, as the end of the process would."""
        with self._guard():
            self._late.clear()

    @property
    def noted_root(self) -> Link | None:
        return self.store.noted_root

    def note_root(self, root: Link) -> None:
        self._stop_for(self._begin(NOTE, root))
        self.store.note_root(root)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self.store.close()

    def _begin(self, operation: str, cid: Link | None) -> Fault | None:
        """Note a call and return what befalls it."""
        with self._guard():
            call = Call(len(self.calls) + 1, operation, cid)
            self.calls.append(call)
            fault = None if self.schedule is None else self.schedule(call)
            if fault is None:
                return None
            if operation not in fault.on:
                raise TypeError(f"{fault!r} cannot befall {call}: the schedule is wrong")
            self.faults.append((call, fault))
            return fault

    def _stop_for(self, fault: Fault | None) -> None:
        if isinstance(fault, Fail) and not isinstance(fault, Unanswered):
            raise fault.error
        if isinstance(fault, Stall):
            fault.reached.set()
            fault.go.wait()

    async def _stop_for_async(self, fault: Fault | None) -> None:
        if isinstance(fault, Stall):
            await asyncio.to_thread(self._stop_for, fault)
        else:
            self._stop_for(fault)

    def _is_put_otherwise(self, cid: Link, data: bytes, fault: Fault | None) -> bool:
        """Whether a fault has done with a block what was to be done."""
        if isinstance(fault, Late):
            with self._guard():
                self._late[cid] = bytes(data)
        elif isinstance(fault, Damage):
            self.store.put_block(cid, fault.apply(bytes(data)))
        return isinstance(fault, Late | Damage | Lose)


def _damaged(data: bytes, fault: Fault | None) -> bytes:
    return fault.apply(data) if isinstance(fault, Damage) else data


def _read_pointer(faulty: FaultyStore, store: KeepsPointers, name: str) -> Link | None:
    faulty._stop_for(faulty._begin(READ_POINTER, None))
    return store.read_pointer(name)


def _swap_pointer(
    faulty: FaultyStore, store: KeepsPointers, name: str, old: Link | None, new: Link
) -> bool:
    """Move a pointer, after a flush, which puts what is late and may have a fault of its own."""
    faulty.flush()
    fault = faulty._begin(SWAP_POINTER, new)
    faulty._stop_for(fault)
    has_moved = store.swap_pointer(name, old, new)
    if isinstance(fault, Unanswered):
        raise fault.error
    return has_moved


def _look(
    faulty: FaultyStore, operation: str, call: Callable[..., T], *arguments: Any, **named: Any
) -> T:
    faulty._stop_for(faulty._begin(operation, None))
    return call(*arguments, **named)


def _change(
    faulty: FaultyStore, operation: str, call: Callable[..., T], *arguments: Any, **named: Any
) -> T:
    """Change journals, after a flush, which puts what is late and may have a fault of its own."""
    if operation != REMOVE_JOURNAL:
        faulty.flush()
    fault = faulty._begin(operation, None)
    faulty._stop_for(fault)
    done = call(*arguments, **named)
    if isinstance(fault, Unanswered):
        raise fault.error
    return done
