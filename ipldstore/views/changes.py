"""What a picture of changes shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ipldstore.views.grids import ChunkGrid


@dataclass
class ArrayChanges:
    """What changed in one array.

    Attributes
    ----------
    path : str
        The array.
    grid : ChunkGrid
        Its chunks by kind of change, laid out.
    dimensions : tuple of str
        The names of its dimensions, or their numbers.
    note : str
        What else is to say.
    """

    path: str
    grid: ChunkGrid
    dimensions: tuple[str, ...]
    note: str = ""


@dataclass
class Changes:
    """What changed between two hierarchies.

    Attributes
    ----------
    before, after : str
        Their roots.
    arrays : list of ArrayChanges
        Arrays with chunks that changed, or the one that was asked for.
    more : int
        Further arrays with chunks that changed.
    other : Counter
        Of all keys but those of chunks, how many were added, changed and removed.
    """

    before: str
    after: str
    arrays: list[ArrayChanges] = field(default_factory=list)
    more: int = 0
    other: Counter[str] = field(default_factory=Counter)
