"""The roots and archive lengths that the format has had from the beginning."""

from importlib.metadata import version

import pytest
import xarray as xr

from ipldstore import IPLDStore

INSTALLED = version("zarr"), version("xarray")

pytestmark = pytest.mark.skipif(
    INSTALLED != ("2.18.7", "2024.11.0"),
    reason="other versions of zarr-python and xarray write other metadata",
)


@pytest.mark.parametrize(
    ("consolidated", "root", "size"),
    [
        (True, "bafyreibf3yn5ovxhrcwwdg4sm5sinnkwoyfx3wswghbjchz4zvwt55bhte", 560),
        (False, "bafyreidn66mk3fktszrfwayonvpq6y3agtnb5e5o22ivof5tgikbxt7k6u", 356),
    ],
)
def test_the_classic_example(consolidated, root, size):
    store = IPLDStore()
    dataset = xr.Dataset({"a": ("a", [1, 2, 3])})
    dataset.to_zarr(store, consolidated=consolidated, encoding={"a": {"compressor": None}})
    assert str(store.freeze()) == root
    archive = store.to_car()
    assert len(archive) == size
    opened = xr.open_zarr(IPLDStore.from_car(archive), consolidated=consolidated)
    xr.testing.assert_identical(opened, dataset)
