"""For those who test a block store of their own, or what they build on one.

`BackendTests` is the contract of a block store as tests, which need pytest, `PointerTests` that of
one that keeps pointers, and `JournalTests` of one that keeps journals, too. `FaultyStore` wraps a
block store and has it fail, stall, corrupt, reorder and lose on a schedule; it needs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipldstore.testing.contract import (
        DAG_JSON,
        EMPTY_RAW,
        HASHES,
        HELLO_RAW,
        IDENTITY_HELLO,
        MISSING,
        BackendTests,
    )
    from ipldstore.testing.faults import (
        Call,
        Fail,
        Fault,
        FaultyStore,
        FlipBit,
        Late,
        Lose,
        Schedule,
        Stall,
        Swap,
        Truncate,
        Unanswered,
        at,
        randomly,
    )
    from ipldstore.testing.journals import JournalTests
    from ipldstore.testing.pointers import PointerTests

_CONTRACT = (
    "BackendTests",
    "DAG_JSON",
    "EMPTY_RAW",
    "HASHES",
    "HELLO_RAW",
    "IDENTITY_HELLO",
    "MISSING",
)

_OTHERS = {"PointerTests": "pointers", "JournalTests": "journals"}

__all__ = [
    "DAG_JSON",
    "EMPTY_RAW",
    "HASHES",
    "HELLO_RAW",
    "IDENTITY_HELLO",
    "MISSING",
    "BackendTests",
    "Call",
    "Fail",
    "Fault",
    "FaultyStore",
    "FlipBit",
    "JournalTests",
    "Late",
    "Lose",
    "PointerTests",
    "Schedule",
    "Stall",
    "Swap",
    "Truncate",
    "Unanswered",
    "at",
    "randomly",
]


if not TYPE_CHECKING:  # type checkers would take any name for one of the module

    def __getattr__(name: str) -> Any:
        """Import what is asked for: only the contracts need pytest."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        part = "contract" if name in _CONTRACT else _OTHERS.get(name, "faults")
        return getattr(import_module(f"ipldstore.testing.{part}"), name)
