"""Blocks of DAG-PB and UnixFS, written with nothing of the package, to be broken at will."""

from hashlib import sha256

DIRECTORY, FILE, METADATA, SYMLINK, SHARD = b"\x08\x01", b"\x08\x02", b"\x08\x03", b"\x08\x04", 5


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def link(cid, name, size=1):
    tail = b"" if size is None else field(3, size)
    return field(2, field(1, bytes(cid)) + field(2, name) + tail)


def node(links, payload):
    return b"".join(links) + field(1, payload)


def shard(bits, hash_type=0x22, fanout=256):
    return field(1, SHARD) + field(2, bits) + field(5, hash_type) + field(6, fanout)


def raw_cid(data):
    return b"\x01\x55\x12\x20" + sha256(data).digest()


def pb_cid(data):
    return b"\x01\x70\x12\x20" + sha256(data).digest()
