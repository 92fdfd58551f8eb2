"""What needs a package that is not installed names the extra that brings it."""

import subprocess
import sys

import pytest

COMMAND = "import sys; sys.argv = ['ipldstore', {}]; from ipldstore.cli import main; main()"
WRITE = (
    "import numpy as np, xarray as xr; "
    "xr.Dataset({'a': ('x', np.arange(3))}).to_netcdf('x.nc', engine='netcdf4'); "
)
WRITE_TIFF = "import numpy, tifffile; tifffile.imwrite('x.tif', numpy.zeros((64, 64), 'u1')"
NETCDF = "netCDF4", "xarray"
CASES = [
    ("fsspec", "fsspec", [], "import ipldstore.fsspec"),
    (
        "fsspec",
        "fsspec",
        [],
        "from ipldstore.references import references; references('s3://b/x.car')",
    ),
    ("obstore", "objects", [], "import ipldstore; ipldstore.open('bafyqaaa', 's3://bucket')"),
    ("obstore", "objects", [], COMMAND.format("'put', 's3://bucket/x.nc'")),
    (
        "blake3",
        "blake3",
        [],
        "from ipldstore.cid import make_link; make_link(b'', 'raw', 'blake3')",
    ),
    (
        "matplotlib",
        "plot",
        [],
        "from ipldstore import IPLDStore as Store;"
        "from ipldstore.views.picture import plot_changes; plot_changes(Store(), Store(), 'x.png')",
    ),
    (
        "netCDF4",
        "netcdf",
        [],
        "open('x.nc', 'wb').write(b'CDF\\x01');" + COMMAND.format("'put', 'x.nc'"),
    ),
    ("h5py", "netcdf", ["netCDF4"], WRITE + COMMAND.format("'put', 'x.nc'")),
    (
        "dask",
        "dask",
        ["netCDF4", "h5py"],
        WRITE + COMMAND.format("'put', 'x.nc', 'x.nc', '--concat', 'x'"),
    ),
    (
        "tifffile",
        "tiff",
        [],
        "open('x.tif', 'wb').write(b'II*\\0');" + COMMAND.format("'put', 'x.tif'"),
    ),
    (
        "imagecodecs",
        "tiff",
        ["tifffile"],
        f"{WRITE_TIFF}, photometric='minisblack');"
        "data = bytearray(open('x.tif', 'rb').read());"
        "at = data.index(bytes([3, 1, 3, 0, 1, 0, 0, 0, 1, 0]));"
        "data[at + 8] = 5; open('x.tif', 'wb').write(data);" + COMMAND.format("'put', 'x.tif'"),
    ),
    ("iris_sample_data", "demo", [], COMMAND.format("'demo'")),
]


@pytest.mark.parametrize(
    ("package", "extra", "needs", "code"),
    CASES,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)],
)
def test_the_extra_is_named(package, extra, needs, code, tmp_path):
    for other in needs:
        pytest.importorskip(other)
    script = f"import sys; sys.modules[{package!r}] = None; {code}"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode != 0
    assert f"pip install 'ipldstore[{extra}]'" in run.stderr
