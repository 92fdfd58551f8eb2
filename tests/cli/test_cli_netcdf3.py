"""`put` of NetCDF-3 files that end early, which the NetCDF library reads as zeros."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.netcdf3 import check_whole
from ipldstore.errors import LimitExceededError

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816 - the name of the package

FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]
KINDS = {"i1": "x", "S1": "x", "i2": "xy", "i4": "tx", "f4": "t", "f8": "ty", "u1": "txy"}


def make(path: Path, file_format: str, kinds: dict[str, str], records: int) -> None:
    """Write a file of arrays that hold no zero, so that each of their bytes counts."""
    with netCDF4.Dataset(path, "w", format=file_format) as file:
        file.title = "some"
        for name, length in {"t": None, "x": 3, "y": 2}.items():
            file.createDimension(name, length)
        for kind, dimensions in kinds.items():
            variable = file.createVariable(f"v_{kind}", kind, tuple(dimensions))
            variable.units = "m"
            sizes = {"t": records, "x": 3, "y": 2}
            shape = [sizes[name] for name in dimensions]
            variable[:] = np.full(shape, b"z" if kind == "S1" else 1, kind)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(FORMATS),
    st.lists(st.sampled_from(sorted(KINDS)), unique=True),
    st.integers(0, 4),
    st.data(),
)
def test_what_ends_early_is_told_from_what_is_whole(
    tmp_path: Path, file_format: str, kinds: list[str], records: int, data: Any
) -> None:
    if file_format != "NETCDF3_64BIT_DATA" and "u1" in kinds:
        kinds.remove("u1")
    path = tmp_path / "x.nc"
    make(path, file_format, {kind: KINDS[kind] for kind in kinds}, records)
    check_whole(path)
    whole = path.read_bytes()
    shown = read(path)
    cut = data.draw(st.integers(1, len(whole)))
    path.write_bytes(whole[:-cut])
    try:
        check_whole(path)
    except CommandError as error:
        assert str(error).startswith(f"{str(path)!r} is cut short: it ")
    else:
        assert cut < 4 or read(path) in (shown, None)


def read(path: Path) -> Any:
    """Return what is in a file; None if the library does not open it."""
    try:
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            return {name: one[:].tobytes() for name, one in file.variables.items()}
    except (OSError, RuntimeError):
        return None


def test_a_file_of_one_byte_less_is_refused(call: Any, workplace: Path) -> None:
    make(Path("x.nc"), "NETCDF3_CLASSIC", {"f8": "ty"}, 3)
    assert call("put", "x.nc").code == 0
    data = Path("x.nc").read_bytes()
    Path("x.nc").write_bytes(data[:-1])
    done = call("put", "x.nc")
    assert (done.code, done.out) == (1, b"")
    assert f"'x.nc' is cut short: it has {len(data) - 1} bytes of {len(data)}" in done.err


@pytest.mark.parametrize("size", [0, 3, 4, 8, 20, 40])
def test_a_file_of_a_beginning_only(size: int, call: Any, workplace: Path) -> None:
    make(Path("x.nc"), "NETCDF3_CLASSIC", {"f4": "t"}, 2)
    Path("x.nc").write_bytes(Path("x.nc").read_bytes()[:size])
    done = call("put", "x.nc")
    assert (done.code != 0, done.out) == (True, b"")


def test_a_file_whose_records_were_never_counted(call: Any, workplace: Path) -> None:
    for number, kinds in enumerate(({"f4": "t"}, {"f4": "x"})):
        make(Path("x.nc"), "NETCDF3_CLASSIC", kinds, 2)
        data = Path("x.nc").read_bytes()
        Path(f"{number}.nc").write_bytes(data[:4] + b"\xff" * 4 + data[8:])
    done = call("put", "0.nc")
    assert (done.code, done.out) == (1, b"")
    assert "'0.nc' was never finished: it does not say how many records it has" in done.err
    check_whole(Path("1.nc"))


@pytest.mark.parametrize("tag", [10, 11, 12])
def test_headers_that_would_take_forever(tag: int, tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    lists = {10: b"", 11: bytes(16), 12: bytes(8)}[tag]
    head = b"CDF\1" + bytes(4) + lists + tag.to_bytes(4, "big") + b"\x01\xff\xff\xff"
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(1 << 40)
    with pytest.raises(LimitExceededError, match="lists more than"):
        check_whole(path)


def test_many_record_variables_and_long_names(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    names = [b"%08d" % number for number in range(20_000)]
    one = (8).to_bytes(4, "big") + b"%b" + bytes([0, 0, 0, 1]) + bytes(4) + bytes(8)
    rest = (4).to_bytes(4, "big") + (4).to_bytes(4, "big") + (1 << 20).to_bytes(4, "big")
    dimension = (10).to_bytes(4, "big") + (1).to_bytes(4, "big")
    dimension += (1 << 30).to_bytes(4, "big") + bytes(1 << 10) + bytes(4)
    head = b"CDF\1" + (3).to_bytes(4, "big")
    short = dimension[:8] + (4).to_bytes(4, "big") + b"time" + bytes(4)
    variables = (11).to_bytes(4, "big") + len(names).to_bytes(4, "big")
    path.write_bytes(head + short + bytes(8) + variables + b"".join(one % n + rest for n in names))
    with pytest.raises(CommandError, match="cut short"):
        check_whole(path)
    with open(path, "wb") as file:
        file.write(head + dimension)
        file.truncate(1 << 40)
    tracemalloc.start()
    check_whole(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
