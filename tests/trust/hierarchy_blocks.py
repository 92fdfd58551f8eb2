"""Hierarchies: one with every kind of block, and others made block by block, to be wrong."""

from collections import Counter
from hashlib import sha256

import dag_cbor
from multiformats import CID

from ipldstore import MappingCAStore

VALUES = 500
LARGE = b"".join(b"%07d\n" % number for number in range(300_000))


class Made(MappingCAStore):
    """A block store, and the means to put blocks of any content."""

    def raw(self, data):
        return self.keep(data, "raw")

    def cbor(self, value):
        return self.keep(dag_cbor.encode(value), "dag-cbor")

    def file(self, links, sizes, *, total=None, content=b""):
        """Put a node of a UnixFS file with these links, and what it announces of them."""
        fields = number(1, 2) + (text(2, content) if content else b"")
        fields += number(3, sum(sizes) + len(content) if total is None else total)
        fields += b"".join(number(4, size) for size in sizes)
        node = b"".join(text(2, text(1, bytes(link)) + text(2, b"")) for link in links)
        return self.keep(node + text(1, fields), "dag-pb")

    def keep(self, data, codec):
        cid = CID("base32", 1, codec, ("sha2-256", sha256(data).digest()))
        self.mapping[str(cid)] = data
        return cid


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


class CountingStore(MappingCAStore):
    def __init__(self, mapping=None):
        super().__init__(mapping)
        self.reads = Counter()

    def get_raw(self, cid):
        self.reads[str(cid)] += 1
        return super().get_raw(cid)


def fill(store):
    """Write keys that need every kind of block: pages, documents, files, shared values."""
    for index in range(6000):
        store[f"paged/{index // 60}.{index % 60}"] = b"%d" % (index % VALUES)
    store["paged/.zarray"] = b'{"shape":[6000]}'
    store["single/0"] = b"single"
    store[".zattrs"] = b'{"text":"%s"}' % (b"x" * 9000)
    store["large/0"] = LARGE
    store["same/0"] = store["same/1"] = store["other/0"] = b"same"
    for index in range(300):
        store[f"linked/{index}"] = b"x%d" % index
    return store.freeze()
