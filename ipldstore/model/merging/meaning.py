"""Attributes without which the values of an array cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

DECODING_ATTRIBUTES = (
    *("units", "calendar", "scale_factor", "add_offset"),
    *("_FillValue", "missing_value", "_Unsigned", "dtype"),
    *("flag_values", "flag_masks", "_ARRAY_DIMENSIONS"),
)
"""What xarray and netCDF decode values by, units, and along what they lie.

CF Conventions 1.11, 2.5.1, 3.5, 4.4 and 8.1.
"""

_TIME = b" since "


def changes_meaning(name: str, before: Sequence[bytes | None], after: bytes | None) -> bool:
    """Whether an attribute is one that makes other values of what is stored, given its encodings.

    To add units to values without any only says what they were all the time, but for units of time.
    """
    if all(value == after for value in before):
        return False
    is_added = all(value is None for value in before)
    return not (name == "units" and is_added and after is not None and _TIME not in after)
