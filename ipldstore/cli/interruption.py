"""Ctrl-C: what is said, and that the program ends soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from ipldstore.cli.output import say_error

INTERRUPTED = 128 + 2
AGAIN = "run the command again to go on"
KEPT = f"blocks written so far stay, {AGAIN}"

_GRACE = 3.0
"""Seconds that threads have to finish what they wait for, such as a server that is silent."""

_hints: list[str] = []
"""What is left of what is being done, the innermost last."""


@contextmanager
def interruptible(hint: str) -> Iterator[None]:
    """Have an interruption of what is done meanwhile say what is left of it."""
    _hints.append(hint)
    try:
        yield
    except KeyboardInterrupt as interruption:
        interruption.add_note(hint)
        raise
    finally:
        _hints.pop()


def end_soon_if_interrupted() -> None:
    """Have the program end some seconds after Ctrl-C, even if a thread still waits."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(_GRACE, _leave_late)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _leave_late() -> None:
    report_interruption(_hints[-1:])
    leave()


def report_interruption(hints: Iterable[str]) -> int:
    """Say what is left and how to go on, and return the exit code."""
    hint = " ".join(hints) or AGAIN
    say_error("Interrupted", hint, INTERRUPTED, label="interrupted")
    return INTERRUPTED


def leave() -> None:
    """End the program at once, and all its threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
