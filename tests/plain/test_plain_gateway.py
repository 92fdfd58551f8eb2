"""A dataset of 20,000 chunks as plain files: Kubo's CID, and plain zarr on Kubo's gateway."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from ipldstore import DirectoryCAStore, IPFSStore, IPLDStore
from ipldstore.cli.work.get import write_folder

READER = Path(__file__).with_name("read_gateway.py")
COUNT = 20_000
IS_ZARR2 = version("zarr").startswith("2.")
FORMAT, CID = (
    (2, "bafybeigyztx2jogauuqebvxo5p4t33eq7eayq6wiyts43ietmvkuofjyee")
    if IS_ZARR2
    else (3, "bafybeihvsviki2vuvvuqo5anoxwcs22y657ab24xqmoaetaa46m4sfbx4a")
)
VALUES = (np.arange(COUNT) * 7 % 10_007).astype("<i4")


def make_dataset(store):
    """Write an array of one value a chunk, whose chunks are all in one directory."""
    shape = {"shape": (COUNT,), "chunks": (1,), "dtype": "<i4", "fill_value": -1}
    if IS_ZARR2:
        zarr.open_group(store, mode="w").create_dataset("a", compressor=None, **shape)
    else:
        group = zarr.open_group(store, mode="w", zarr_format=FORMAT)
        group.create_array("a", compressors=None, **shape)
    chunk = "a/{}" if FORMAT == 2 else "a/c/{}"
    for number, value in enumerate(VALUES):
        store[chunk.format(number)] = value.tobytes()
    zarr.consolidate_metadata(store)


def test_plain_zarr_reads_the_chunks_from_a_gateway(daemon, tmp_path):
    store = IPLDStore(DirectoryCAStore(daemon.blocks))
    make_dataset(store)
    cid = store.to_unixfs()
    write_folder(store, tmp_path / "files")
    added = daemon.run("add", "-r", "-Q", "--hidden", "--pin=false", tmp_path / "files")
    assert added.decode().strip() == str(cid) == CID
    url = f"{daemon.gateway}/ipfs/{cid}"
    found = subprocess.run(
        [sys.executable, READER, url, "a"], capture_output=True, check=False, text=True
    )
    assert found.returncode == 0, found.stderr
    expected = [COUNT, VALUES[0], VALUES[12_345], VALUES[-1], VALUES[500:600].sum()]
    assert found.stdout.split() == [str(value) for value in expected]
    copy = IPLDStore.from_unixfs(cid, store.backend)
    assert copy.root_cid == store.root_cid


def test_xarray_reads_a_dataset_from_a_gateway(daemon):
    dataset = xr.Dataset(
        {"t": (("y", "x"), np.arange(12.0).reshape(3, 4), {"units": "°C"})},
        {"x": [1, 2, 3, 4]},
    ).chunk(x=2)
    with IPFSStore(daemon.url) as backend:
        store = IPLDStore(backend)
        dataset.to_zarr(store, consolidated=True)
        cid = store.to_unixfs()
    with xr.open_zarr(f"{daemon.gateway}/ipfs/{cid}", consolidated=True) as opened:
        xr.testing.assert_identical(opened.load(), dataset.load())
