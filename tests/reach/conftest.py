"""Hierarchies that the tests of this folder open in every way."""

from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

from ipldstore import DirectoryCAStore, IPLDStore

LARGE = np.random.default_rng(5).bytes(2_500_000)
"""A value of three blocks and a node."""


class Written(NamedTuple):
    blocks: str
    root: str
    car: str


@pytest.fixture(autouse=True)
def no_blocks_from_outside(monkeypatch):
    monkeypatch.delenv("IPLDSTORE_BLOCKS", raising=False)


@pytest.fixture(scope="session")
def is_zarr2():
    return version("zarr").startswith("2.")


@pytest.fixture(scope="session")
def dataset():
    """A real dataset."""
    iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")
    path = Path(iris_sample_data.path) / "A1B_north_america.nc"
    with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as opened:
        return opened.load()


@pytest.fixture(scope="session")
def real(tmp_path_factory, dataset):
    """The real dataset, in a group, in several chunks."""
    folder = tmp_path_factory.mktemp("real")
    store = IPLDStore(DirectoryCAStore(folder / "blocks"))
    encoding = {"air_temperature": {"chunks": (24, 37, 49)}}
    dataset.to_zarr(store, group="models/A1B", encoding=encoding, consolidated=False)
    root = str(store.freeze())
    store.to_car(folder / "real.car")
    return Written(str(folder / "blocks"), root, str(folder / "real.car"))


VALUES = {
    ".zgroup": b'{"zarr_format":2}',
    ".zattrs": b'{"place":"K\xc3\xb6ln"}',
    "a/.zarray": b'{"shape":[4]}',
    "a/0": b"first",
    "a/1": b"",
    "a/b c%20d/2": b"third",
    "large/0": LARGE,
    **{f"many/{number}": b"chunk %d" % number for number in range(300)},
}
"""All kinds of values: documents, one inlined and one not; empty ones; one of several blocks."""
VALUES["many/.zattrs"] = b'{"long":"%s"}' % (b"x" * 9000)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    store = IPLDStore(DirectoryCAStore(folder / "blocks"))
    store.update(VALUES)
    root = str(store.freeze())
    store.to_car(folder / "mixed.car")
    return Written(str(folder / "blocks"), root, str(folder / "mixed.car"))


@pytest.fixture
def values():
    return VALUES
