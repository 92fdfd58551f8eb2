"""The command that runs, from wherever it is asked for."""

from __future__ import annotations

import sys
from typing import Any


def current_context() -> Any:
    """Return typer's context of the command that runs, None where this thread runs none."""
    try:
        from typer._click import globals as click
    except ImportError:  # an older typer, which uses the click that is installed
        import click  # type: ignore[no-redef]
    return click.get_current_context(silent=True)


def value_of(option: str) -> Any:
    """Return what the command that runs has for an option, such as ``--repository``."""
    context = current_context()
    return None if context is None else context.params.get(_parameter(option))


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def is_set(flag: str) -> bool:
    """Whether a flag such as ``--json`` is set: for the command that runs, or in the arguments."""
    context = current_context()
    if context is not None:
        return bool(context.params.get(_parameter(flag)))
    arguments = sys.argv[1:]
    return flag in (arguments[: arguments.index("--")] if "--" in arguments else arguments)
