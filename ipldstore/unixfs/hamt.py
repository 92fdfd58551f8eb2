"""Sharded UnixFS directories: a hash array mapped trie (HAMT) over the names.

The forms are those of the UnixFS specification. Each level takes the next bits of the hash of a
name, its place in the shard; what is alone at its place stands there itself, the others in a shard
one level down. Links are named by their place in hexadecimal digits, then by the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import mmh3

from ipldstore.cid import Link, to_text
from ipldstore.errors import InvalidNodeError
from ipldstore.limits import MAX_FANOUT
from ipldstore.unixfs.nodes import (
    SHARD_TYPE,
    Node,
    PBLink,
    Put,
    decode_node,
    encode_link,
    encode_node,
    encode_shard,
)

FANOUT = 256
HASH_BITS = 64
MURMUR3_X64_64 = 0x22


def hash_name(name: bytes) -> int:
    """Return the hash of a name: the first half of its MurmurHash3 x64 of 128 bits, seed 0."""
    return mmh3.hash64(name, signed=False)[0]


def write_shard(children: Iterable[PBLink], put: Put) -> tuple[Link, int]:
    """Keep a sharded directory; as `write_directory`."""
    entries = sorted((hash_name(child.name).to_bytes(8, "big"), child) for child in children)
    return _write_shard(entries, 0, put)


def _write_shard(entries: Sequence[tuple[bytes, PBLink]], depth: int, put: Put) -> tuple[Link, int]:
    if depth == HASH_BITS // 8:
        names = [child.name.decode() for _, child in entries]
        raise InvalidNodeError(f"names of one hash cannot be in one sharded directory: {names}")
    bits = total = 0
    links = []
    for place, group in groupby(entries, key=lambda entry: entry[0][depth]):
        link, name, size = _place(list(group), depth, put)
        links.append(encode_link(link, b"%02X" % place + name, size))
        bits |= 1 << place
        total += size
    field = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
    block = encode_node(links, encode_shard(field, MURMUR3_X64_64, FANOUT))
    return put(block, "dag-pb"), len(block) + total


def _place(
    entries: Sequence[tuple[bytes, PBLink]], depth: int, put: Put
) -> tuple[Link, bytes, int]:
    if len(entries) == 1:
        link, name, size = entries[0][1]
        return link, name, size or 0
    link, size = _write_shard(entries, depth + 1, put)
    return link, b"", size


def iter_shard(
    link: Link, node: Node, load: Callable[[Link], bytes], before: int = 0, depth: int = 0
) -> Iterator[PBLink]:
    """Iterate what is in a sharded directory; the hashes of all names begin with `before`."""
    fanout = _check_shard(link, node)
    width = fanout.bit_length() - 1
    used = width * (depth + 1)
    if used > HASH_BITS:
        raise InvalidNodeError(f"block {to_text(link)}: HAMT deeper than its hash of 64 bits")
    digits = len(f"{fanout - 1:X}")
    places = _places(node.data)
    for place, child in zip(places, node.links, strict=True):
        label, name = child.name[:digits], child.name[digits:]
        here = before << width | place
        if label != b"%0*X" % (digits, place):
            raise InvalidNodeError(
                f"block {to_text(link)}: HAMT link {child.name!r} at place {place}"
            )
        if not name:
            below = _load_shard(child.link, fanout, load)
            yield from iter_shard(child.link, below, load, here, depth + 1)
        elif hash_name(name) >> (HASH_BITS - used) != here:
            raise InvalidNodeError(
                f"block {to_text(link)}: HAMT holds {name!r} where its hash does not lead"
            )
        else:
            yield child._replace(name=name)


def _check_shard(link: Link, node: Node) -> int:
    """Return the fanout of a shard that can be read."""
    fault = f"block {to_text(link)}: HAMT shard"
    fanout = node.fanout or 0
    if not 8 <= fanout <= MAX_FANOUT or fanout & (fanout - 1):
        raise InvalidNodeError(
            f"{fault} of fanout {node.fanout}, expected a power of two from 8 to {MAX_FANOUT}"
        )
    if node.hash_type != MURMUR3_X64_64:
        raise InvalidNodeError(
            f"{fault} of hash function {node.hash_type}, expected {MURMUR3_X64_64} (murmur3-x64-64)"
        )
    count = int.from_bytes(node.data, "big").bit_count()
    if len(node.data) > fanout // 8 or count != len(node.links):
        raise InvalidNodeError(
            f"{fault} of {len(node.links)} links with a bit field of {len(node.data)} bytes that "
            f"has {count} bits set"
        )
    return fanout


def _load_shard(link: Link, fanout: int, load: Callable[[Link], bytes]) -> Node:
    node = decode_node(link, load(link))
    if node.type != SHARD_TYPE or node.fanout != fanout:
        raise InvalidNodeError(
            f"block {to_text(link)} is a UnixFS {node.kind} of fanout {node.fanout}, expected a "
            f"HAMT shard of fanout {fanout}"
        )
    return node


def _places(field: bytes) -> list[int]:
    bits = int.from_bytes(field, "big")
    return [place for place in range(bits.bit_length()) if bits >> place & 1]
