"""What a picture of changes shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ipldstore.views.grids import ChunkGrid


@dataclass
class ArrayChanges:
    """What changed in one array: its chunks laid out by kind of change, and what else is to say."""

    path: str
    grid: ChunkGrid
    dimensions: tuple[str, ...]
    note: str = ""


@dataclass
class Changes:
    """What changed between two hierarchies.

    `before` and `after` are their roots. `arrays` are those with chunks that changed, or the one
    that was asked for; `more` says how many further ones there are. `other` counts all keys but
    those of chunks: how many were added, changed and removed.
    """

    before: str
    after: str
    arrays: list[ArrayChanges] = field(default_factory=list)
    more: int = 0
    other: Counter[str] = field(default_factory=Counter)
