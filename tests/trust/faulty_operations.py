"""All that writes into a block store, as steps that can be done, fail, and be done again."""

import asyncio

import numpy as np
import xarray as xr

import ipldstore
from ipldstore import IPLDStore, MappingCAStore

OLD = {
    "a/.zattrs": b'{"a":1}',
    "a/0": b"old chunk",
    "a/1": b"another old chunk",
    "long/0": bytes(range(256)) * (4 << 10) + b"more than one block",
    ".zattrs": b'{"text":"%s"}' % (b"x" * 9000),
    # long names, so that the directory needs a block of its own
    **{f"dir/{index:0>900}": b"value %d" % index for index in range(9)},
}
NEW = {
    "a/0": b"new chunk",
    "a/.zattrs": b'{"a":2}',
    "b/0": b"of a new array",
    "long/0": bytes(reversed(range(256))) * (4 << 10) + b"changed",
    ".zattrs": b'{"text":"%s"}' % (b"y" * 9000),
    f"dir/{7:0>900}": b"seven",
    "dir/1000": b"at the end",
}
GONE = ("a/1", f"dir/{8:0>900}")
DATASET = xr.Dataset({"t": ("x", np.arange(6.0)), "s": (("x", "y"), np.ones((6, 2)))}).chunk(x=3)


def make_old(backend):
    """Write and freeze what is there before."""
    store = IPLDStore(backend)
    store.update(OLD)
    store.freeze()
    return store


def change(store):
    store.update(NEW)
    for key in GONE:
        store.pop(key, None)


def frozen(store):
    store.freeze()
    return store


class Freeze:
    """Only the freeze goes wrong; what is to be frozen is in memory."""

    def prepare(self, store):
        change(store)

    def do(self, store):
        return frozen(store)


class WriteAsMapping:
    def do(self, store):
        change(store)
        return frozen(store)


class OpenAndWrite:
    """The directories have to be loaded first."""

    def do(self, store):
        fresh = IPLDStore(store.backend, root=self.root)
        change(fresh)
        return frozen(fresh)

    def prepare(self, store):
        self.root = store.root_cid


class WriteThroughZarr:
    def do(self, store):
        from zarr.core.buffer import default_buffer_prototype

        make = default_buffer_prototype().buffer.from_bytes

        async def write():
            await asyncio.gather(*(store.set(key, make(data)) for key, data in NEW.items()))
            for key in GONE:
                await store.delete(key)

        asyncio.run(write())
        return frozen(store)


class ToZarr:
    """Dask names arrays by a pickle of the store, and otherwise where that fails."""

    may_absorb = True

    def do(self, store):
        DATASET.to_zarr(store, mode="w", consolidated=True)
        return frozen(store)


class Normalize:
    def do(self, store):
        store.normalize()
        return frozen(store)


class ImportCar:
    keeps_root = True

    def __init__(self):
        other = IPLDStore()
        other.update(OLD)
        change(other)
        self.archive = other.to_car()

    def do(self, store):
        store.import_car(self.archive)
        return store


class CopyRoot:
    """Blocks come from a sound store."""

    keeps_root = True

    def __init__(self):
        self.other = make_old(MappingCAStore())
        change(self.other)
        self.other.freeze()

    def do(self, store):
        root = self.other.root_cid
        ipldstore.copy_root(root, self.other.backend, store.backend, workers=2)
        return IPLDStore(store.backend, root=root)


class CopyPlain:
    def do(self, store):
        fresh = IPLDStore(store.backend)
        ipldstore.copy({**OLD, **NEW}, fresh, workers=2)
        return fresh


class CopyAway:
    """What goes wrong is the source."""

    keeps_root = True

    def do(self, store):
        target = IPLDStore(MappingCAStore())
        ipldstore.copy(store, target, workers=2)
        return target


class Merge:
    def do(self, store):
        one, two = store.fork(), store.fork()
        one.update({key: data for key, data in NEW.items() if key < "b"})
        two.update({key: data for key, data in NEW.items() if key >= "b"})
        for key in GONE:
            two.pop(key, None)
        store.merge(one, two)
        return frozen(store)


class MergeWithRule:
    def do(self, store):
        one, two = store.fork(), store.fork()
        one["a/0"], two["a/0"] = b"one", b"two"
        two[".zattrs"] = one[".zattrs"] = b'{"text":"same"}'
        store.merge(one, two, on_conflict=lambda key, values: b"+".join(filter(None, values)))
        return frozen(store)


class ToUnixFS:
    keeps_root = True

    def do(self, store):
        directory = store.to_unixfs()
        return IPLDStore.from_unixfs(directory, store.backend)


class FromUnixFS:
    """The directory is there before."""

    keeps_root = True

    def prepare(self, store):
        other = IPLDStore(store.backend.store)
        other.update({**OLD, **NEW})
        self.directory = other.to_unixfs()

    def do(self, store):
        return IPLDStore.from_unixfs(self.directory, store.backend)


OPERATIONS = (
    Freeze,
    WriteAsMapping,
    OpenAndWrite,
    WriteThroughZarr,
    ToZarr,
    Normalize,
    ImportCar,
    CopyRoot,
    CopyPlain,
    CopyAway,
    Merge,
    MergeWithRule,
    ToUnixFS,
    FromUnixFS,
)
