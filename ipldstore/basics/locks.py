"""The one rule for locks: no thread enters twice, and a forked process finds none taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import RLock, get_ident
from typing import TYPE_CHECKING
from weakref import WeakMethod, WeakSet, ref

from ipldstore.errors import ReentrantCallError

if TYPE_CHECKING:
    from _thread import RLock as RLockType

_LOOK_AGAIN_SECONDS = 1.0

_REENTRANT = (
    "a signal handler or finalizer called a store in the middle of another call to "
    "it in the same thread: have the handler set a flag, and do the work afterwards"
)


class Bell:
    """Wakes the thread that waits for it, once."""

    def __init__(self) -> None:
        # in C, so that an interrupt of the one that waits leaves no lock taken
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake it, also if it does not wait yet."""
        self._rung.put(None)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is rung, for so many seconds at most."""
        with suppress(Empty):
            self._rung.get(timeout=seconds)


class Guard:
    """A lock, entered by ``with guard():``.

    What it guards has to be valid after every single step, not only when the lock is left: an
    interrupt may end the work between any two steps, and a process may fork in the middle of
    it. In the forked process the lock is a new one, since the thread that held it is not there.

    A thread that is inside is refused when it comes again. Only a signal handler or a finalizer
    that runs in the middle of the work can do so, and would wait for itself for ever.

    To wait for another thread, take a bell by `listen` while inside, leave, and wait for the bell.

    `renew` is a method that is called in a forked process, to drop what belonged to threads of the
    parent; `prepare` one that is called in the parent before a fork, while nobody else forks or is
    in `no_fork`. Both are held weakly.
    """

    def __init__(
        self,
        renew: Callable[[], None] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._renew = None if renew is None else WeakMethod(renew)
        self._prepare = None if prepare is None else WeakMethod(prepare)
        self._bells: list[Bell] = []
        self._lock = RLock()
        _guards.add(self)

    def __call__(self) -> RLockType:
        """Return what ``with`` enters.

        It is a lock in C, which is entered and left without a point between where an interrupt
        could arrive. Raises `ReentrantCallError` if this thread is inside already.
        """
        lock = self._lock
        # what `threading.Condition` asks its lock, too: there is no public way to ask who holds it
        if lock._is_owned():  # type: ignore[attr-defined]
            raise ReentrantCallError(_REENTRANT)
        return lock

    @property
    def is_taken(self) -> bool:
        """Whether any thread is inside, at this moment."""
        # `locked` is there from Python 3.14 on only, and to try to enter could leave it taken
        return repr(self._lock).startswith("<locked")

    def listen(self) -> Bell:
        """Return a bell that the next `ring` rings."""
        bell = Bell()
        self._bells.append(bell)
        return bell

    def ring(self) -> None:
        """Ring all bells."""
        for bell in tuple(self._bells):
            bell.ring()
            self.forget(bell)

    def ring_one(self) -> None:
        """Ring the bell that was taken first."""
        with suppress(IndexError):
            self._bells.pop(0).ring()

    def forget(self, bell: Bell) -> None:
        """Ring a bell no more, as nobody waits for it."""
        with suppress(ValueError):
            self._bells.remove(bell)

    def _start_anew(self) -> None:
        self._lock = RLock()

    def _call(self, method: WeakMethod[Callable[[], None]] | None) -> None:
        bound = None if method is None else method()
        if bound is not None:
            bound()


class Turn:
    """A place among those of `Turns`."""

    __slots__ = ("__weakref__", "_guard", "is_over", "thread")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.is_over = False
        self.thread = get_ident()

    def end(self) -> None:
        """Give the place back."""
        self.is_over = True
        self._guard.ring_one()


class Turns:
    """What is under way at once, counted, and bounded if there is a limit.

    A turn whose `Turn.end` an interrupt kept from being called ends with the object. The attribute
    `limit` may be changed at any time.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._begun: list[ref[Turn]] = []
        self._guard = Guard(self._drop)

    def __len__(self) -> int:
        return len(self._under_way())

    def begin(self) -> Turn:
        """Take a turn, and wait for one if all are taken."""
        turn = Turn(self._guard)
        while True:
            with self._guard():
                if self._add(turn):
                    return turn
                bell = self._guard.listen()
            try:
                bell.wait(_LOOK_AGAIN_SECONDS)
            finally:
                self._guard.forget(bell)

    def _add(self, turn: Turn) -> bool:
        """Count a turn if there is room for it, and wake the next who waits if there is more."""
        others = self._under_way()
        if not self._is_full(len(others)):
            self._begun = [ref(other) for other in (*others, turn)]
            if not self._is_full(len(others) + 1):
                self._guard.ring_one()
            return True
        if any(other.thread == turn.thread for other in others):
            raise ReentrantCallError(_REENTRANT)
        return False

    def _is_full(self, count: int) -> bool:
        return self.limit is not None and count >= self.limit

    def _under_way(self) -> list[Turn]:
        turns = (reference() for reference in self._begun)
        return [turn for turn in turns if turn is not None and not turn.is_over]

    def _drop(self) -> None:
        self._begun = []


class Process:
    """Tells a process from those that it forks.

    `current` is another object in each process. To compare it takes no call, after which a signal
    handler could fork.
    """

    current = object()


_guards: WeakSet[Guard] = WeakSet()
_forks = RLock()


def no_fork() -> RLockType:
    """Return what ``with`` enters to keep other threads from forking, for a short step."""
    return _forks


def _all_guards() -> list[Guard]:
    while True:
        # other threads make guards meanwhile
        with suppress(RuntimeError):
            return list(_guards)


def _before_fork() -> None:
    for guard in _all_guards():
        guard._call(guard._prepare)


def _after_fork() -> None:
    Process.current = object()
    guards = _all_guards()
    for guard in guards:
        guard._start_anew()
    for guard in guards:
        guard._call(guard._renew)
        guard.ring()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
    # What is registered later comes first before a fork, and last after it. These are calls in C,
    # so that no interrupt falls between taking the lock and letting it go.
    os.register_at_fork(
        before=_forks.acquire, after_in_parent=_forks.release, after_in_child=_forks.release
    )
