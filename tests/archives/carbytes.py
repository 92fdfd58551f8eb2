"""CAR archives made and taken apart with other packages than the one that is tested."""

from hashlib import sha256
from typing import NamedTuple

import dag_cbor
from multiformats import CID, multihash, varint


class Block(NamedTuple):
    cid: CID
    data: bytes


def make_block(value, codec="dag-cbor", hash_name="sha2-256"):
    data = dag_cbor.encode(value) if codec == "dag-cbor" else value
    return Block(CID("base32", 1, codec, multihash.digest(data, hash_name)), data)


def header(*roots):
    data = dag_cbor.encode({"roots": list(roots), "version": 1})
    return varint.encode(len(data)) + data


def section(block):
    cid = bytes(block.cid)
    return varint.encode(len(cid) + len(block.data)) + cid + block.data


def write_car(roots, blocks):
    return header(*roots) + b"".join(map(section, blocks))


def write_car2(payload, *, offset=51, size=None, padding=b"", index=b""):
    numbers = (offset, len(payload) if size is None else size, 0)
    fields = b"".join(number.to_bytes(8, "little") for number in numbers)
    pragma = bytes.fromhex("0aa16776657273696f6e02")
    return pragma + bytes(16) + fields + padding + payload + index


def read_car(archive):
    """Return the roots and blocks of a CARv1 archive whose CIDs are 36 bytes long."""
    size, _, rest = varint.decode_raw(archive)
    head, rest = dag_cbor.decode(bytes(rest[:size])), rest[size:]
    assert head.keys() == {"roots", "version"}
    assert head["version"] == 1
    blocks = []
    while rest:
        size, _, rest = varint.decode_raw(rest)
        cid, data = CID.decode(bytes(rest[:36])), bytes(rest[36:size])
        assert cid.raw_digest == sha256(data).digest()
        blocks.append(Block(cid, data))
        rest = rest[size:]
    return head["roots"], blocks


def ends_of_parts(archive):
    """Return where the header and each section of an archive end."""
    _, blocks = read_car(archive)
    size, count, _ = varint.decode_raw(archive)
    ends = [size + count]
    for block in blocks:
        ends.append(ends[-1] + len(section(block)))
    return ends
