"""`zarr.from_array`, which asks whether two stores share their data before it overwrites one."""

import multiprocessing

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", minversion="3.1")

from ipldstore import DetachedStoreError, DirectoryCAStore, IPLDStore  # noqa: E402


def written(backend):
    store = IPLDStore(backend)
    zarr.create_array(store, name="a", data=np.arange(4), chunks=(2,))
    store.freeze()
    return store


def copy_of(store):
    array = zarr.open_array(store, path="a", mode="r")
    with pytest.raises(DetachedStoreError):
        store.with_read_only(False)
    return zarr.from_array({}, data=array, overwrite=True)[:].tolist()


def test_from_a_store_in_another_process(tmp_path):
    store = written(DirectoryCAStore(tmp_path / "blocks"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(copy_of, (store,)) == [0, 1, 2, 3]


def test_over_a_store_of_equal_content(tmp_path):
    store = written(DirectoryCAStore(tmp_path / "blocks"))
    other = written(store.backend)
    array = zarr.open_array(store, path="a", mode="r")
    if zarr.__version__ >= "3.4":
        with pytest.raises(ValueError, match="overwrite"):
            zarr.from_array(other, name="a", data=array, overwrite=True)
    zarr.from_array(other, name="a", data=array[...], chunks=(4,), overwrite=True)
    assert zarr.open_array(other, path="a")[:].tolist() == [0, 1, 2, 3]
