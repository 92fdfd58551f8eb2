"""Ctrl-C and other signals to end: what is said, and that the program ends soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeAlias

from ipldstore.cli.frame.output import say_error

Hint: TypeAlias = "str | Callable[[], str]"
"""What is said of an interruption, or a function that finds out then."""

BEGUN_ANEW = "run again, the command begins anew"
AGAIN = "run the command again to go on"
KEPT = f"blocks written so far stay, {AGAIN}"

_GRACE = 3.0
"""Seconds that threads have to finish what they wait for, such as a server that is silent."""

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_UNTOUCHED = (signal.default_int_handler, signal.SIG_DFL)

_arrived: list[int] = []
"""The signals that have come."""

_hints: list[Hint] = []
"""What is left of what is being done, the innermost last."""

_finished: list[str] = []
"""What this command has done for good."""

_said: list[bool] = []
"""Whether it was said that the command was interrupted."""

_timers: list[threading.Timer] = []
"""What ends the program after Ctrl-C."""


@contextmanager
def interruptible(hint: Hint) -> Iterator[None]:
    """Have an interruption of what is done meanwhile say what is left of it."""
    _hints.append(hint)
    try:
        yield
    except BaseException as error:
        if is_interruption(error):
            error.add_note(_text_of(hint))
        raise
    finally:
        _hints.pop()


def is_interruption(error: BaseException) -> bool:
    """Whether an error is that of a signal, also where it came between two lines of a library."""
    return isinstance(error, KeyboardInterrupt) or bool(_arrived)


def _text_of(hint: Hint) -> str:
    return hint if isinstance(hint, str) else hint()


def note_finished(text: str) -> None:
    """Have an interruption that comes later in this command say what is done."""
    _finished.append(text)


@contextmanager
def cleaning_up() -> Iterator[None]:
    """Let what is done meanwhile take its time, also after Ctrl-C."""
    timers = _timers[:]
    for timer in timers:
        timer.cancel()
    try:
        yield
    finally:
        if timers:
            _start_timer()


def end_soon_if_interrupted() -> None:
    """Have the program clean up and end after a signal to end, within seconds if a thread waits."""
    _finished.clear()
    _arrived.clear()
    _said.clear()
    for number in _SIGNALS:
        if signal.getsignal(number) in _UNTOUCHED:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _arrived.append(number)
    # who presses Ctrl-C again does not want to wait; others may send a signal twice
    again = signal.default_int_handler if number == signal.SIGINT else signal.SIG_IGN
    signal.signal(number, again)
    _start_timer()
    raise KeyboardInterrupt


def _start_timer() -> None:
    timer = threading.Timer(_GRACE, _leave_late)
    timer.daemon = True
    _timers[:] = [timer]
    timer.start()


def _leave_late() -> None:
    report_interruption(_text_of(hint) for hint in _hints[-1:])
    leave()


def report_interruption(hints: Iterable[str]) -> int:
    """Say what is left and how to go on, and return the exit code."""
    if not _said:
        _said.append(True)
        hint = " ".join(hints) or " ".join(_finished) or BEGUN_ANEW
        say_error("Interrupted", hint, _exit_code(), label="interrupted")
    return _exit_code()


def _exit_code() -> int:
    return 128 + (_arrived[0] if _arrived else signal.SIGINT)


def leave_if_interrupted(code: int) -> None:
    """End the program and all its threads at once, if that is why a command ended."""
    if code in (_exit_code(), 128 + signal.SIGINT):
        report_interruption(())  # where it came before the command began, nobody has said so
        leave()


def leave() -> None:
    """End the program at once, and all its threads."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the terminal may be what went away
            stream.flush()
    os._exit(_exit_code())
