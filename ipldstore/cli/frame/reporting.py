"""How a command ends: with a result, or with one line that says why not, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import typer

from ipldstore.basics.urls import show_url, without_secrets
from ipldstore.basics.words import printable
from ipldstore.cli.frame.escaping import check_written
from ipldstore.cli.frame.interruption import Interruption, current_interruption
from ipldstore.cli.frame.output import is_json, say_error
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CodecError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNameError,
    InvalidNodeError,
    IPLDStoreError,
    LimitExceededError,
    RepositoryNotFoundError,
    RevisionError,
)

P = ParamSpec("P")

NOT_FOUND, CORRUPT, UNREACHABLE = 3, 4, 5
_EXIT_CODES: tuple[tuple[int, tuple[type[Exception], ...]], ...] = (
    (2, (InvalidCIDError, InvalidNameError)),
    (
        NOT_FOUND,
        (BlockNotFoundError, FileNotFoundError, RevisionError, RepositoryNotFoundError),
    ),
    (
        CORRUPT,
        (CorruptBlockError, CarFormatError, InvalidNodeError, CodecError, LimitExceededError),
    ),
    (UNREACHABLE, (BackendError,)),
)
_BROKEN_PIPE = 128 + 13
_UsageError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for arguments that it does not understand, and does not export."""


class CommandError(Exception):
    """A command cannot do what it was asked for; the message says why."""


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command end with one line on standard error and an exit code, never a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
            check_written(sys.stdout)
        except (typer.Exit, _UsageError):
            raise
        except (SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # libraries in Rust panic with one that is no Exception
            raise typer.Exit(report(error, current_interruption())) from None

    return run


def report(error: BaseException, interruption: Interruption) -> int:
    """Say why a command failed and return its exit code."""
    if isinstance(error, _UsageError):
        return _report_usage(error)
    if interruption.caused(error):
        return interruption.report(getattr(error, "__notes__", ()))
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    code = exit_code_of(error)
    say_error(_kind_of(error), describe(error), code)
    return code


def _report_usage(error: Any) -> int:
    error.message = without_secrets(error.message)
    if is_json():
        say_error("UsageError", error.format_message(), error.exit_code)
    else:
        error.show()
    code: int = error.exit_code
    return code


def _kind_of(error: BaseException) -> str:
    """Return the name of an error's nearest public class."""
    public = ("ipldstore.errors", "builtins", __name__)
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ in public)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that stands for a kind of error."""
    return next((code for code, types in _EXIT_CODES if isinstance(error, types)), 1)


def describe(error: BaseException) -> str:
    """Say in one line what an error says."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.strerror}: {show_url(os.fsdecode(error.filename))!r}"
    elif isinstance(error, IPLDStoreError | OSError | ImportError | CommandError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return printable(" ".join(without_secrets(text + notes).split()))
