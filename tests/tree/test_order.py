"""Natural order of segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipldstore.tree.order import natural_key
from tests.tree.reference import in_order

segments = st.text(st.sampled_from("0019a.b-_é\u0660\U0001f600\x01"), min_size=1, max_size=12)


@given(st.lists(segments, unique=True))
def test_keys_sort_as_the_format_compares(names: list[str]) -> None:
    assert sorted(names, key=natural_key) == in_order(names)


@pytest.mark.parametrize(
    "ordered",
    [
        ["0", "1", "9", "10", "11", "100"],
        ["0.0", "0.1", "0.10", "1.0", "2.9", "2.10", "10.0"],
        ["0.0.0.0", "0.0.0.2", "0.0.0.11", "0.0.3.0", "0.1.0.0", "12.0.0.0"],
        ["0", "00", "001", "01", "1", "01.2", "1.2", "1a", "a", "a0", "a1", "a01b", "a1b", "ab"],
        ["9", "zarr.json", "é", "\u0660"],
    ],
    ids=["1d", "2d", "4d", "zeros and text", "other digits are text"],
)
def test_chunk_keys(ordered: list[str]) -> None:
    assert sorted(sorted(ordered), key=natural_key) == ordered
