"""The format read a second time from its specification: simple, slow, on the dag-cbor package."""

import hashlib
import json
import re
from functools import lru_cache

import dag_cbor
from multiformats import CID, multihash

METADATA_NAMES = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
PAGE_BYTES = 262_144


def cid_of(data, codec="raw"):
    return CID("base32", 1, codec, multihash.digest(data, "sha2-256"))


# most chunks of a test are equal, and few are large
_chunk_link = lru_cache(256)(cid_of)


def expected_root(content):
    """Return the root CID of a hierarchy, as text.

    `content` maps keys to values: bytes of at most 1 MiB or, under metadata names, the bytes of
    a JSON object that IPLD data can hold.
    """
    _, encoded, _ = _encode_node(_nest(content))
    return str(cid_of(encoded, "dag-cbor"))


def _nest(content):
    top = {}
    for key, value in content.items():
        *folders, name = key.split("/")
        node = top
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = value
    return top


def _encode_node(node):
    pairs = {}
    depth = 0
    for name, item in node.items():
        if name in METADATA_NAMES:
            document = json.loads(item)
            stub = _stub(document, dag_cbor.encode(document), _depth(document))
        elif isinstance(item, bytes):
            stub = _chunk_link(item), 0
        else:
            stub = _stub(*_encode_node(item))
        pairs[name] = stub[0]
        depth = max(depth, stub[1])
    encoded = dag_cbor.encode(pairs)
    if len(encoded) <= PAGE_BYTES:
        return pairs, encoded, depth + 1
    ordered = [(name, {name: pairs[name]}) for name in sorted(pairs, key=natural)]
    page_list = [[page[0][0], _put(_merged(page))] for page in cut(ordered, skip=1)]
    while len(dag_cbor.encode(page_list)) > PAGE_BYTES:
        lists = cut([(pair[0], pair) for pair in page_list], skip=0)
        page_list = [[part[0][0], _put([pair for _, pair in part])] for part in lists]
    return page_list, dag_cbor.encode(page_list), 2


def _stub(value, encoded, depth):
    if len(encoded) <= 8192 and depth <= 32:
        return value, depth
    return cid_of(encoded, "dag-cbor"), 0


def _put(value):
    return cid_of(dag_cbor.encode(value), "dag-cbor")


def _merged(page):
    return {name: entry for _, single in page for name, entry in single.items()}


def _depth(value):
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, children), default=0)


def natural(segment):
    runs = re.findall(rb"[0-9]+|[^0-9]+", segment.encode())
    return [(0, int(run)) if run.isdigit() else (1, run) for run in runs], segment.encode()


def head_size(count):
    return 1 if count < 24 else 2 if count < 256 else 3


def cut(items, skip):
    """Cut items into pages; `skip` bytes of an item's encoding are a head of its own."""
    pages = []
    page, size = [], 0
    for segment, value in items:
        item_size = len(dag_cbor.encode(value)) - skip
        if page and head_size(len(page) + 1) + size + item_size > PAGE_BYTES:
            pages.append(page)
            page, size = [], 0
        page.append((segment, value))
        size += item_size
        mark = int.from_bytes(hashlib.sha256(segment.encode()).digest()[:4], "big")
        if len(page) > 1 and mark < 65536 * item_size:
            pages.append(page)
            page, size = [], 0
    return [*pages, page] if page else pages
