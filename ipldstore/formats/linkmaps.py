"""Maps whose values are all links, written at once."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ipldstore.cid import Link
from ipldstore.formats.dagcbor import (
    LINK_HEAD,
    SHORT_TEXT,
    encode_link,
    encode_map_head,
    encode_texts,
)

_LINK_BYTES = 36


def encode_link_map(links: Mapping[str, Link]) -> bytes:
    """Write a map of links as canonical DAG-CBOR."""
    head = encode_map_head(len(links))
    # not imported for this alone, as that takes longer
    numpy = sys.modules.get("numpy")
    texts = list(links)
    if numpy is not None and _are_regular(texts, links):
        return head + b"".join(_iter_runs(numpy, texts, b"".join(links.values())))
    pairs = dict(zip(encode_texts(texts), map(encode_link, links.values()), strict=True))
    return head + b"".join(key + pairs[key] for key in sorted(pairs))


def _are_regular(texts: Sequence[str], links: Mapping[str, Link]) -> bool:
    """Whether links have one size, and texts are short ones of ASCII that ascend in length."""
    sizes = list(map(len, texts))
    return (
        "".join(texts).isascii()
        and sizes == sorted(sizes)
        and 0 < min(sizes, default=0) <= max(sizes) < len(SHORT_TEXT)
        and set(map(len, links.values())) == {_LINK_BYTES}
    )


def _iter_runs(numpy: Any, texts: Sequence[str], links: bytes) -> Iterator[bytes]:
    """Iterate the pairs of texts of the same length, which take as many bytes each."""
    rows = numpy.frombuffer(links, "u1").reshape(-1, _LINK_BYTES)
    start = 0
    while start < len(texts):
        size = len(texts[start])
        stop = bisect_right(texts, size, start, key=len)
        run, values = texts[start:stop], rows[start:stop]
        if run != (ordered := sorted(run)):
            values = values[sorted(range(len(run)), key=run.__getitem__)]
        yield _encode_run(numpy, "".join(ordered).encode(), values).tobytes()
        start = stop


def _encode_run(numpy: Any, joined: bytes, links: Any) -> Any:
    count = len(links)
    size = len(joined) // count
    at_link = 1 + size + len(LINK_HEAD)
    cells = numpy.empty((count, at_link + _LINK_BYTES), "u1")
    cells[:, 0] = SHORT_TEXT[size][0]
    cells[:, 1 : 1 + size] = numpy.frombuffer(joined, "u1").reshape(count, size)
    cells[:, 1 + size : at_link] = numpy.frombuffer(LINK_HEAD, "u1")
    cells[:, at_link:] = links
    return cells
