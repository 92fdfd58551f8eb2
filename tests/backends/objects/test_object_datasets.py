"""Real datasets on object stores, reopened from another process, and written by many at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import iris_sample_data
import pytest
import xarray as xr

from ipldstore import IPLDStore
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link

SAMPLES = Path(iris_sample_data.path)

REOPEN = """
import sys, xarray as xr
from ipldstore import IPLDStore
from ipldstore.backends.objects.store import ObjectCAStore
url, options, root, sample = sys.argv[1], eval(sys.argv[2]), sys.argv[3], sys.argv[4]
store = IPLDStore(ObjectCAStore(url, **options), root=root, read_only=True)
opened = xr.open_zarr(store, consolidated=False, decode_timedelta=False)
source = xr.open_dataset(sample, engine="netcdf4", decode_timedelta=False)
xr.testing.assert_identical(opened.load(), source.load())
"""

WRITE = """
import sys
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link
with ObjectCAStore(sys.argv[1], **eval(sys.argv[2])) as store:
    blocks = [b"block %d" % i for i in range(100)]
    store.put_many((make_link(data), data) for data in blocks)
"""


def run(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


SAMPLE_OF = {"s3": "A1B_north_america.nc", "azure": "SOI_Darwin.nc", "gcs": "SOI_Darwin.nc"}


@pytest.mark.parametrize("kind", SAMPLE_OF)
def test_a_dataset_is_reopened_in_another_process(start_kind, kind):
    server = start_kind(kind)
    url, options = f"{server.make_bucket()}/climate", server.make_options()
    path = SAMPLES / SAMPLE_OF[kind]
    with (
        ObjectCAStore(url, **options) as backend,
        xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as source,
    ):
        store = IPLDStore(backend)
        source.to_zarr(store, consolidated=False)
        root = store.freeze()
    run(REOPEN, url, options, root, path)


def test_many_processes_write_to_one_bucket(s3):
    url, options = s3.make_bucket(), s3.make_options()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: run(WRITE, url, options), range(3)))
    with ObjectCAStore(url, **options) as store:
        blocks = {make_link(data): data for data in (b"block %d" % i for i in range(100))}
        assert store.find_missing(blocks) == set()
        assert dict(store.get_many(blocks)) == blocks


def test_variables_of_the_environment_are_enough(s3, monkeypatch):
    variables = {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": s3.key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
        "AWS_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bucket = s3.make_bucket()
    cid = ObjectCAStore(bucket).put(b"hello")
    assert ObjectCAStore(bucket).get(cid) == b"hello"
