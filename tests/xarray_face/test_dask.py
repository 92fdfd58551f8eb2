"""Writes and reads in parallel: by threads they work, by processes they are refused."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr

from ipldstore import (
    ContentAddressableStore,
    DirectoryCAStore,
    IPLDStore,
    ReadOnlyStoreError,
    Repository,
)
from ipldstore.repository.session import SessionWriter

VALUES = np.arange(1.0, 401.0).reshape(20, 20)


def in_chunks() -> xr.Dataset:
    return xr.Dataset({"t": (("y", "x"), dask.array.from_array(VALUES, chunks=(5, 4)))})


def write_at_once(zarr_format: int) -> IPLDStore:
    """Write the same, in the same chunks, without dask."""
    store = IPLDStore()
    in_chunks().compute().to_zarr(
        store, zarr_format=zarr_format, encoding={"t": {"chunks": (5, 4)}}
    )
    return store


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_write_within_the_process_loses_nothing(backend, zarr_format, scheduler):
    store = IPLDStore(backend)
    with dask.config.set(scheduler=scheduler):
        in_chunks().to_zarr(store, zarr_format=zarr_format)
    root = store.freeze()
    assert root == write_at_once(zarr_format).freeze()
    opened = xr.open_zarr(IPLDStore(backend, root=root)).compute(scheduler="threads")
    np.testing.assert_array_equal(opened.t, VALUES)


def test_a_delayed_write_lands_in_the_store(backend, zarr_format):
    store = IPLDStore(backend)
    delayed = in_chunks().to_zarr(store, zarr_format=zarr_format, compute=False)
    before = store.freeze()
    dask.compute(delayed, scheduler="threads")
    assert store.freeze() != before
    assert store.root_cid == write_at_once(zarr_format).freeze()


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Start one process for all tests: that takes seconds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def processes(pool: ProcessPoolExecutor) -> Iterator[None]:
    with dask.config.set(scheduler="processes", pool=pool):
        yield


@pytest.mark.usefixtures("processes")
def test_processes_may_not_write(backend: ContentAddressableStore, zarr_format):
    store = IPLDStore(backend)
    with pytest.raises(ReadOnlyStoreError, match="copy in another process"):
        in_chunks().to_zarr(store, zarr_format=zarr_format)
    assert not any(key.startswith(("t/c/", "t/0", "t/1", "t/2", "t/3")) for key in store)


@pytest.mark.usefixtures("processes")
def test_processes_may_read(tmp_path, zarr_format):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    in_chunks().compute().to_zarr(
        store, zarr_format=zarr_format, encoding={"t": {"chunks": (5, 4)}}
    )
    np.testing.assert_array_equal(xr.open_zarr(store).t.compute(), VALUES)


def test_tokens_tell_contents_apart():
    store = IPLDStore()
    store["a/0"] = b"1"
    assert dask.base.tokenize(store) != dask.base.tokenize(store)
    store.freeze()
    first = dask.base.tokenize(store)
    assert first == dask.base.tokenize(store)
    assert first == dask.base.tokenize(IPLDStore(store.backend, root=store.root_cid))
    store["a/0"] = b"2"
    store.freeze()
    assert dask.base.tokenize(store) != first


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="the cluster needs dask.distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with cluster.get_client() as client:
        yield client


def test_workers_of_a_cluster_may_not_write(client, tmp_path, zarr_format):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    with pytest.raises(ReadOnlyStoreError, match="copy in another process"):
        in_chunks().to_zarr(store, zarr_format=zarr_format)


def test_workers_of_a_cluster_may_read(client, tmp_path, zarr_format):
    store = IPLDStore(DirectoryCAStore(tmp_path))
    in_chunks().compute().to_zarr(store, zarr_format=zarr_format)
    opened = xr.open_zarr(store, chunks={})
    np.testing.assert_array_equal(opened.t.compute(), VALUES)


def test_a_session_is_pickled_once_for_each_chunk(client, tmp_path, zarr_format, monkeypatch):
    pickled = []
    reduce = SessionWriter.__reduce__

    def note(writer):
        pickled.append(writer.session)
        return reduce(writer)

    monkeypatch.setattr(SessionWriter, "__reduce__", note)
    with Repository.create(tmp_path / "blocks") as repo:
        with repo.writable(message="by a cluster") as session:
            in_chunks().to_zarr(session, zarr_format=zarr_format, consolidated=False)
        written = xr.open_zarr(repo.readonly(), consolidated=False)
        np.testing.assert_array_equal(written.t.compute(), VALUES)
    assert 0 < len(pickled) <= 20 + 10  # chunks, and what dask pickles besides
