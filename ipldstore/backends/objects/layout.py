"""The object that says how the blocks under a prefix are laid out."""

from __future__ import annotations

import json
from typing import Any

from ipldstore.basics.words import printable
from ipldstore.errors import BackendError

NAME = "ipldstore.json"
"""Its name, right under the prefix; a prefix that has none is of the one layout that there is."""

LAYOUT, VERSION = "object-per-block", 1
MARKER = json.dumps({"layout": LAYOUT, "version": VERSION}).encode() + b"\n"

_LONGEST = 64


def check_marker(data: bytes, where: str) -> None:
    """Raise if blocks are laid out in a way that this version does not know.

    Raises `BackendError` also if the object says nothing. The store is shown as `where`.
    """
    found = _read(data)
    if (found.get("layout"), found.get("version")) != (LAYOUT, VERSION):
        said = printable(f"{found.get('layout')} {found.get('version')}"[:_LONGEST])
        raise BackendError(
            f"{where} is laid out as {said!r}, and this version of ipldstore knows "
            f"'{LAYOUT} {VERSION}': use a newer one, or another prefix"
        )


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
