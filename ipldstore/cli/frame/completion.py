"""Shells complete commands and options by asking the program itself."""

from __future__ import annotations

import os
from enum import StrEnum

PROGRAM = "ipldstore"
_VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"
"""Set by the shell when it asks."""


class Shell(StrEnum):
    """The shells that can ask."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def script_for(shell: Shell) -> str:
    """Return what makes a shell ask, in its own language."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script: str = get_completion_script(
        prog_name=PROGRAM, complete_var=_VARIABLE, shell=shell.value
    )
    return script


def prepare_to_answer() -> None:
    """Make typer understand the shell if it is a shell that asks."""
    if _VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
