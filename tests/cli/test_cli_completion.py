"""Completion by shells: the scripts, and what they ask the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.once


def ask(shell: str, *words: str) -> set[str]:
    """Ask for completions as the script for a shell does, and return those."""
    line = " ".join(words)
    variables = {"_IPLDSTORE_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        variables |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    else:
        variables |= {"_TYPER_COMPLETE_ARGS": line}
    if shell == "fish":
        variables |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    answered = subprocess.run(
        [sys.executable, "-m", "ipldstore"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"(?:--)?[a-z][a-z-]+", answered.stdout))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell: str) -> None:
    assert {"verify"} <= ask(shell, "ipldstore", "ve")
    assert "verify" not in ask(shell, "ipldstore", "pu")
    assert {"put", "publish"} <= ask(shell, "ipldstore", "pu")
    assert {"--repair-from"} <= ask(shell, "ipldstore", "verify", "--re")
    assert {"add", "ls", "rm", "update"} <= ask(shell, "ipldstore", "pin", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_sound(shell: str, call: Any) -> None:
    shown = call("--show-completion", shell)
    assert (shown.code, shown.err) == (0, "")
    assert b"_IPLDSTORE_COMPLETE" in shown.out
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=shown.out, check=False)
        assert checked.returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(call: Any, workplace: Any) -> None:
    (workplace / "ipldstore").write_text(f'#!/bin/sh\nexec {sys.executable} -m ipldstore "$@"\n')
    (workplace / "ipldstore").chmod(0o755)
    script = call("--show-completion", "bash").out.decode()
    script += "\nCOMP_WORDS=(ipldstore check) COMP_CWORD=1\n_ipldstore_completion ipldstore\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    environment = {**os.environ, "PATH": f"{workplace}{os.pathsep}{os.environ['PATH']}"}
    answered = subprocess.run(
        ["bash"], input=script.encode(), env=environment, capture_output=True, check=True
    )
    assert answered.stdout == b"check-compression\n"


def test_unknown_shells_are_refused(call: Any) -> None:
    refused = call("--show-completion", "cmd")
    assert (refused.code, refused.out) == (2, b"")
    assert "bash" in refused.err
