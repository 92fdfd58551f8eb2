"""The sizes of arrays as they are without compression, stored or not."""

from __future__ import annotations

from itertools import count
from math import prod

import numpy as np

from ipldstore.model.outline import Outline, iter_arrays
from ipldstore.tree.nodes import Directory
from ipldstore.tree.pages import Load

_UNKNOWN_ITEM_BYTES = 16
"""What an item of a type of no fixed size takes at least, in a NetCDF file as in memory."""


def measure_arrays(top: Directory, load: Load) -> tuple[int, int]:
    """Return how many chunks, or shards, arrays can have, and their bytes without compression."""
    chunks = size = 0
    for array, _, metadata in iter_arrays(Outline("", ""), top, load, count(1)):
        chunks += metadata.chunks_possible or 0
        size += prod(array.shape or ()) * _item_bytes(array.dtype)
    return chunks, size


def _item_bytes(dtype: str | None) -> int:
    try:
        return np.dtype(dtype).itemsize if dtype else _UNKNOWN_ITEM_BYTES
    except (TypeError, ValueError):
        return _UNKNOWN_ITEM_BYTES
