"""Blocks of UnixFS files, written with nothing of the package."""


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


def pb_link(cid, name=b""):
    return field(1, bytes(cid)) + field(2, name) + field(3, 1)


def file_node(links, sizes):
    payload = field(1, 2) + field(3, sum(sizes)) + b"".join(field(4, size) for size in sizes)
    written = {cid: field(2, pb_link(cid)) for cid in set(links)}
    return b"".join(written[cid] for cid in links) + field(1, payload)
