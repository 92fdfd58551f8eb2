"""``ipldstore check-compression``: whether chunks would be compressed to equal bytes again."""

from __future__ import annotations

from typing import Any

from ipldstore.cli.roots import opened
from ipldstore.compression import CompressionCheck, check_compression
from ipldstore.words import printable


def check_hierarchy(what: str, blocks: str, chunks: int) -> tuple[bool, dict[str, Any], list[str]]:
    """Check each array, and return whether no one differs, facts and lines.

    Parameters
    ----------
    what, blocks
        The hierarchy, as in `opened`.
    chunks
        How many chunks of each array to try.
    """
    with opened(what, blocks) as (backend, root):
        checks = check_compression(root, backend, chunks=chunks)
    is_stable = all(check.verdict != "differs" for check in checks)
    facts = {"ok": is_stable, "arrays": [check.as_dict() for check in checks]}
    return is_stable, facts, [_line(check) for check in checks]


def _line(check: CompressionCheck) -> str:
    path = printable(check.path) or "."
    return f"{check.verdict:13} {path}: {printable(check.codec)}; {printable(check.message)}"
