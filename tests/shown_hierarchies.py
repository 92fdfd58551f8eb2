"""Hierarchies to look at, and block stores that count what is asked of them."""

import numpy as np
import zarr
from numcodecs import Zstd

from ipldstore import IPLDStore, MappingCAStore
from ipldstore.cid import RAW, codec_of

IS_ZARR3 = zarr.__version__.startswith("3")
ARRAY = b'{"zarr_format": 2, "shape": [%s], "chunks": [%s], "dtype": "<f8", "compressor": null}'


class Counting(MappingCAStore):
    """Counts the blocks that are loaded, and those of them that are values; tells sizes."""

    def __init__(self, mapping=None, inline_limit=1 << 20):
        super().__init__({} if mapping is None else mapping)
        self.inline_limit = inline_limit
        self.nodes = self.values = self.sizes = 0

    def get_raw(self, cid):
        if codec_of(cid) == RAW:
            self.values += 1
        else:
            self.nodes += 1
        return super().get_raw(cid)

    def size_of(self, cid):
        self.sizes += 1
        return super().size_of(cid)


def write_array(store, path, data, *, chunks, **options):
    """Write an array of format 2, with either zarr-python."""
    if IS_ZARR3:
        array = zarr.create_array(
            store, name=path, shape=data.shape, chunks=chunks, dtype=data.dtype, zarr_format=2,
            compressors=options.get("compressor", Zstd()), fill_value=0,
        )  # fmt: skip
    else:
        array = zarr.create(
            store=store, path=path, shape=data.shape, chunks=chunks, dtype=data.dtype,
            compressor=options.get("compressor", Zstd()), fill_value=0,
        )  # fmt: skip
    array[...] = data
    return array


def small(backend=None):
    """Two groups and four arrays of format 2, not frozen."""
    store = IPLDStore(backend)
    group = zarr.open_group(store, mode="w", zarr_format=2) if IS_ZARR3 else zarr.group(store)
    group.attrs["title"] = "a title"
    group.require_group("model")
    write_array(store, "t", np.arange(12.0).reshape(3, 4), chunks=(2, 4))
    write_array(store, "model/u", np.ones((5, 5, 5), "i2"), chunks=(2, 5, 3))
    write_array(store, "model/one", np.array(7, "u1"), chunks=())
    store["model/none/.zarray"] = ARRAY % (b"0, 3", b"1, 1")
    return store
