"""What people see on standard error: errors, sizes and progress bars."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeAlias

import typer

from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CodecError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNodeError,
    IPLDStoreError,
)

if TYPE_CHECKING:
    from rich.progress import Progress

P = ParamSpec("P")
Advance: TypeAlias = Callable[[int], None]

_EXIT_CODES: tuple[tuple[int, tuple[type[Exception], ...]], ...] = (
    (2, (InvalidCIDError,)),
    (3, (BlockNotFoundError, FileNotFoundError)),
    (4, (CorruptBlockError, CarFormatError, InvalidNodeError, CodecError)),
    (5, (BackendError,)),
)
_INTERRUPTED = 128 + 2
_BROKEN_PIPE = 128 + 13


class CommandError(Exception):
    """A command cannot do what it was asked for; the message says why."""


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command end with one line on standard error and an exit code, never a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Exit, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            say("interrupted: blocks written so far stay, run the command again to go on")
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from None
        except Exception as error:
            say(f"error: {describe(error)}")
            raise typer.Exit(exit_code_of(error)) from None

    return run


def exit_code_of(error: Exception) -> int:
    """Return the exit code that stands for a kind of error."""
    return next((code for code, types in _EXIT_CODES if isinstance(error, types)), 1)


def describe(error: Exception) -> str:
    """Say in one line what an error says."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {os.fspath(error.filename)!r}"
    elif isinstance(error, IPLDStoreError | OSError | CommandError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return printable(" ".join((text + notes).split()))


def printable(text: str) -> str:
    """Spell out the characters that could steer a terminal or end a line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def say(line: str) -> None:
    """Write a line to standard error."""
    print(line, file=sys.stderr, flush=True)


def size_text(size: float) -> str:
    """Write a number of bytes in the unit that suits it, 1 kB being 1000 bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@contextmanager
def progress(label: str, total: int | None, *, in_bytes: bool = True) -> Iterator[Advance]:
    """Show a progress bar while a terminal watches.

    Parameters
    ----------
    label
        What is going on.
    total
        How much there is to do; None if that is not known.
    in_bytes
        Whether it is counted in bytes, else in chunks.

    Yields
    ------
    callable
        To be told how much more is done.
    """
    if not sys.stderr.isatty():
        yield lambda amount: None
        return
    with _make_bar(in_bytes) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)


def _make_bar(in_bytes: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
