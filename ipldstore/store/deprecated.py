"""Names that were others before, and go with the next release."""

from __future__ import annotations

from typing import Any

from ipldstore.basics.warning import warn


def renamed(blocks: Any, backend: Any) -> Any:
    """Return the block store that was given, also by the name that the parameter had before."""
    if backend is None:
        return blocks
    if blocks is not None:
        raise TypeError("blocks= came twice, by its former name backend= too")
    warn("backend= is called blocks= now", DeprecationWarning)
    return backend
