"""Where directories are cut: as the format says it, entry by entry."""

import hashlib
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from ipldstore.formats import dagcbor
from ipldstore.tree import cut as cut_module
from ipldstore.tree.cut import cut
from ipldstore.tree.order import in_natural_order, natural_key


def cut_one_by_one(segments, sizes, most):
    """Cut by the words of the format, with nothing of ours."""
    pages, page, total = [], [], 0
    for segment, size in zip(segments, sizes, strict=True):
        head = 1 if len(page) + 1 < 24 else 2 if len(page) + 1 < 256 else 3
        if page and head + total + size > most:
            pages.append(page)
            page, total = [], 0
        page.append(segment)
        total += size
        digest = hashlib.sha256(segment.encode()).digest()
        if len(page) > 1 and int.from_bytes(digest[:4], "big") < 65536 * size:
            pages.append(page)
            page, total = [], 0
    return [*pages, page] if page else pages


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=4), st.integers(2, 70_000)), max_size=400),
    st.sampled_from([100, 300, 4096, 1 << 18]),
)
def test_pages_end_where_the_format_says(entries, most):
    segments = [segment for segment, _ in entries]
    sizes = [size for _, size in entries]
    with patch.object(cut_module, "MAX_PAGE_BYTES", most):
        pages = [segments[page] for page in cut(segments, sizes)]
    assert pages == cut_one_by_one(segments, sizes, most)


@given(st.integers(0, 3000), st.integers(0, 10**12), st.sampled_from([60, 90, 2000]))
def test_many_entries_of_one_size(count, start, size):
    segments = [str(start + index) for index in range(count)]
    with patch.object(cut_module, "MAX_PAGE_BYTES", 40_000):
        pages = [segments[page] for page in cut(segments, [size] * count)]
    assert pages == cut_one_by_one(segments, [size] * count, 40_000)


digits = st.text("0123456789", min_size=1, max_size=30)
names = digits | st.integers(0, 10**9).map(str) | st.text(min_size=1, max_size=6)


@given(st.lists(digits, unique=True) | st.lists(names, unique=True))
def test_in_natural_order_is_by_the_natural_key(segments):
    data = [dagcbor.encode_text(segment) + b"entry" for segment in segments]
    expected = sorted(segments, key=natural_key)
    assert in_natural_order(segments, data) == (
        expected,
        [dagcbor.encode_text(segment) + b"entry" for segment in expected],
    )
