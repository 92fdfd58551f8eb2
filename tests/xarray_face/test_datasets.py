"""Real NetCDF datasets go in, and come back identical by their root in a fresh process."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import TypeAlias

import pytest
import xarray as xr

from ipldstore import DirectoryCAStore, IPLDStore

iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")

NAMES = {
    "A1B_north_america.nc": "dates of a 360-day calendar",
    "SOI_Darwin.nc": "a time series",
    "atlantic_profiles.nc": "NaN in the ocean",
    "rotated_pole.nc": "scalar coordinates",
    "space_weather.nc": "a variable of bytes",
    "vlstr_type.nc": "a variable of strings",
}
Case: TypeAlias = tuple[str, int, bool]
"""Name of the file, Zarr format, whether consolidated."""

# zarr-python says so of bytes and strings of fixed length in format 3
pytestmark = pytest.mark.filterwarnings("ignore:The data type:FutureWarning")


def source_of(name: str) -> str:
    return str(Path(iris_sample_data.path) / name)


def open_source(name: str) -> xr.Dataset:
    # xarray 2024.11 decodes to timedeltas by default, and fails at it with pandas 3
    return xr.open_dataset(source_of(name), engine="netcdf4", decode_timedelta=False)


def write(store: IPLDStore, name: str, zarr_format: int, consolidated: bool) -> str:
    with open_source(name) as dataset:
        dataset.to_zarr(store, zarr_format=zarr_format, consolidated=consolidated)
    return str(store.freeze())


def ask_fresh_process(written: dict[Case, dict]) -> dict[Case, str]:
    script = Path(__file__).with_name("fresh_process.py")
    # a fresh interpreter has none of the filters of pytest
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        input=json.dumps(list(written.values())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(written, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, zarr_formats) -> dict[Case, dict]:
    """Write every case into one folder of blocks, and into an archive of its own."""
    folder = tmp_path_factory.mktemp("blocks")
    archives = tmp_path_factory.mktemp("archives")
    cases = {}
    for number, case in enumerate(product(NAMES, zarr_formats, (True, False))):
        store = IPLDStore(DirectoryCAStore(folder))
        root = write(store, *case)
        archive = archives / f"{number}.car"
        store.to_car(archive)
        cases[case] = {
            "root": root,
            "source": source_of(case[0]),
            "consolidated": case[2],
            "folder": str(folder),
            "archive": str(archive),
        }
    return cases


def without(name: str, written: dict[Case, dict]) -> dict[Case, dict]:
    return {
        case: {key: value for key, value in facts.items() if key != name}
        for case, facts in written.items()
    }


@pytest.fixture(scope="module")
def verdicts_by_root(written) -> dict[Case, str]:
    return ask_fresh_process(without("archive", written))


@pytest.fixture(scope="module")
def verdicts_by_archive(written) -> dict[Case, str]:
    return ask_fresh_process(without("folder", written))


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest, zarr_format, consolidated) -> Case:
    return request.param, zarr_format, consolidated


def test_identical_in_a_fresh_process_by_its_root(verdicts_by_root, case):
    assert verdicts_by_root[case] == "identical"


def test_identical_in_a_fresh_process_that_was_handed_an_archive(verdicts_by_archive, case):
    assert verdicts_by_archive[case] == "identical"


def test_the_root_does_not_depend_on_the_backend(written, case):
    assert write(IPLDStore(), *case) == written[case]["root"]


def test_different_datasets_have_different_roots(written):
    assert len({facts["root"] for facts in written.values()}) == len(written)


def test_identical_in_the_same_process_before_freezing(case):
    name, zarr_format, consolidated = case
    store = IPLDStore()
    with open_source(name) as dataset:
        dataset.to_zarr(store, zarr_format=zarr_format, consolidated=consolidated)
        assert store.root_cid is None
        opened = xr.open_zarr(store, consolidated=consolidated, decode_timedelta=False)
        xr.testing.assert_identical(opened, dataset)
