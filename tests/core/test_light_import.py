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


def test_errors_are_there_as_pages_name_them():
    assert imported_by("import ipldstore; ipldstore.errors.BackendError") == set()


@pytest.mark.parametrize(
    "code",
    [
        "import ipldstore",
        "import ipldstore; dir(ipldstore); ipldstore.InvalidKeyError",
        "import ipldstore; ipldstore.MappingCAStore({}); ipldstore.ContentAddressableStore",
        "import ipldstore.cid as cid; cid.parse_text(str(cid.make_link(b'hello')))",
        "import ipldstore.formats.dagcbor as codec; codec.decode(codec.encode({'a': [1, None]}))",
    ],
)
def test_nothing_heavy_is_imported(code):
    assert imported_by(code) == set()


def test_the_mapping_needs_no_zarr():
    code = (
        "from ipldstore.store.hierarchy import Hierarchy as Store; store = Store(); "
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


def test_type_checkers_know_what_is_public(tmp_path):
    pytest.importorskip("mypy", reason="no mypy")
    import ipldstore

    asks = tmp_path / "asks.py"
    names = ", ".join(ipldstore.__all__)
    asks.write_text(f"from ipldstore import {names}\nfrom ipldstore import Nothing\n")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=skip"]
    command += ["--cache-dir", tmp_path, ipldstore.__file__, asks]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 'asks.py:2: error: Module "ipldstore" has no attribute "Nothing"' in run.stdout
    assert "asks.py:1:" not in run.stdout
