"""Ctrl-C and other signals to end: what is said, and that the program ends soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import TypeAlias

from ipldstore.cli.frame.context import current_context
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


class Interruption:
    """The signal to end that may come to a run of the program, and what to say of it then."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._hints: list[Hint] = []
        self._finished: list[str] = []
        self._is_said = False
        self._timer: threading.Timer | None = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Have signals to end interrupt what is done meanwhile.

        The program then cleans up and ends, within seconds if a thread waits.
        """
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        untouched = {number: how for number, how in handlers.items() if how in _UNTOUCHED}
        for number in untouched:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            for number, how in untouched.items():
                signal.signal(number, how)

    @contextmanager
    def explained(self, hint: Hint) -> Iterator[None]:
        """Have an interruption of what is done meanwhile say what is left of it."""
        self._hints.append(hint)
        try:
            yield
        except BaseException as error:
            if self.caused(error):
                error.add_note(_text_of(hint))
            raise
        finally:
            self._hints.pop()

    def note_finished(self, text: str) -> None:
        """Have an interruption that comes later say what is done for good."""
        self._finished.append(text)

    @contextmanager
    def cleaning_up(self) -> Iterator[None]:
        """Let what is done meanwhile take its time, also after Ctrl-C."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
        try:
            yield
        finally:
            if timer is not None:
                self._start_timer()

    def caused(self, error: BaseException) -> bool:
        """Whether an error is that of a signal, also where a library made another one of it."""
        return isinstance(error, KeyboardInterrupt) or self._signal is not None

    def report(self, hints: Iterable[str] = ()) -> int:
        """Say what is left and how to go on, unless that was said, and return the exit code."""
        if not self._is_said:
            self._is_said = True
            hint = " ".join(hints) or " ".join(self._finished) or BEGUN_ANEW
            say_error("Interrupted", hint, self._exit_code, label="interrupted")
        return self._exit_code

    def leave_if_interrupted(self, code: int) -> None:
        """End the program and all its threads at once, if that is why a command ended."""
        if code in (self._exit_code, 128 + signal.SIGINT):
            self.report()  # where it came before the command began, nobody has said so
            self._leave()

    @property
    def _exit_code(self) -> int:
        return 128 + (signal.SIGINT if self._signal is None else self._signal)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._signal is None:
            self._signal = number
        # who presses Ctrl-C again does not want to wait; others may send a signal twice
        again = signal.default_int_handler if number == signal.SIGINT else signal.SIG_IGN
        signal.signal(number, again)
        self._start_timer()
        raise KeyboardInterrupt

    def _start_timer(self) -> None:
        self._timer = threading.Timer(_GRACE, self._leave_late)
        self._timer.daemon = True
        self._timer.start()

    def _leave_late(self) -> None:
        self.report(_text_of(hint) for hint in self._hints[-1:])
        self._leave()

    def _leave(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the terminal may be what went away
                stream.flush()
        os._exit(self._exit_code)


def _text_of(hint: Hint) -> str:
    return hint if isinstance(hint, str) else hint()


def current_interruption() -> Interruption:
    """Return that of the run which the command belongs to, a new one if it belongs to none."""
    context = current_context()
    found = None if context is None else context.obj
    return found if isinstance(found, Interruption) else Interruption()


def interruptible(hint: Hint) -> AbstractContextManager[None]:
    """Have an interruption of what is done meanwhile say what is left of it."""
    return current_interruption().explained(hint)
