"""What the program writes for people, which nothing that others named can use to steer a terminal.

All text goes through the streams here: that of the commands, of warnings and logs of libraries, of
errors in threads, and of the parser of arguments.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn, TextIO, cast

from ipldstore.basics.words import printable
from ipldstore.cli.frame.output import say

_LAYOUT = "\n\t"


class EscapedStream:
    """A text stream that spells out control characters and the like; its `buffer` does not."""

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)

    def write(self, text: str) -> int:
        """Write text; new lines and tabs stay."""
        if isinstance(text, str):
            text = _spell_out(text)
        return self.unescaped.write(text)

    def writelines(self, lines: Any) -> None:
        """Write several pieces of text."""
        for line in lines:
            self.write(line)

    def _drop(self) -> None:
        """Send what is held back nowhere: at its end the interpreter would try again."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.unescaped.fileno())
            os.close(nowhere)
            self.unescaped.flush()


class Output(EscapedStream):
    """Standard output, of which errors say that it is what could not be written to."""

    def write(self, text: str) -> int:
        """Write text; new lines and tabs stay."""
        with self._named():
            return super().write(text)

    def flush(self) -> None:
        """Write what is held back."""
        with self._named():
            self.unescaped.flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self._drop()
            raise OSError(f"cannot write to standard output: {error.strerror}") from error


class Notes(EscapedStream):
    """Standard error, on which nothing depends: what does not go there is lost.

    What was done counts as done, and what came out is printed all the same.
    """

    def write(self, text: str) -> int:
        """Write text, if that can be."""
        try:
            return super().write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Write what is held back, if that can be."""
        try:
            self.unescaped.flush()
        except OSError:
            self._drop()


class ClosedOutput(EscapedStream):
    """Stands for standard output where who called the program closed it.

    Text is dropped and noted, so that ``--version`` may end well and a command may not; bytes are
    refused at once, for there may be many of them.
    """

    was_written = False

    def write(self, text: str) -> int:
        """Note that there was something to write."""
        self.was_written = self.was_written or bool(text)
        return len(text)

    @property
    def buffer(self) -> NoReturn:
        """Raise `OSError` where bytes would go."""
        raise _output_is_closed()


def check_written(stream: object) -> None:
    """Raise `OSError` if what was to be written to standard output went nowhere."""
    if isinstance(stream, ClosedOutput) and stream.was_written:
        raise _output_is_closed()


def _output_is_closed() -> OSError:
    return OSError("standard output is closed, and what was asked for goes there")


def _spell_out(text: str) -> str:
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(char if char in _LAYOUT else printable(char) for char in text)


def unescaped(stream: TextIO) -> TextIO:
    """Return the stream beneath, for what draws with control characters of its own."""
    return stream.unescaped if isinstance(stream, EscapedStream) else stream


def hold_closed_streams() -> None:
    """Keep files that are opened later from the numbers of streams that were closed.

    Libraries write to these by number, such as what went wrong, and that would be into a file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free


@contextmanager
def escaped_output() -> Iterator[None]:
    """Have all that is written meanwhile escaped, and what libraries say in a line each."""
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            kind: type[EscapedStream] = Notes if name == "stderr" else Output
            if stream is None:  # closed by who called the program
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                kind = Notes if name == "stderr" else ClosedOutput
            stream.reconfigure(errors="backslashreplace")
            escaped = cast("TextIO", kind(stream))
            stack.enter_context(_replaced(sys, name, escaped))
        stack.enter_context(_replaced(warnings, "showwarning", _show_warning))
        stack.enter_context(_replaced(logging, "lastResort", _Lines(logging.WARNING)))
        stack.enter_context(_replaced(threading, "excepthook", _show_lost_error))
        stack.enter_context(_replaced(sys, "unraisablehook", _show_lost_error))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def one_line(text: object) -> str:
    """Return text of libraries as one line without control characters."""
    return printable(" ".join(str(text).split()))


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **how: Any) -> None:
    say(f"warning: {category.__name__}: {one_line(message)}")


class _Lines(logging.Handler):
    """Shows each log record in a line, without the traceback that it may have."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {one_line(record.getMessage())}")


def _show_lost_error(lost: Any) -> None:
    say(f"warning: {lost.exc_type.__name__}: {one_line(lost.exc_value)}")
