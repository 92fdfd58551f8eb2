"""The connections to a database: each used by one thread at a time, and none during a fork."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import Any, NoReturn, TypeAlias, TypeVar
from weakref import finalize, ref

from ipldstore.basics.locks import no_fork
from ipldstore.errors import BackendError

T = TypeVar("T")


class Connection(sqlite3.Connection):
    """A connection that knows its write-ahead log from another file of that name."""

    log: tuple[int, int] | None = None


Connect: TypeAlias = Callable[[list[Connection]], None]
"""Appends a new connection to a list, without a look into the file, for which it might wait."""

_FORK_SECONDS = 5.0
"""How long a fork waits for other threads that are in the middle of a call."""

_LOOK_SECONDS = 0.001


class _Loan:
    """A connection, or none yet, in the hands of the function that makes the loan."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.frame = id(sys._getframe(1))
        self.held: list[Connection] = []
        self.is_given_back = False
        self.is_foreign = False

    @property
    def is_busy(self) -> bool:
        return bool(self.held) and not self.is_given_back and not self.is_foreign

    @property
    def is_lost(self) -> bool:
        """Whether it is this thread's, of a call that is over: its traceback may be kept."""
        return self.thread == get_ident() and not _is_running(self.frame)


class _File:
    """A file, known from others, also when it is removed and another one gets its number.

    Linux gives no number to a new file while a path of the old one is held. This neither opens
    the file nor, when it is let go of, releases SQLite's locks. On other systems this has to do
    without, and a file with the same number passes for the same.
    """

    def __init__(self, path: Path) -> None:
        self._paths: list[int] = []
        finalize(self, _close_paths, self._paths)
        if hasattr(os, "O_PATH"):
            # one call in C, so that no interrupt comes between opening and appending
            self._paths.extend(map(os.open, [path], [os.O_PATH | os.O_CLOEXEC]))
        self.identity = _identity(self._paths[0] if self._paths else path)


class Connections:
    """Opens connections to one file, lends them, and sees whether the file is still the same.

    SQLite notes in the memory of a process which locks it holds. A forked process would take them
    for its own, also on connections that it opens itself, so that all are closed before a fork. A
    thread that forks in the middle of a call of its own, in a signal handler, cannot do so: the
    forked process is refused the file then. `connect` opens a connection to the file, which is
    there; `begin` is what is done first with each.
    """

    def __init__(
        self, path: Path, connect: Connect, begin: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._path = path
        self._log_path = Path(f"{path}-wal")
        self._connect = connect
        self._begin = begin
        self._file: _File | None = None
        self._has_lost_log = False
        self._idle: list[Connection] = []
        # a loan that interrupts kept from being ended closes its connection when it is garbage
        self._loans: set[ref[_Loan]] = set()
        finalize(self, _close_all, self._idle)

    def use(self, work: Callable[[sqlite3.Connection], T], connect: Connect | None = None) -> T:
        """Call a function with a connection that no other thread uses meanwhile.

        If it fails or is interrupted, the connection is closed, and with that a transaction of it
        is taken back. `connect` opens one if none is idle, where that is not to be done as always.
        Raises `BackendError` if the file is another one than at first, or this process may not use
        it.
        """
        loan = _Loan()
        try:
            self._close_lost()
            self._loans.add(ref(loan, self._loans.discard))
            with no_fork():
                is_new = self._take(loan, connect or self._connect)
            if is_new:
                self._begin(loan.held[0])
            result = work(loan.held[0])
            self._note_log(loan.held[0])
            # no interrupt can arrive between these two steps
            loan.is_given_back = True
            self._idle.append(loan.held[0])
        except BaseException:
            self._drop(loan)
            raise
        return result

    def check_current(self) -> None:
        """Raise `BackendError` if the path does not lead to the file any more, or to its log."""
        # another thread may forget it meanwhile
        file = self._file
        if file is not None and _identity(self._path) != file.identity:
            self._refuse(self._path)
        idle = list(self._idle)
        log = _identity(self._log_path)
        # SQLite keeps the log while one is open: those that are idle still were all the time
        if any(one.log not in (None, log) for one in idle if one in self._idle):
            self._has_lost_log = True
        if self._has_lost_log:
            self._refuse(self._log_path)

    def _refuse(self, path: Path) -> NoReturn:
        raise BackendError(
            f"{str(path)!r} was removed, or replaced by another file, while it was open: "
            "what was put into it is not there; open it with a new SQLiteCAStore, and write "
            "that again"
        )

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close_all(self._idle)

    def forget_file(self) -> None:
        """Take whatever file there is when it is used next."""
        self._file = None
        self._has_lost_log = False

    def prepare(self) -> None:
        """Close all connections before a fork, once other threads have given back theirs."""
        self._close_lost()
        deadline = time.monotonic() + _FORK_SECONDS
        while self._is_busy_elsewhere() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        _close_all(self._idle)

    def renew(self) -> None:
        """Let go of what could not be closed, in a forked process."""
        inherited = list(self._idle)
        for loan in self._busy():
            loan.is_foreign = True
            inherited += loan.held
            if loan.thread == get_ident():
                # the interrupted call may go on here
                loan.held[0].set_authorizer(_deny)
        if inherited:
            _keep_for_ever(inherited)
            self._idle.clear()
            _inherited.add(self._identity())

    def _identity(self) -> tuple[int, int] | None:
        file = self._file
        return _identity(self._path) if file is None else file.identity

    def _take(self, loan: _Loan, connect: Connect) -> bool:
        """Put a connection into a loan; return whether it is a new one."""
        if _inherited and self._identity() in _inherited:
            raise BackendError(
                f"{str(self._path)!r} cannot be used in this process, which was forked in the "
                "middle of a call to it: fork between calls, or start processes by spawn"
            )
        if self._idle:
            loan.held.append(self._idle.pop())
            return False
        self.check_current()
        connect(loan.held)
        if self._file is None:
            self._file = _File(self._path)
        return True

    def _note_log(self, connection: Connection) -> None:
        if connection.log is None:
            connection.log = _identity(self._log_path)

    def _drop(self, loan: _Loan) -> None:
        if loan.is_busy:
            loan.held[0].close()
            loan.held.clear()

    def _close_lost(self) -> None:
        for loan in self._busy():
            if loan.is_lost:
                self._drop(loan)

    def _busy(self) -> list[_Loan]:
        loans = [reference() for reference in list(self._loans)]
        return [loan for loan in loans if loan is not None and loan.is_busy]

    def _is_busy_elsewhere(self) -> bool:
        return any(loan.thread != get_ident() for loan in self._busy())


_inherited: set[tuple[int, int] | None] = set()
"""The files to which connections came here by a fork."""


def _identity(path: Path | int) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_running(frame_id: int) -> bool:
    """Whether a frame is one of those that lead here."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and id(frame) != frame_id:
        frame = frame.f_back
    return frame is not None


def _close_paths(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _close_all(connections: list[Connection]) -> None:
    with no_fork():
        while connections:
            connections.pop().close()


def _deny(*_: Any) -> int:
    return sqlite3.SQLITE_DENY


def _keep_for_ever(connections: list[Connection]) -> None:
    """Keep connections from being closed, even at exit: that would change the parent's files."""
    import ctypes

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
