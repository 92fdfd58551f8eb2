"""Well-formed inputs that fuzzing begins with."""

import json
import struct
from io import BytesIO

from bundles import CODECS, bundle_of

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import as_link, make_link, to_text
from ipldstore.dag import iter_dag
from ipldstore.formats import dagcbor
from ipldstore.formats.car import encode_header, write_car
from ipldstore.history.commit import Commit
from ipldstore.history.state import Operation, State
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.unixfs import nodes
from ipldstore.unixfs.directory import write_directory
from ipldstore.unixfs.hamt import write_shard
from ipldstore.unixfs.nodes import PBLink

ARRAY = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [6, 1000],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 500]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "fill_value": 0.0,
    "dimension_names": ["<x>", None],
}
DOCUMENTS = [
    {},
    ARRAY,
    {"zarr_format": 2},
    {"shape": [3, 10**9], "fill_value": -0.0, "dtype": "<f8", "attributes": {"µ": None, "t": True}},
    {"zarr_consolidated_format": 1, "metadata": {"b/.zarray": {}, ".zgroup": {"zarr_format": 2}}},
    {"deep": [[[[[{"a": [1.5, 1e300, 5e-324]}]]]]]},
]
VALUES = [
    *DOCUMENTS,
    [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -(2**63)],
    [b"", b"\0" * 24, "", "text", "ä€😀", False, True, None, 0.5, -0.0],
    {"link": make_link(b"chunk"), "more": [make_link(b"", "dag-cbor"), make_link(b"", "dag-pb")]},
]


def hierarchies() -> list[Hierarchy]:
    """Return frozen hierarchies of every kind of node that fits in a small bundle."""
    flat = Hierarchy()
    flat["0"] = b"chunk"
    deep = Hierarchy()
    for number, document in enumerate(DOCUMENTS):
        deep[f"group/{number}/zarr.json"] = json.dumps(document).encode()
        deep[f"group/{number}/c/0/{number}"] = b"chunk %d" % number
    wide = Hierarchy()
    for number in range(30):
        wide[f"a/0.{number}"] = b"chunk"
    stores = [Hierarchy(), flat, deep, wide]
    for store in stores:
        store.freeze()
    return [*stores, _paged(1), _paged(2)]


def _paged(levels: int) -> Hierarchy:
    backend = MappingCAStore()

    def put(value: object) -> object:
        return as_link(backend.put_raw(dagcbor.encode(value), "dag-cbor"))

    chunk = as_link(backend.put_raw(b"chunk", "raw"))
    pages = [[str(at), put({str(n): chunk for n in range(at, at + 4)})] for at in range(0, 16, 4)]
    for _ in range(levels - 1):
        pages = [[pages[at][0], put(pages[at : at + 2])] for at in range(0, len(pages), 2)]
    return Hierarchy(backend, root=put({"a": pages, ".zgroup": {"zarr_format": 2}}))


def plain_bundles() -> list[bytes]:
    """Return files and directories of UnixFS."""
    backend = MappingCAStore()

    def put(block: bytes, codec: str = "dag-pb"):
        return as_link(backend.put_raw(block, codec))

    leaf = put(b"leaf", "raw")
    links = [nodes.encode_link(leaf, b"", 4)] * 2
    file = put(nodes.encode_node(links, nodes.encode_file(8, [4, 4])))
    above = [nodes.encode_link(file, b"", 60), nodes.encode_link(leaf, b"", 4)]
    high = put(nodes.encode_node(above, nodes.encode_file(12, [8, 4])))
    children = [
        PBLink(leaf, b"0", 4),
        PBLink(high, b"1", 99),
        PBLink(put(b"{}", "raw"), b".zattrs", 2),
    ]
    inner, size = write_directory(sorted(children, key=lambda child: child.name), put)
    top, _ = write_directory([PBLink(inner, b"a", size), PBLink(leaf, b"b", 4)], put)
    shard, _ = write_shard([PBLink(leaf, b"0.%d" % number, 4) for number in range(40)], put)
    return [bundle_of(root, backend.get_block) for root in (file, high, inner, top, shard)]


def archives() -> list[bytes]:
    """Return archives of version 1 and 2, the latter with an index."""
    found = []
    for store in hierarchies()[:4]:
        root = as_link(store.freeze())
        stream = BytesIO()
        blocks = [
            (link, store.backend.get_block(link) if data is None else data)
            for link, data in iter_dag(root, store.backend.get_block)
        ]
        write_car(stream, root, blocks[:20])
        found += [stream.getvalue(), _version_2(stream.getvalue(), root, blocks[:20])]
    return [*found, encode_header(make_link(b"{}"))]


def _version_2(payload: bytes, root: bytes, blocks: list[tuple[bytes, bytes]]) -> bytes:
    offset, entries = len(encode_header(root)), []
    for link, data in blocks:
        entries.append(link[4:] + offset.to_bytes(8, "little"))
        size = len(link) + len(data)
        offset += (1 if size < 128 else 2 if size < 16384 else 3) + size
    table = b"".join(sorted(entries))
    buckets = struct.pack("<IIQ", 1, 40, len(table)) + table
    index = b"\x81\x08" + struct.pack("<IQ", 1, 0x12) + buckets
    head = b"\x0a\xa1gversion\x02" + bytes(16)
    return head + struct.pack("<QQQ", 51, len(payload), 51 + len(payload)) + payload + index


def cids() -> list[bytes]:
    links = [make_link(b"block", codec) for codec in ("raw", "dag-cbor", "dag-pb")]
    links += [make_link(b"block", "raw", name) for name in ("sha3-256", "blake2b-256", "sha2-512")]
    identity = as_link(b"\x01\x55\x00\x05hello")
    old = b"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
    return [*links, identity, old, *(to_text(link).encode() for link in links)]


def maps_of_links() -> list[bytes]:
    """Return directories and pages that are mostly links."""
    links = [make_link(b"%d" % number, codec) for number in range(9) for codec in CODECS.values()]
    fast = make_link(b"chunk", "raw", "blake3")
    maps = [
        dict(zip(map(str, range(3, 30)), links, strict=True)),
        {f"{number}.{number % 7}": link for number, link in enumerate(links)},
        {"0.0": fast, "0.1": fast, ".zarray": {"shape": [1]}, "100.100": fast, ".zattrs": {}},
        {"a": fast, "b": {"0": fast}, "c": fast, "d": [["0", links[1]]], "é": fast},
    ]
    rows = {str(row): {str(number): links[number] for number in range(row)} for row in range(9)}
    return [dagcbor.encode(value) for value in (*maps, rows, {"c": rows, "zarr.json": {"a": rows}})]


def versions() -> list[bytes]:
    """Return commits and states with and without what may be absent."""
    root, one, two = (make_link(b"%d" % number, "dag-cbor") for number in range(3))
    first = Commit(root=root, generation=1, time=0, author="", message="")
    merge = Commit(
        root=root,
        parents=(one, two),
        generation=2,
        time=2**50,
        author="Ada",
        message="más",
        metadata={"doi": "10.5/x", "n": [1, -0.5, b"\0"]},
        signature=b"\1\2",
    )
    begun = State(
        branches={},
        tags={},
        default="main",
        operation=Operation(kind="create", time=0),
        nonce=bytes(16),
    )
    moved = State(
        branches={"main": one, "a/é": two},
        tags={"v1": one},
        default="main",
        shallow=frozenset((one, two)),
        operation=Operation(kind="commit", ref="main", before=one, after=two, time=2**50),
        previous=root,
        nonce=bytes(range(16)),
        collecting="mark",
        collected=300,
    )
    return [version.encode() for version in (first, merge, begun, moved)]


def seeds_of(target: str) -> list[bytes]:
    """Return what fuzzing a target begins with."""
    if target == "dagcbor":
        return [dagcbor.encode(value) for value in VALUES]
    if target == "packed":
        return maps_of_links()
    if target == "history":
        return versions()
    if target == "json":
        return [json.dumps(value).encode() for value in DOCUMENTS]
    if target == "cid":
        return [bytes(cid) for cid in cids()]
    if target in ("car", "carfile"):
        return archives()
    if target == "unixfs":
        return plain_bundles()
    found = [bundle_of(as_link(store.freeze()), store.backend.get_block) for store in hierarchies()]
    return [*found, *plain_bundles()] if target == "dag" else found
