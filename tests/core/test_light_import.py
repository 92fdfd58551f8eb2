"""Importing the package imports nothing heavy before it is used."""

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "asyncio",
    "blake3",
    "dag_cbor",
    "dask",
    "multiformats",
    "netCDF4",
    "numcodecs",
    "numpy",
    "requests",
    "rich",
    "typer",
    "xarray",
    "zarr",
}


def imported_by(code):
    """Return which heavy modules are there after some code ran in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import ipldstore",
        "import ipldstore; dir(ipldstore); ipldstore.InvalidKeyError",
        "import ipldstore; ipldstore.MappingCAStore({}); ipldstore.ContentAddressableStore",
        "import ipldstore.cid as cid; cid.parse_text(str(cid.make_link(b'hello')))",
        "import ipldstore.dagcbor as codec; codec.decode(codec.encode({'a': [1, None]}))",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert imported_by(code) == set()


def test_the_mapping_needs_no_zarr():
    code = (
        "from ipldstore.store.mapping import HierarchyMapping as Store; store = Store(); "
        "store['a/0'] = b'x'; store['.zattrs'] = b'{}'; store.freeze()"
    )
    assert not imported_by(code) & {"zarr", "xarray", "numpy"}


def test_the_check_itself_can_fail():
    assert "multiformats" in imported_by("import multiformats")


def test_unknown_names_are_attribute_errors():
    import ipldstore

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ipldstore.Nothing  # noqa: B018
    assert set(ipldstore.__all__) <= set(dir(ipldstore))
