"""Whether CAR archives may be padded with zeros, as one option of many commands says."""

from __future__ import annotations

_mode = {"allowed": False}


def choose_padding(allowed: bool) -> None:
    """Say whether this command reads archives that are padded."""
    _mode["allowed"] = allowed


def is_padding_allowed() -> bool:
    """Whether this command reads archives that are padded."""
    return _mode["allowed"]
