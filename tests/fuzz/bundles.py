"""Blocks that lead to each other, written as one byte string that a fuzzer can change.

A bundle is a run of blocks: one byte for the codec, two for the length, then the data. Where data
holds a sha2-256 CID, its digest stands for an earlier block, by the number in its first byte. So
every link of a bundle, however it was changed, leads to a block that hashes right.
"""

import hashlib
import re
from collections.abc import Iterable

from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, make_link
from ipldstore.dag import iter_dag

CODECS = {0: "raw", 1: "dag-cbor", 2: "dag-pb"}
NUMBERS = {RAW: 0, DAG_CBOR: 1, DAG_PB: 2}
DIGEST = re.compile(rb"(\x01[\x55\x70\x71]\x12\x20)(.{32})", re.DOTALL)
MAX_BLOCKS = 200


def read_bundle(bundle: bytes) -> list[tuple[Link, bytes]]:
    """Return the blocks, none leading to a later one; the last is the root."""
    blocks: list[tuple[Link, bytes]] = []
    position = 0
    while position + 3 <= len(bundle) and len(blocks) < MAX_BLOCKS:
        size = int.from_bytes(bundle[position + 1 : position + 3], "big")
        codec = CODECS[bundle[position] % 3]
        data = bundle[position + 3 : position + 3 + size]
        position += 3 + size
        data = DIGEST.sub(lambda found: found[1] + _digest(found[2][0], blocks), data)
        blocks.append((make_link(data, codec), data))
    return blocks


def _digest(number: int, blocks: list[tuple[Link, bytes]]) -> bytes:
    return blocks[number % len(blocks)][0][4:] if blocks else hashlib.sha256(b"").digest()


def make_bundle(blocks: Iterable[tuple[Link, bytes]]) -> bytes:
    """Write blocks, each after those that it leads to, as a bundle."""
    numbers: dict[bytes, int] = {}
    out = []
    for link, data in blocks:
        named = DIGEST.sub(lambda found: found[1] + bytes([numbers[found[2]]]) + bytes(31), data)
        out += [bytes([NUMBERS[codec_of(link)]]), len(named).to_bytes(2, "big"), named]
        numbers[link[4:]] = len(numbers)
    return b"".join(out)


def bundle_of(root: Link, get_block) -> bytes:
    """Write all that a root leads to as a bundle."""
    found = iter_dag(root, get_block, children_first=True)
    return make_bundle((link, get_block(link) if data is None else data) for link, data in found)
