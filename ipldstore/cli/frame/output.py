"""What goes to standard output, and notes to standard error: for people, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from ipldstore.cli.frame.context import is_set


def is_json() -> bool:
    """Whether this command speaks JSON."""
    return is_set("--json")


def is_ascii_only() -> bool:
    """Whether standard output may lack the characters that lines are drawn with."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def show(facts: dict[str, Any], *lines: str) -> None:
    """Write what came out: the lines, or the facts as one JSON object."""
    for line in [_encode(facts)] if is_json() else lines:
        print(line, flush=True)


def show_each(entries: Iterable[tuple[dict[str, Any], str]]) -> None:
    """Write the entries of a listing as they come: a line each, or a JSON object each."""
    for facts, line in entries:
        print(_encode(facts) if is_json() else line)


def say(line: str) -> None:
    """Write a note for people to standard error."""
    if not is_json():
        print(line, file=sys.stderr, flush=True)


def say_error(kind: str, message: str, exit_code: int, *, label: str = "error") -> None:
    """Write why a command failed to standard error."""
    error = {"type": kind, "message": message, "exit_code": exit_code}
    line = _encode({"error": error}) if is_json() else f"{label}: {message}"
    print(line, file=sys.stderr, flush=True)


def _encode(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, separators=(",", ":"), allow_nan=False)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON lets through


def count_text(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
