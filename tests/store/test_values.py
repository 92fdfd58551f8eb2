"""Values over 1 MiB: UnixFS files, whose CIDs Kubo's ``ipfs add`` gave."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipldstore.backends.directory.store import DirectoryCAStore
from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.cid import Link, make_link, to_text
from ipldstore.errors import BlockNotFoundError, CorruptBlockError, InvalidNodeError
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.unixfs import file as unixfs
from ipldstore.unixfs.file import decode_file, read_content, write_file
from ipldstore.unixfs.nodes import (
    encode_field,
    encode_link,
    encode_node,
    encode_number,
    iter_pb_links,
)
from tests.tree.counting import CountingCAStore

Part: TypeAlias = "bytes | tuple[bytes, list[Part]]"
"""A part of a file: a leaf, or a node with content of its own and further parts."""

MIB = 1 << 20
PATTERN = bytes(range(251)) * 4178

# ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576 --max-file-links=1024 --only-hash,
# by Kubo 0.43.0, of the pattern 0, 1, ... 250, 0, 1, ... repeated to each size
KUBO = {
    0: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    1: "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
    MIB: "bafkreidddocae7lltzjlkooe5a3tmiwsgazn7logjvqk7bzttsidpzhxne",
    MIB + 1: "bafybeidjogjfwuhbzwopgd4bn3skcf5m6oz72xshywcndzxgqb623nfclu",
    10 * MIB: "bafybeif2rqywpl7rk4lkdx35oqrgj4qvhbi4kdpefbwtq5a3e7a3toslbu",
}
KUBO_1_1_GIB = (1181116007, "bafybeidug53gh2v5ufumfejg7io7pi7673tteahzqwpt5cwbytbwb4omju")


def content(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def test_pattern() -> None:
    assert len(PATTERN) == 251 * 4178
    assert content(300)[249:253] == b"\xf9\xfa\x00\x01"


@pytest.mark.parametrize("size", KUBO)
def test_cids_are_those_of_kubo(size: int) -> None:
    store = Hierarchy(MappingCAStore())
    store["a/0"] = content(size)
    store.freeze()
    entry = store._find("a/0")
    assert isinstance(entry, Link)
    assert to_text(entry) == KUBO[size]
    assert store["a/0"] == content(size)
    assert Hierarchy.from_car(store.to_car())["a/0"] == content(size)
    assert all(len(block) <= MIB for block in store.backend.mapping.values())


def test_cid_of_more_leaves_than_one_node_links() -> None:
    size, cid = KUBO_1_1_GIB
    nodes = []

    def put(data: bytes, codec: str) -> Link:
        if codec == "dag-pb":
            nodes.append(bytes(data))
        return make_link(data, codec)

    assert to_text(write_file(content(size), put)) == cid
    assert [len(list(iter_pb_links(node))) for node in nodes] == [1024, 103, 2]


def test_ranges_load_only_their_leaves() -> None:
    zarr = pytest.importorskip("zarr", minversion="3")
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

    import ipldstore

    backend = CountingCAStore()
    store = ipldstore.IPLDStore(backend)
    data = content(5 * MIB + 3)
    store["a/0"] = data
    buffer = zarr.core.buffer.default_buffer_prototype()
    cases = [
        (RangeByteRequest(2 * MIB + 1, 2 * MIB + 9), slice(2 * MIB + 1, 2 * MIB + 9), 1),
        (RangeByteRequest(MIB - 1, MIB + 1), slice(MIB - 1, MIB + 1), 2),
        (RangeByteRequest(5 * MIB, 9 * MIB), slice(5 * MIB, None), 1),
        (RangeByteRequest(9 * MIB, 10 * MIB), slice(9 * MIB, None), 0),
        (OffsetByteRequest(4 * MIB), slice(4 * MIB, None), 2),
        (SuffixByteRequest(3), slice(-3, None), 1),
        (SuffixByteRequest(9 * MIB), slice(None), 6),
    ]
    for request, wanted, leaves in cases:
        backend.reset()
        found = store.get_sync("a/0", prototype=buffer, byte_range=request)
        assert found.to_bytes() == data[wanted]
        assert backend.loads == leaves + 1


def test_sharded_arrays() -> None:
    """The index at the end of a shard, then one chunk of it: few leaves of a large value."""
    zarr = pytest.importorskip("zarr", minversion="3")
    numpy = pytest.importorskip("numpy")
    import ipldstore

    backend = CountingCAStore()
    data = numpy.arange(1 << 20, dtype="i8").reshape(1024, 1024)
    array = zarr.create_array(
        ipldstore.IPLDStore(backend),
        shape=data.shape,
        dtype=data.dtype,
        shards=(1024, 1024),
        chunks=(64, 64),
        compressors=None,
    )
    array[:] = data
    backend.reset()
    assert (array[:64, :64] == data[:64, :64]).all()
    assert backend.loads < 8
    assert (array[:] == data).all()


def test_foreign_file_of_dag_pb_leaves() -> None:
    """What `ipfs add --cid-version=1 --raw-leaves=false --chunker=size-4` made of 9 bytes."""
    leaf = bytes.fromhex("0a0a08021204") + b"%s" + bytes.fromhex("1804")
    backend = MappingCAStore()
    leaves = [backend.put_raw(leaf % part, "dag-pb") for part in (b"abcd", b"efgh")]
    last = backend.put_raw(bytes.fromhex("0a07080212") + b"\x01i\x18\x01", "dag-pb")
    links = b"".join(
        b"\x12" + bytes([len(field)]) + field
        for link, size in [*((leaf, 12) for leaf in leaves), (last, 9)]
        for field in [b"\x0a\x24" + link + b"\x12\x00\x18" + bytes([size])]
    )
    node = links + bytes.fromhex("0a0a") + bytes.fromhex("08021809200420042001")
    root = backend.put({"a": {"0": _cid(backend.put_raw(node, "dag-pb"))}})
    assert Hierarchy(backend, root=root)["a/0"] == b"abcdefghi"


def _cid(link: Link) -> object:
    from multiformats import CID

    return CID.decode(bytes(link))


@pytest.mark.parametrize(
    "node",
    [
        b"",
        b"\x0a\x02\x08\x01",
        b"\x0a\x04\x08\x02\x18\x05",
        b"\x0a\x06\x08\x02\x18\x05\x20\x05",
        b"\xff",
        b"\x0a\xff\xff\xff\xff\x07",
    ],
    ids=["empty", "folder", "size without parts", "part without link", "cut", "long field"],
)
def test_blocks_that_are_no_file(node: bytes) -> None:
    backend = MappingCAStore()
    root = backend.put({"a": {"0": _cid(backend.put_raw(node, "dag-pb"))}})
    store = Hierarchy(backend, root=root)
    with pytest.raises(InvalidNodeError, match="UnixFS"):
        _ = store["a/0"]


def test_leaf_of_another_size() -> None:
    store = Hierarchy(MappingCAStore())
    store["a/0"] = content(2 * MIB)
    node_link = store._find("a/0")
    node = store.backend.get_block(node_link)
    lying = node.replace(b"\x20\x80\x80\x40\x20\x80\x80\x40", b"\x20\x81\x80\x40\x20\xff\xff\x3f")
    assert len(lying) == len(node)
    assert lying != node
    root = store.backend.put({"a": {"0": _cid(store.backend.put_raw(lying, "dag-pb"))}})
    with pytest.raises(InvalidNodeError, match="announced"):
        _ = Hierarchy(store.backend, root=root)["a/0"]


def test_missing_leaf() -> None:
    store = Hierarchy(MappingCAStore())
    store["a/0"] = content(3 * MIB)
    leaf = make_link(content(3 * MIB)[MIB : 2 * MIB])
    del store.backend.mapping[to_text(leaf)]
    with pytest.raises(BlockNotFoundError, match=to_text(leaf)):
        _ = store["a/0"]


def test_same_bytes_are_kept_once() -> None:
    store = Hierarchy(MappingCAStore())
    store["a/0"] = bytes(3 * MIB)
    assert len(store.backend.mapping) == 2
    assert hashlib.sha256(store["a/0"]).digest() == hashlib.sha256(bytes(3 * MIB)).digest()


LEAVES: st.SearchStrategy[Part] = st.binary(max_size=5)
PARTS = st.recursive(LEAVES, lambda parts: st.tuples(st.binary(max_size=3), st.lists(parts)))
FILES = st.tuples(st.binary(max_size=3), st.lists(PARTS, max_size=6))


def put_part(blocks: MappingCAStore, part: Part) -> tuple[Link, bytes]:
    """Put a part of a file, and return its link and its content."""
    if isinstance(part, bytes):
        return blocks.put_raw(part, "raw"), part
    own, parts = part
    children = [put_part(blocks, child) for child in parts]
    whole = own + b"".join(content for _, content in children)
    sizes = b"".join(encode_number(4, len(content)) for _, content in children)
    data = encode_number(1, 2) + encode_field(2, own) + encode_number(3, len(whole)) + sizes
    links = (encode_link(link, b"", len(content)) for link, content in children)
    return blocks.put_raw(encode_node(links, data), "dag-pb"), whole


@pytest.mark.parametrize("has_numpy", [True, False])
@given(file=FILES, start=st.integers(-9, 30), length=st.integers(-9, 30), most=st.integers(1, 99))
def test_any_range_of_any_file(
    has_numpy: bool, file: Part, start: int, length: int, most: int
) -> None:
    """A range that begins before the content begins with it; nothing is returned unwritten."""
    blocks = MappingCAStore()
    link, whole = put_part(blocks, file)
    node = decode_file(link, blocks.get_block(link))
    stop = start + length
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unixfs, "_BUFFER_BYTES", most)
        if has_numpy:
            patch.setattr(numpy, "empty", lambda size, dtype: numpy.full(size, 0xFF, dtype))
        else:
            patch.setitem(
                sys.modules, "numpy", ModuleType("numpy")
            )  # as it is while it is imported
        loaded = read_content(node, blocks.get_block, start, stop)
        filled = read_content(node, blocks.get_block, start, stop, blocks.fill_block)
    assert loaded == filled == whole[max(start, 0) : max(stop, 0)]
    assert filled.readonly


def test_what_is_announced_takes_no_memory() -> None:
    """Of a file that says it has 4 GiB, no more than one buffer is made before its first leaf."""
    blocks = MappingCAStore()
    leaf = blocks.put_raw(b"little", "raw")
    sizes = encode_number(4, 6) + encode_number(4, (4 << 30) - 6)
    data = encode_number(1, 2) + encode_number(3, 4 << 30) + sizes
    links = (encode_link(link, b"", 6) for link in (leaf, make_link(b"missing")))
    file = blocks.put_raw(encode_node(links, data), "dag-pb")
    node = decode_file(file, blocks.get_block(file))
    made: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy, "empty", lambda size, dtype: made.append(size) or bytearray(size))
        with pytest.raises(BlockNotFoundError):
            read_content(node, blocks.get_block, 0, 4 << 30, blocks.fill_block)
    assert made == [16 << 20]


def test_leaves_are_read_into_one_buffer(tmp_path: Path) -> None:
    """The only copy of a value is the one that is returned; half a leaf is cut out of its block."""
    folder = DirectoryCAStore(tmp_path)
    store = Hierarchy(folder)
    store["a/0"] = content(3 * MIB + 7)
    entry = store._find("a/0")
    node = decode_file(entry, folder.get_block(entry))
    loaded: list[Link] = []

    def load(link: Link) -> bytes:
        loaded.append(link)
        return folder.get_block(link)

    assert read_content(node, load, 0, 4 * MIB, folder.fill_block) == content(3 * MIB + 7)
    assert not loaded
    assert read_content(node, load, 5, 2 * MIB, folder.fill_block) == content(2 * MIB)[5:]
    assert loaded == [node.links[0]]


def test_damaged_leaf_fills_no_buffer(tmp_path: Path) -> None:
    folder = DirectoryCAStore(tmp_path)
    store = Hierarchy(folder)
    store["a/0"] = content(2 * MIB)
    for file in tmp_path.glob("??/*.data"):
        if file.stat().st_size == MIB:
            file.write_bytes(bytes(MIB))
    with pytest.raises(CorruptBlockError) as caught:
        _ = store["a/0"]
    assert caught.value.__notes__ == ["while reading key 'a/0'"]
