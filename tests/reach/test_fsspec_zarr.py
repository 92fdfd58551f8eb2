"""Datasets by URL: xarray and zarr on ipld://CID, and what they make of lost blocks."""

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from ipldstore import BackendError, BlockNotFoundError, CorruptBlockError, IPFSStore
from ipldstore.cid import as_link
from ipldstore.opening import open as open_hierarchy

KEYS = {True: "models/A1B/air_temperature/0.0.0", False: "models/A1B/air_temperature/c/0/0/0"}


def open_dataset(root, blocks, **options):
    return xr.open_zarr(
        f"ipld://{root}/models/A1B",
        storage_options={"blocks": blocks},
        consolidated=False,
        decode_timedelta=False,
        **options,
    )


@pytest.mark.parametrize("place", ["blocks", "car"])
def test_xarray(place, real, dataset):
    with open_dataset(real.root, getattr(real, place)) as opened:
        xr.testing.assert_identical(opened.load(), dataset)
    with open_dataset(real.root, getattr(real, place), chunks={}) as opened:
        highest = opened.air_temperature.max("time")
        np.testing.assert_array_equal(highest, dataset.air_temperature.max("time"))


def test_zarr_by_url(real, dataset):
    options = {"blocks": real.blocks}
    for mode in ("r", "r+"):
        group = zarr.open(f"ipld://{real.root}", mode=mode, storage_options=options)
        array = group["models/A1B/air_temperature"]
        np.testing.assert_array_equal(array[5:9, 3], dataset.air_temperature[5:9, 3])
        assert set(group["models/A1B"].array_keys()) == set(dataset.variables)
        assert list(group.group_keys()) == ["models"]
    with pytest.raises(ValueError, match="only read"):
        array[0] = 1


def test_zarr_on_a_mapper(real, dataset):
    for files in (
        fsspec.filesystem("ipld", blocks=real.blocks),
        fsspec.get_mapper(f"ipld://{real.root}", blocks=real.car).fs,
    ):
        array = zarr.open(files.get_mapper(f"{real.root}/models/A1B"), mode="r")["air_temperature"]
        np.testing.assert_array_equal(array[-1], dataset.air_temperature[-1])


def test_keys_of_a_mapper(real):
    mapper = fsspec.get_mapper(f"ipld://{real.root}", blocks=real.blocks)
    store = open_hierarchy(real.root, real.blocks)
    assert dict(mapper) == dict(store)
    assert "models/A1B/none" not in mapper


# zarr-python 3 says so of every caching protocol of fsspec
@pytest.mark.filterwarnings("ignore:fs .* was not created with:UserWarning")
def test_through_a_local_cache(real, dataset, tmp_path):
    url = f"simplecache::ipld://{real.root}/models/A1B"
    options = {
        "ipld": {"blocks": real.blocks},
        "simplecache": {"cache_storage": str(tmp_path / "cache")},
    }
    with xr.open_zarr(
        url, storage_options=options, consolidated=False, decode_timedelta=False
    ) as opened:
        xr.testing.assert_identical(opened.load(), dataset)
    assert len(list((tmp_path / "cache").iterdir())) > 10


@pytest.fixture
def break_chunk(real, tmp_path, is_zarr2):
    """Break one chunk of a copy of the real dataset."""
    blocks = tmp_path / "blocks"
    shutil.copytree(real.blocks, blocks)

    def break_chunk(data):
        store = open_hierarchy(real.root, str(blocks))
        file = Path(store.backend._file_name(as_link(store._find(KEYS[is_zarr2]))))
        file.unlink() if data is None else file.write_bytes(data)
        return str(blocks)

    return break_chunk


@pytest.mark.parametrize(
    ("data", "error"), [(None, BlockNotFoundError), (b"other", CorruptBlockError)]
)
def test_a_broken_chunk_is_not_filled_in(data, error, break_chunk, real):
    blocks = break_chunk(data)
    with open_dataset(real.root, blocks) as opened, pytest.raises(error):
        opened.air_temperature.load()
    url = f"ipld://{real.root}/models/A1B/air_temperature"
    array = zarr.open(url, mode="r", storage_options={"blocks": blocks})
    for where in (0, slice(None), (slice(0, 30), 0, 0)):
        with pytest.raises(error):
            array[where]
    files = fsspec.filesystem("ipld", blocks=blocks)
    array = zarr.open(files.get_mapper(url), mode="r")
    with pytest.raises(error):
        array[:]


def test_a_node_that_is_gone_is_not_an_empty_group(real):
    blocks = IPFSStore("http://127.0.0.1:1", timeout=2)
    with pytest.raises(BackendError) as raised:
        zarr.open(f"ipld://{real.root}", mode="r", storage_options={"blocks": blocks})
    assert raised.value.retryable
    with pytest.raises(BackendError):
        open_dataset(real.root, blocks)
