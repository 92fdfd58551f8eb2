"""xarray datasets with dask arrays, written by threads, processes and a cluster."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from zarr import __version__ as zarr_version

dask = pytest.importorskip("dask", reason="writes with dask")

from ipldstore import (  # noqa: E402
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    MergeConflictError,
    ReadOnlyStoreError,
    info,
)
from ipldstore.distributed import to_zarr  # noqa: E402

FORMATS = [2] if zarr_version.startswith("2.") else [2, 3]
PLAIN = {"decode_timedelta": False}

# zarr-python says so of bytes and strings of fixed length in format 3
pytestmark = pytest.mark.filterwarnings("ignore:The data type:FutureWarning")


@pytest.fixture
def store(tmp_path) -> IPLDStore:
    return IPLDStore(DirectoryCAStore(tmp_path / "blocks"))


@pytest.fixture(scope="module")
def real() -> xr.Dataset:
    iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")
    path = Path(iris_sample_data.path) / "hybrid_height.nc"
    with xr.open_dataset(path, engine="netcdf4", **PLAIN) as opened:
        dataset = opened.load()
    sizes = {dim: max(1, size // 2) for dim, size in dataset.sizes.items()}
    for variable in dataset.variables.values():
        variable.encoding.pop("chunksizes", None)
    return dataset.chunk(sizes)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    distributed = pytest.importorskip("distributed", reason="writes with dask's cluster")
    with (
        dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def on_cluster(client):
    with dask.config.set(scheduler=client):
        yield


def made(start: int = 0, count: int = 8) -> xr.Dataset:
    steps = np.arange(start, start + count)
    values = np.add.outer(steps, np.arange(4.0))
    values[0] = np.nan
    dataset = xr.Dataset(
        {
            "t": (("time", "x"), values, {"units": "K"}, {"scale_factor": 0.5, "dtype": "i2"}),
            "raw": (("time",), steps, {"units": "m"}),
            "when": (("time",), np.datetime64("2020-01-01", "ns") + steps * 86400_000_000_000),
            "eager": (("x",), np.arange(4)),
            "total": ((), steps.sum()),
            "none": (("empty", "x"), np.zeros((0, 4))),
        },
        {"time": steps, "x": list("abcd"), "lon": (("x",), np.arange(4.0))},
        {"title": "made"},
    )
    dataset["t"].encoding["_FillValue"] = -1
    lazy = dataset.chunk(time=2, x=2)
    for name in "t", "raw", "when", "lon", "none":
        dataset[name] = lazy[name]
    dataset["total"] = dataset["total"].chunk()
    return dataset


def alone(*parts: xr.Dataset, **options) -> IPLDStore:
    """Write with xarray alone, in threads, which it can."""
    store = IPLDStore()
    with dask.config.set(scheduler="threads"):
        for part in parts:
            part.to_zarr(store, **options)
            options = {key: options[key] for key in options if key in ("consolidated", "group")}
            options["append_dim"] = "time"
    return store


def test_a_cluster_writes_a_real_dataset(real, store, on_cluster):
    to_zarr(real, store, zarr_format=FORMATS[-1])
    root = store.freeze()
    opened = xr.open_zarr(IPLDStore(DirectoryCAStore(store.backend.path), root=root), **PLAIN)
    xr.testing.assert_identical(opened.compute(), real.compute())
    assert root == alone(real, zarr_format=FORMATS[-1]).freeze()


def test_without_forks_a_cluster_raises(store, on_cluster):
    for target in store, store.fork():
        with pytest.raises(ReadOnlyStoreError, match=r"distributed\.to_zarr"):
            made().to_zarr(target)
    to_zarr(made(), store, mode="w")
    for target in store, store.fork():
        with pytest.raises(ReadOnlyStoreError, match=r"distributed\.to_zarr"):
            made()[["raw"]].to_zarr(target, region="auto")
    with pytest.raises(ReadOnlyStoreError, match="only that one can write to"):
        to_zarr(made(), IPLDStore(MappingCAStore()))


def test_processes_write_a_real_dataset(real, store):
    with dask.config.set(scheduler="processes", num_workers=2):
        with pytest.raises(ReadOnlyStoreError, match=r"distributed\.to_zarr"):
            real.to_zarr(store)
        to_zarr(real, store, mode="w")
    opened = xr.open_zarr(IPLDStore(store.backend, root=store.freeze()), **PLAIN)
    xr.testing.assert_identical(opened.compute(), real.compute())


@pytest.mark.parametrize("consolidated", [None, False])
@pytest.mark.parametrize("group", [None, "a/b"])
@pytest.mark.parametrize("zarr_format", FORMATS)
def test_the_root_is_that_of_a_plain_write(zarr_format, group, consolidated):
    options = {"zarr_format": zarr_format, "group": group, "consolidated": consolidated}
    store = IPLDStore()
    to_zarr(made(), store, **options)
    assert store.freeze() == alone(made(), **options).freeze()
    opened = xr.open_zarr(store, group=group, consolidated=consolidated is not False)
    np.testing.assert_array_equal(opened.t, made().t)
    np.testing.assert_array_equal(opened.when, made().when)


def test_values_that_are_already_encoded_stay_as_they_are():
    raw = xr.Dataset({"a": ("x", np.arange(8), {"scale_factor": 0.5})}).chunk(x=2)
    store = IPLDStore()
    to_zarr(raw, store)
    xr.testing.assert_identical(xr.open_zarr(store, mask_and_scale=False).compute(), raw.compute())


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_append(zarr_format):
    first, second = made(0, 8), made(8, 6)
    store = IPLDStore()
    to_zarr(first, store, zarr_format=zarr_format)
    to_zarr(second, store, append_dim="time")
    assert store.freeze() == alone(first, second, zarr_format=zarr_format).freeze()
    assert xr.open_zarr(store).sizes["time"] == 14


@pytest.mark.parametrize("region", [{"time": slice(2, 6)}, {"time": "auto"}, "auto"])
def test_region(region):
    part = made(2, 4)[["raw"]]
    part["raw"] = part["raw"] * 2
    if region == {"time": slice(2, 6)}:
        part = part.drop_vars("time")
    store, plain = IPLDStore(), alone(made())
    to_zarr(made(), store)
    to_zarr(part, store, region=region)
    part.to_zarr(plain, region=region)
    assert store.freeze() == plain.freeze()
    expected = made().raw.values
    expected[2:6] *= 2
    np.testing.assert_array_equal(xr.open_zarr(store).raw, expected)


@pytest.mark.parametrize("write_empty_chunks", [True, False, None])
def test_empty_chunks_are_written_as_asked(write_empty_chunks):
    empty = xr.Dataset({"a": ("x", np.zeros(8))}).chunk(x=2)
    empty["a"].encoding["_FillValue"] = 0.0
    store = IPLDStore()
    to_zarr(empty, store, write_empty_chunks=write_empty_chunks, zarr_format=FORMATS[-1])
    options = {"write_empty_chunks": write_empty_chunks, "zarr_format": FORMATS[-1]}
    assert list(store) == list(alone(empty, **options))


def test_two_tasks_in_one_chunk_are_a_conflict(store):
    dataset = xr.Dataset({"a": ("x", np.arange(8))}).chunk(x=2)
    options = {"encoding": {"a": {"chunks": (4,)}}}
    with pytest.raises(ValueError, match="chunks"):
        to_zarr(dataset, store, **options)
    with pytest.raises(MergeConflictError) as caught:
        to_zarr(dataset, store, safe_chunks=False, mode="w", **options)
    assert {key.rpartition("/")[2] for key in caught.value.keys} == {"0", "1"}


def test_a_task_that_fails_leaves_no_chunks(store):
    def fail(block):
        raise RuntimeError("broken source")

    dataset = made()[["t"]].drop_vars(["time", "x", "lon"])
    dataset["t"].data = dataset["t"].data.map_blocks(fail, meta=np.empty((0, 0)))
    with pytest.raises(RuntimeError, match="broken source"):
        to_zarr(dataset, store, zarr_format=2)
    assert sorted(key for key in store if not key.rpartition("/")[2].startswith(".")) == []


def test_only_datasets_are_written(store):
    with pytest.raises(TypeError, match=r"xarray\.Dataset"):
        to_zarr(made()["t"], store)


def test_chunks_may_be_written_later(store, on_cluster):
    expected = alone(made(), zarr_format=FORMATS[-1]).freeze()
    delayed = to_zarr(made(), store, zarr_format=FORMATS[-1], compute=False)
    counts = info(store).arrays
    assert (counts["t"].chunks, counts["t"].chunks_possible) == (0, 8)
    assert counts["eager"].chunks == 1, "what is in memory is written at once, as by xarray"
    delayed.compute()
    assert info(store).arrays["t"].chunks == 8
    assert store.freeze() == expected
    delayed.compute()
    assert store.freeze() == expected


def test_each_part_may_be_written_later(store):
    """A template first, then its regions, as many pipelines do."""
    whole = made()[["raw"]]
    to_zarr(whole, store, compute=False)
    parts = [
        to_zarr(
            whole.isel(time=part).drop_vars("time"), store, compute=False, region={"time": part}
        )
        for part in (slice(0, 4), slice(4, 8))
    ]
    store.freeze()
    for part in parts:
        part.compute(scheduler="processes", num_workers=2)
    assert store.freeze() == alone(whole).freeze()


def test_chunks_that_are_written_later_are_no_collection(store):
    delayed = to_zarr(made(), store, compute=False)
    with pytest.raises(TypeError, match=r"call their compute\(\)"):
        dask.compute(delayed)


def test_nothing_may_be_left_for_later(store):
    to_zarr(made().compute(), store, compute=False).compute()
    assert store.freeze() == alone(made().compute()).freeze()


@pytest.mark.parametrize("name", ["chunkmanager_store_kwargs", "zarr_version", "mod"])
def test_unknown_options_are_refused_before_anything_is_written(store, name):
    with pytest.raises(TypeError, match=rf"takes no {name}: .*align_chunks, safe_chunks"):
        to_zarr(made(), store, **{name: None})
    assert list(store) == []


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        (lambda store: to_zarr(made().raw, store), TypeError, "xarray.Dataset, not DataArray"),
        (lambda store: to_zarr(made(), "folder"), TypeError, "expected an IPLDStore, not str"),
        (lambda store: to_zarr(made(), store.backend), TypeError, "expected an IPLDStore, not Dir"),
        (lambda store: to_zarr(made(), store, mode="x"), ValueError, "mode 'x' is not one of w,"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    store, tmp_path, monkeypatch, wrong, error, told
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told):
        wrong(store)
    assert list(store) == []
    assert not (tmp_path / "folder").exists()
