"""The format's rules for directories, written down a second time on the dag-cbor package."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from typing import Any

import dag_cbor
from multiformats import CID

INLINE = 8 * 1024
PAGE = 256 * 1024


def cid_of(codec: str, data: bytes) -> CID:
    return CID("base32", 1, codec, ("sha2-256", hashlib.sha256(data).digest()))


def compare(a: str, b: str) -> int:
    """Compare two segments run by run, as the format says."""
    for run_a, run_b in zip(_runs(a), _runs(b), strict=False):
        x, y = _rank(run_a), _rank(run_b)
        if x != y:
            return -1 if x < y else 1
    key_a, key_b = (len(_runs(a)), a.encode()), (len(_runs(b)), b.encode())
    return (key_a > key_b) - (key_a < key_b)


def _rank(run: bytes) -> tuple[bool, int, bytes]:
    if not run.isdigit():
        return True, 0, run
    number = run.lstrip(b"0")
    return False, len(number), number


@functools.lru_cache(1 << 15)
def _runs(segment: str) -> list[bytes]:
    return re.findall(rb"[0-9]+|[^0-9]+", segment.encode())


def in_order(segments: Iterable[str]) -> list[str]:
    return sorted(segments, key=functools.cmp_to_key(compare))


def root_of(chunks: dict[str, bytes]) -> tuple[str, list[bytes]]:
    """Return the root of a hierarchy that is one directory ``a`` of chunks, and all its nodes."""
    nodes: list[bytes] = []

    def put(value: Any) -> CID:
        nodes.append(dag_cbor.encode(value))
        return cid_of("dag-cbor", nodes[-1])

    links = {data: cid_of("raw", data) for data in set(chunks.values())}
    entries = {segment: links[chunks[segment]] for segment in in_order(chunks)}
    value: Any = entries
    if len(dag_cbor.encode(entries)) > PAGE:
        sizes = {link: len(dag_cbor.encode(link)) for link in links.values()}
        pages = _cut(
            [(s, link, len(dag_cbor.encode(s)) + sizes[link]) for s, link in entries.items()]
        )
        value = [[page[0][0], put({s: link for s, link, _ in page})] for page in pages]
        while len(dag_cbor.encode(value)) > PAGE:
            lists = _cut([(s, link, len(dag_cbor.encode([s, link]))) for s, link in value])
            value = [[part[0][0], put([[s, link] for s, link, _ in part])] for part in lists]
    inlined = len(dag_cbor.encode(value)) <= INLINE
    root = put({} if not chunks else {"a": value if inlined else put(value)})
    return str(root), nodes


def _cut(items: list[tuple[str, CID, int]]) -> list[list[tuple[str, CID, int]]]:
    pages: list[list[tuple[str, CID, int]]] = [[]]
    size = 0
    for item in items:
        page = pages[-1]
        size = size + item[2] if page else item[2]
        if page and _head(len(page) + 1) + size > PAGE:
            page, size = [], item[2]
            pages.append(page)
        page.append(item)
        chance = int.from_bytes(hashlib.sha256(item[0].encode()).digest()[:4], "big")
        if len(page) > 1 and chance < 65536 * item[2]:
            pages.append([])
    return [page for page in pages if page]


def _head(count: int) -> int:
    return 1 + sum(count >= bound for bound in (24, 256)) + 2 * (count >= 65536)
