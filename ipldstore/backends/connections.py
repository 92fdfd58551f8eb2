"""The connections to a database: each used by one thread at a time, and none during a fork."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import Any, TypeAlias, TypeVar
from weakref import finalize

from ipldstore.errors import BackendError
from ipldstore.locks import no_fork

T = TypeVar("T")

Connect: TypeAlias = Callable[[list[sqlite3.Connection]], None]
"""Appends a new connection to a list, and makes it ready."""

_FORK_SECONDS = 5.0
"""How long a fork waits for other threads that are in the middle of a call."""

_LOOK_SECONDS = 0.001


class _Loan:
    """A connection, or none yet, in the hands of a thread."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.held: list[sqlite3.Connection] = []
        self.is_given_back = False
        self.is_foreign = False

    @property
    def is_busy(self) -> bool:
        return bool(self.held) and not self.is_given_back and not self.is_foreign


class Connections:
    """Opens connections to one file, lends them, and sees whether the file is still the same.

    SQLite notes in the memory of a process which locks it holds. A forked process would take them
    for its own, also on connections that it opens itself, so that all are closed before a fork. A
    thread that forks in the middle of a call of its own, in a signal handler, cannot do so: the
    forked process is refused the file then.

    Parameters
    ----------
    path
        The file.
    connect
        Opens a connection to the file, which is there.
    """

    def __init__(self, path: Path, connect: Connect) -> None:
        self._path = path
        self._connect = connect
        self._file: tuple[int, int] | None = None
        self._idle: list[sqlite3.Connection] = []
        self._loans: set[_Loan] = set()
        finalize(self, _close_all, self._idle)

    def use(self, work: Callable[[sqlite3.Connection], T], connect: Connect | None = None) -> T:
        """Call a function with a connection that no other thread uses meanwhile.

        If it fails or is interrupted, the connection is closed, and with that a transaction of it
        is taken back.

        Parameters
        ----------
        work
            The function.
        connect
            How to open one if none is idle, where it is not to be done as always.

        Raises
        ------
        BackendError
            If the file is another one than at first, or this process may not use it.
        """
        loan = _Loan()
        try:
            self._loans.add(loan)
            with no_fork():
                self._take(loan, connect or self._connect)
            result = work(loan.held[0])
            # no interrupt can arrive between these two steps
            loan.is_given_back = True
            self._idle.append(loan.held[0])
            self._loans.discard(loan)
        except BaseException:
            self._drop(loan)
            raise
        return result

    def check_current(self) -> None:
        """Raise `BackendError` if the path does not lead to the file any more."""
        if self._file is not None and _identity(self._path) != self._file:
            raise BackendError(
                f"{str(self._path)!r} was removed, or replaced by another file, while it was open: "
                "what was put into it is not there; open it with a new SQLiteCAStore, and write "
                "that again"
            )

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close_all(self._idle)

    def forget_file(self) -> None:
        """Take whatever file there is when it is used next."""
        self._file = None

    def prepare(self) -> None:
        """Close all connections before a fork, once other threads have given back theirs."""
        deadline = time.monotonic() + _FORK_SECONDS
        while self._is_busy_elsewhere() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        _close_all(self._idle)

    def renew(self) -> None:
        """Let go of what could not be closed, in a forked process."""
        inherited = list(self._idle)
        for loan in self._loans:
            if loan.is_busy:
                loan.is_foreign = True
                inherited += loan.held
                if loan.thread == get_ident():
                    # the interrupted call may go on here
                    loan.held[0].set_authorizer(_refuse)
        if inherited:
            _keep_for_ever(inherited)
            self._idle.clear()
            _inherited.add(self._file or _identity(self._path))

    def _take(self, loan: _Loan, connect: Connect) -> None:
        if _inherited and (self._file or _identity(self._path)) in _inherited:
            raise BackendError(
                f"{str(self._path)!r} cannot be used in this process, which was forked in the "
                "middle of a call to it: fork between calls, or start processes by spawn"
            )
        if self._idle:
            loan.held.append(self._idle.pop())
            return
        self.check_current()
        connect(loan.held)
        if self._file is None:
            self._file = _identity(self._path)

    def _drop(self, loan: _Loan) -> None:
        if loan.is_busy:
            loan.held[0].close()
        self._loans.discard(loan)

    def _is_busy_elsewhere(self) -> bool:
        return any(loan.is_busy and loan.thread != get_ident() for loan in list(self._loans))


_inherited: set[tuple[int, int] | None] = set()
"""The files to which connections came here by a fork."""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _close_all(connections: list[sqlite3.Connection]) -> None:
    with no_fork():
        while connections:
            connections.pop().close()


def _refuse(*_: Any) -> int:
    return sqlite3.SQLITE_DENY


def _keep_for_ever(connections: list[sqlite3.Connection]) -> None:
    """Keep connections from being closed, even at exit: that would change the parent's files."""
    import ctypes

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
