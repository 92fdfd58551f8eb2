"""Every kind of file and source that people have, through `put`, `open` and `get`.

The same table stands in the documentation, for people.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from web_server import serving_files
from zarr_folders import CLASSIC_ROOT

import ipldstore
from ipldstore import IPLDStoreError

pytest.importorskip("netCDF4")
pytest.importorskip("tifffile")
import source_files as made
from source_table import (
    CLASSIC,
    ELSEWHERE,
    FILES,
    FOLDER,
    NETCDF,
    NO,
    NONE,
    OPENS,
    PUT_IT,
    Case,
    Places,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:numpy.ndarray size changed:RuntimeWarning",  # of netCDF4, built for another numpy
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sources.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def read_root(root: str, path: str = "blocks") -> dict[str, Any]:
    """Read all variables under a root with xarray, by their paths."""
    store = ipldstore.open(root, path)
    groups = xr.open_groups(
        store, engine="zarr", mask_and_scale=False, decode_timedelta=False, consolidated=False
    )
    return read_groups(groups)


def read_groups(groups: dict[str, xr.Dataset]) -> dict[str, Any]:
    return {
        f"{group}/{name}".strip("/"): variable.values.tolist()
        for group, dataset in groups.items()
        for name, variable in dataset.variables.items()
    }


def put(call: Any, *arguments: str) -> str:
    done = call("put", *arguments)
    assert done.code == 0, done.err
    root: str = done.out.decode().strip()
    return root


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.kind)
def test_put(case: Case, call: Any) -> None:
    case.make(Path(case.name))
    done = call("put", case.name)
    if isinstance(case.put, str):
        assert (done.code, done.out) == (1, b"")
        assert done.err.startswith("error: ")
        assert case.put in done.err
        assert done.err.count("\n") == 1
        return
    assert done.code == 0, done.err
    assert case.put.items() <= read_root(done.out.decode().strip()).items()
    assert call("put", case.name, "--blocks", "again").out == done.out


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.kind)
def test_open(case: Case, call: Any) -> None:
    case.make(Path(case.name))
    before = sorted(os.listdir())
    if case.opened == OPENS:
        assert str(ipldstore.open(case.name, allow_padding=True).root_cid) == CLASSIC_ROOT
        assert call("import", case.name, "--allow-padding").out.decode().strip() == CLASSIC_ROOT
        return
    with pytest.raises(IPLDStoreError) as caught:
        ipldstore.open(case.name)
    if case.opened == PUT_IT:
        assert "ipldstore put" in str(caught.value)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.kind)
def test_get(case: Case, call: Any, classic: Path) -> None:
    put(call, "classic.zarr")
    done = call("get", CLASSIC_ROOT, case.name)
    path = Path(case.name)
    if case.got == NO:
        assert (done.code, done.out) == (1, b"")
        assert re.search(r"no \.\w+ is written|`ipldstore export` does", done.err)
        assert not path.exists()
        return
    assert done.code == 0, done.err
    if case.got == NETCDF:
        assert path.read_bytes()[:4] == b"\x89HDF"
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            assert dataset.a.values.tolist() == CLASSIC["a"]
    else:
        assert path.is_dir() == (case.got == FOLDER)
        assert put(call, case.name) == CLASSIC_ROOT


@pytest.mark.parametrize(
    "case", [case for case in FILES if isinstance(case.put, dict)], ids=lambda case: case.kind
)
def test_what_was_put_comes_back_as_netcdf(case: Case, call: Any) -> None:
    case.make(Path(case.name))
    root = put(call, case.name)
    got = call("get", root, "back.nc")
    assert got.code == 0, got.err
    groups = xr.open_groups("back.nc", engine="netcdf4", mask_and_scale=False)
    assert read_groups(groups) == read_root(root)
    for dataset in groups.values():
        dataset.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from servers import S3

    with S3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def places(workplace: Path, monkeypatch: pytest.MonkeyPatch, s3: Any) -> Iterator[Places]:
    for name, make in {
        "x.nc": made.netcdf("NETCDF3_CLASSIC"),
        "a b.nc": made.netcdf("NETCDF3_CLASSIC"),
        "y.npy": made.npy,
        "x.zarr": made.zarr_folder(2, consolidated=True),
        "x.zarr.zip": made.zipped,
    }.items():
        make(workplace / name)
    monkeypatch.setenv("HOME", str(workplace))
    obstore = pytest.importorskip("obstore")
    bucket, options = s3.make_bucket(), s3.make_options()
    store = obstore.store.from_url(bucket, **options)
    for path in filter(Path.is_file, workplace.rglob("*")):
        store.put(path.relative_to(workplace).as_posix(), path)
    for name, value in options["config"].items():
        monkeypatch.setenv(f"AWS_{'ENDPOINT_URL' if name == 'endpoint' else name.upper()}", value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with serving_files(workplace) as web:
        yield Places(web.url, bucket)


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_put_from_elsewhere(kind: str, call: Any, places: Places) -> None:
    case = ELSEWHERE[kind]
    words = case.words(places)
    done = call("put", *words)
    if isinstance(case.put, str):
        assert done.code in (1, 5)
        assert case.put in done.err
        return
    assert done.code == 0, done.err
    assert case.put.items() <= read_root(done.out.decode().strip()).items()
    assert "token" not in done.err


@pytest.mark.parametrize("kind", [kind for kind, case in ELSEWHERE.items() if case.opened != NONE])
def test_open_and_get_elsewhere(kind: str, call: Any, places: Places, classic: Path) -> None:
    case = ELSEWHERE[kind]
    (word,) = case.words(places)
    with pytest.raises(IPLDStoreError) as caught:
        ipldstore.open(word)
    assert case.opened == NO or "ipldstore put" in str(caught.value)
    put(call, "classic.zarr")
    before = sorted(os.listdir())
    done = call("get", CLASSIC_ROOT, word)
    if case.got == NO:
        assert (done.code, sorted(os.listdir())) == (1, before), done.err
        assert "is a URL" in done.err or "standard output" in done.err
        return
    assert done.code == 1
    assert "exists and is not written over" in done.err
    assert call("get", CLASSIC_ROOT, word.replace(".nc", "-2.nc")).code == 0
    (name,) = set(os.listdir()) - set(before)
    assert name in ("x-2.nc", "a b-2.nc")


@pytest.mark.skipif(made.ON_ZARR_2, reason="which reads less from elsewhere than is documented")
def test_the_table_is_documented() -> None:
    rows = {row[0]: row[1:] for row in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    for case in (*FILES, *ELSEWHERE.values()):
        done, opened, got = rows.pop(case.kind)
        assert done.startswith("refused") == isinstance(case.put, str), case.kind
        assert (opened, got) == (case.opened, case.got), case.kind
    assert set(rows) == {"What"}
