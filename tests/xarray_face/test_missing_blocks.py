"""A chunk whose block is gone or damaged raises, and never reads as fill value."""

import base64
import hashlib
import pickle
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
)

ON_ZARR_2 = version("zarr").startswith("2.")
VALUES = np.arange(1, 13).reshape(4, 3)


def text_of_cid(data: bytes, codec: int = 0x55) -> str:
    """Return the CIDv1 text of a block, written out after the CID specification."""
    binary = bytes((1, codec, 0x12, 0x20)) + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


class Blocks:
    """Blocks in a backend, which can be taken away and damaged behind its back."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.mapping: dict[str, bytes] = {}
        self.backend = DirectoryCAStore(folder) if folder else MappingCAStore(self.mapping)

    def _file(self, data: bytes) -> Path:
        multihash = b"\x12\x20" + hashlib.sha256(data).digest()
        name = base64.b32encode(multihash).decode().rstrip("=")
        return self.folder / name[-3:-1] / f"{name}.data"

    def lose(self, data: bytes, codec: int = 0x55) -> None:
        if self.folder:
            self._file(data).unlink()
        else:
            del self.mapping[text_of_cid(data, codec)]

    def damage(self, data: bytes) -> None:
        damaged = bytes((data[0] ^ 1,)) + data[1:]
        if self.folder:
            self._file(data).write_bytes(damaged)
        else:
            self.mapping[text_of_cid(data)] = damaged


@pytest.fixture(params=["mapping", "directory"])
def blocks(request: pytest.FixtureRequest, tmp_path: Path) -> Blocks:
    return Blocks(tmp_path if request.param == "directory" else None)


@pytest.fixture
def chunk_key(zarr_format: int) -> str:
    return "a/1.0" if zarr_format == 2 else "a/c/1/0"


@pytest.fixture
def root(blocks: Blocks, zarr_format: int):
    store = IPLDStore(blocks.backend)
    dataset = xr.Dataset({"a": (("y", "x"), VALUES), "b": ("x", [1.5, 2.5, 3.5])})
    dataset.to_zarr(store, zarr_format=zarr_format, encoding={"a": {"chunks": (2, 3)}})
    return store.freeze()


@pytest.fixture(params=[BlockNotFoundError, CorruptBlockError])
def fault(request: pytest.FixtureRequest, blocks: Blocks, root, chunk_key: str):
    """Lose or damage the block of one chunk of ``a``, and return the error that this has to be."""
    chunk = IPLDStore(blocks.backend, root=root)[chunk_key]
    (blocks.lose if request.param is BlockNotFoundError else blocks.damage)(chunk)
    return request.param, text_of_cid(chunk)


@pytest.fixture
def store(blocks: Blocks, root, fault) -> IPLDStore:
    return IPLDStore(blocks.backend, root=root)


@pytest.mark.parametrize(
    "read",
    [
        lambda store, key: store[key],
        lambda store, key: store.get(key),
        lambda store, key: store.get(key, b"default"),
        lambda store, key: dict(store),
        lambda store, key: store.pop(key),
    ],
)
def test_the_mapping_raises(store, fault, chunk_key, read):
    error, cid = fault
    keys = list(store)
    with pytest.raises(error, match=cid) as raised:
        read(store, chunk_key)
    assert not isinstance(raised.value, KeyError)
    assert any(chunk_key in note for note in raised.value.__notes__)
    assert chunk_key in store
    assert list(store) == keys


def test_zarr_raises(store, fault):
    array = zarr.open_group(store, mode="r")["a"]
    np.testing.assert_array_equal(array[:2], VALUES[:2])
    for selection in (slice(None), slice(2, 4), (3, 2)):
        with pytest.raises(fault[0], match=fault[1]):
            array[selection]


def test_zarr_raises_instead_of_overwriting_a_part(store, fault):
    """Writing a part of a chunk reads the chunk: fill values must not get in by that way."""
    root = store.root_cid
    array = zarr.open_group(store, mode="r+")["a"]
    with pytest.raises(fault[0], match=fault[1]):
        array[3, 2] = 0
    assert store.freeze() == root


def test_a_whole_chunk_can_be_written_anew(store, fault, root):
    array = zarr.open_group(store, mode="r+")["a"]
    array[2:4] = VALUES[2:4]
    np.testing.assert_array_equal(array[:], VALUES)
    assert store.freeze() == root


@pytest.mark.parametrize("consolidated", [True, False])
def test_xarray_raises(store, fault, consolidated):
    dataset = xr.open_zarr(store, consolidated=consolidated, chunks=None)
    np.testing.assert_array_equal(dataset.a[:2], VALUES[:2])
    np.testing.assert_array_equal(dataset.b, [1.5, 2.5, 3.5])
    for read in (dataset.load, lambda: dataset.a[2:].values, dataset.a[3, 2].item):
        with pytest.raises(fault[0], match=fault[1]):
            read()


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_xarray_with_dask_raises(store, fault, scheduler):
    pytest.importorskip("dask")
    dataset = xr.open_zarr(store, chunks={})
    with pytest.raises(fault[0], match=fault[1]):
        dataset.compute(scheduler=scheduler)


@pytest.mark.skipif(ON_ZARR_2, reason="zarr-python 2.18 has no asynchronous face")
async def test_the_asynchronous_face_raises(store, fault, chunk_key):
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    with pytest.raises(fault[0]):
        await store.get(chunk_key, prototype)
    with pytest.raises(fault[0]):
        await store.get_partial_values(prototype, [(chunk_key, None)])
    with pytest.raises(fault[0]):
        store.get_sync(chunk_key)


@pytest.mark.skipif(not ON_ZARR_2, reason="of zarr-python 2.18")
def test_getitems_raises(store, fault, chunk_key):
    with pytest.raises(fault[0]):
        store.getitems([chunk_key], contexts={})


def test_a_chunk_that_was_never_written_reads_as_fill_value(zarr_format):
    store = IPLDStore()
    options = {} if ON_ZARR_2 else {"zarr_format": zarr_format}
    array = zarr.open(store, mode="w", shape=(4,), chunks=(2,), dtype="i4", fill_value=7, **options)
    array[:2] = 1
    opened = zarr.open(IPLDStore(store.backend, root=store.freeze()), mode="r")
    assert list(opened[:]) == [1, 1, 7, 7]


def test_a_directory_whose_block_is_gone_raises(blocks):
    store = IPLDStore(blocks.backend)
    for number in range(300):
        store[f"a/c/{number}"] = str(number).encode()
    store["b/c/0"] = b"there"
    root = store.freeze()
    known = set(blocks_of(blocks))
    (directory,) = (data for cid, data in known if cid.startswith("bafyrei") and cid != str(root))
    blocks.lose(directory, 0x71)
    again = IPLDStore(blocks.backend, root=root)
    assert again["b/c/0"] == b"there"
    for read in (
        lambda: again["a/c/7"],
        lambda: again.get("a/c/7"),
        lambda: "a/c/7" in again,
        lambda: list(again),
    ):
        with pytest.raises(BlockNotFoundError, match=text_of_cid(directory, 0x71)):
            read()


def blocks_of(blocks: Blocks) -> list[tuple[str, bytes]]:
    if not blocks.folder:
        return list(blocks.mapping.items())
    datas = [file.read_bytes() for file in blocks.folder.glob("*/*.data")]
    return [(text_of_cid(data, 0x71 if data[0] >> 5 == 5 else 0x55), data) for data in datas]


class Unreachable(MappingCAStore):
    """A backend that lost its connection."""

    def get_raw(self, cid):
        raise BackendError("no route to the blocks", retryable=True)


class Careless(MappingCAStore):
    """A backend that raises a bare KeyError for a missing block."""

    def get_raw(self, cid):
        return {}[cid]


@pytest.mark.parametrize(
    ("kind", "error"), [(Unreachable, BackendError), (Careless, BlockNotFoundError)]
)
def test_no_trouble_of_a_backend_reads_as_fill_value(zarr_format, kind, error):
    blocks: dict[str, bytes] = {}
    store = IPLDStore(MappingCAStore(blocks))
    dataset = xr.Dataset({"a": ("x", [1, 2, 3])})
    dataset.to_zarr(store, zarr_format=zarr_format)
    root_block = blocks[str(store.freeze())]

    class Troubled(kind):
        def get_raw(self, cid):
            return root_block if str(cid) == str(store.root_cid) else super().get_raw(cid)

    opened = xr.open_zarr(IPLDStore(Troubled(), root=store.root_cid), chunks=None)
    with pytest.raises(error):
        opened.load()


def test_the_errors_survive_pickling(store, fault, chunk_key):
    with pytest.raises(fault[0]) as raised:
        store[chunk_key]
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is fault[0]
    assert str(again) == str(raised.value)
