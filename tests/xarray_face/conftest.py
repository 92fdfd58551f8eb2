"""What the tests with xarray share."""

from importlib.metadata import version

import pytest

from ipldstore import ContentAddressableStore, DirectoryCAStore, MappingCAStore

# zarr-python 2.18 has format 3 as an experiment only, on other stores
ZARR_FORMATS = (2,) if version("zarr").startswith("2.") else (2, 3)


@pytest.fixture(scope="session")
def zarr_formats() -> tuple[int, ...]:
    return ZARR_FORMATS


@pytest.fixture(params=ZARR_FORMATS, ids="format{}".format)
def zarr_format(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=[True, False], ids=["consolidated", "not consolidated"])
def consolidated(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=["mapping", "directory"])
def backend(request: pytest.FixtureRequest, tmp_path) -> ContentAddressableStore:
    return MappingCAStore() if request.param == "mapping" else DirectoryCAStore(tmp_path / "blocks")
