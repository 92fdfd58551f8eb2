"""Reads blocks through a bounded cache on a folder: ``FOLDER MAX_BYTES FIRST STOP``."""

import sys

from layer_blocks import block

from ipldstore import DirectoryCAStore, MappingCAStore
from ipldstore.backends.layers.cache import CachingCAStore
from ipldstore.cid import make_link


def main(folder, max_bytes, first, stop):
    numbers = range(int(first), int(stop))
    source = MappingCAStore({str(make_link(block(n))): block(n) for n in numbers})
    store = CachingCAStore(source, DirectoryCAStore(folder), max_bytes=int(max_bytes))
    for number in numbers:
        assert store.get_block(make_link(block(number))) == block(number)


if __name__ == "__main__":
    main(*sys.argv[1:])
