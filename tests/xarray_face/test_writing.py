"""The ways in which xarray writes, against the same done on zarr's own store in memory."""

from importlib.metadata import version

import numpy as np
import pytest
import xarray as xr

from ipldstore import IPLDStore

# zarr-python says so of strings and datetimes in format 3
pytestmark = pytest.mark.filterwarnings("ignore:The data type:FutureWarning")

ON_ZARR_2 = version("zarr").startswith("2.")


def zarrs_own_store():
    from zarr.storage import MemoryStore

    return MemoryStore()


def small(start: int = 0, count: int = 6) -> xr.Dataset:
    steps = np.arange(start, start + count)
    return xr.Dataset(
        {
            "t": (("time", "x"), np.add.outer(steps, np.arange(4.0)), {"units": "K"}),
            "mask": (("time",), steps % 2 == 0),
        },
        {
            "time": np.datetime64("2020-01-01", "ns") + steps * np.timedelta64(1, "D"),
            "x": [10, 20, 30, 40],
        },
        {"title": "small"},
    )


@pytest.fixture
def both(backend) -> tuple[IPLDStore, object]:
    """Return a store of ours, and zarr's to compare it with."""
    return IPLDStore(backend), zarrs_own_store()


def reopened(store: IPLDStore, **options) -> xr.Dataset:
    """Open what was written by its root, in another store on the same blocks."""
    return xr.open_zarr(IPLDStore(store.backend, root=store.freeze()), **options)


def values_of(store) -> list[str]:
    """Return the keys of a store, of ours or of zarr's."""
    return sorted(getattr(store, "_store_dict", store))


def assert_same(both, consolidated: bool = True) -> xr.Dataset:
    ours, theirs = both
    opened = reopened(ours, consolidated=consolidated).load()
    xr.testing.assert_identical(opened, xr.open_zarr(theirs, consolidated=consolidated).load())
    assert values_of(ours) == values_of(theirs)
    return opened


def test_append_along_a_dimension(both, zarr_format, consolidated):
    options = {"zarr_format": zarr_format, "consolidated": consolidated}
    for store in both:
        small(0, 6).to_zarr(store, encoding={"t": {"chunks": (4, 2)}}, **options)
        small(6, 5).to_zarr(store, append_dim="time", **options)
    opened = assert_same(both, consolidated)
    xr.testing.assert_identical(opened, small(0, 11))


def test_append_to_what_was_opened_by_its_root(both, zarr_format):
    ours, theirs = both
    small(0, 6).to_zarr(ours, zarr_format=zarr_format)
    first = ours.freeze()
    again = IPLDStore(ours.backend, root=first)
    small(6, 5).to_zarr(again, append_dim="time", zarr_format=zarr_format)
    for part in small(0, 6), small(6, 5):
        options = {"append_dim": "time"} if values_of(theirs) else {}
        part.to_zarr(theirs, zarr_format=zarr_format, **options)
    assert_same((again, theirs))
    xr.testing.assert_identical(reopened(ours), small(0, 6))
    assert ours.root_cid == first


@pytest.mark.parametrize("safe_chunks", [True, False])
def test_write_a_region(both, zarr_format, safe_chunks):
    part = small(2, 2).drop_vars("x") + 100
    for store in both:
        small().to_zarr(store, encoding={"t": {"chunks": (2, 4)}}, zarr_format=zarr_format)
        part[["t"]].drop_vars("time").to_zarr(
            store, region={"time": slice(2, 4)}, zarr_format=zarr_format, safe_chunks=safe_chunks
        )
    opened = assert_same(both)
    np.testing.assert_array_equal(opened.t[2:4], part.t)
    np.testing.assert_array_equal(opened.t[4:], small().t[4:])


def test_write_regions_of_a_template_without_values(both, zarr_format):
    dask = pytest.importorskip("dask.array")
    template = xr.Dataset({"t": (("time", "x"), dask.zeros((6, 4), chunks=(2, 4)))})
    for store in both:
        template.to_zarr(store, compute=False, zarr_format=zarr_format)
        for start in 4, 0:
            small(start, 2)[["t"]].drop_vars(["time", "x"]).to_zarr(
                store, region={"time": slice(start, start + 2)}, zarr_format=zarr_format
            )
    opened = assert_same(both)
    np.testing.assert_array_equal(opened.t[4:], small(4, 2).t)
    assert opened.t[2:4].isnull().all()


def test_overwrite_a_dataset(both, zarr_format, consolidated):
    options = {"zarr_format": zarr_format, "consolidated": consolidated, "mode": "w"}
    other = xr.Dataset({"u": ("y", [1, 2])}, attrs={"title": "other"})
    for store in both:
        small().to_zarr(store, **options)
        other.to_zarr(store, **options)
    xr.testing.assert_identical(assert_same(both, consolidated), other)
    anew = IPLDStore()
    other.to_zarr(anew, **options)
    assert both[0].root_cid == anew.freeze()


def test_the_same_dataset_again_is_the_same_root(backend, zarr_format):
    store = IPLDStore(backend)
    roots = []
    for _ in range(2):
        small().to_zarr(store, mode="w", zarr_format=zarr_format)
        roots.append(store.freeze())
    assert roots[0] == roots[1]


def test_without_mode_w_nothing_is_overwritten(backend, zarr_format):
    store = IPLDStore(backend)
    small().to_zarr(store, zarr_format=zarr_format)
    root = store.freeze()
    with pytest.raises((FileExistsError, ValueError), match=r"exists|contains"):
        small(3).to_zarr(store, mode="w-", zarr_format=zarr_format)
    assert store.freeze() == root


def test_add_a_variable(both, zarr_format):
    for store in both:
        small().to_zarr(store, zarr_format=zarr_format)
        xr.Dataset({"more": ("x", [1, 2, 3, 4])}).to_zarr(store, mode="a", zarr_format=zarr_format)
    assert set(assert_same(both).variables) == {"t", "mask", "time", "x", "more"}


def test_groups_of_a_data_tree(both, zarr_format):
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"title": "tree"}),
            "/fine": small(),
            "/coarse": small(0, 3),
            "/coarse/extra": xr.Dataset({"n": ((), 7)}),
        }
    )
    for store in both:
        tree.to_zarr(store, zarr_format=zarr_format)
    ours, theirs = both
    again = IPLDStore(ours.backend, root=ours.freeze())
    for store in again, theirs:
        xr.testing.assert_identical(xr.open_datatree(store, engine="zarr").load(), tree)
    xr.testing.assert_identical(
        reopened(ours, group="coarse/extra").load(),
        tree["coarse/extra"].to_dataset(inherit=False),
    )


def test_groups_written_one_by_one(both, zarr_format):
    for store in both:
        small(0, 2).to_zarr(store, group="a/b", zarr_format=zarr_format)
        small(2, 2).to_zarr(store, group="a/c", zarr_format=zarr_format)
    assert values_of(both[0]) == values_of(both[1])
    xr.testing.assert_identical(reopened(both[0], group="a/b").load(), small(0, 2))
    xr.testing.assert_identical(reopened(both[0], group="a/c").load(), small(2, 2))


STRANGE_VALUES = {
    "strings of fixed length": ("x", np.array(["a", "bcd", "é", "日本語"])),
    "strings": ("x", np.array(["a", "", "é", "日本語"], dtype=object)),
    "bytes": ("x", np.array([b"a", b"bcd", b"", b"x"], dtype="S3")),
    "datetimes": (
        "x",
        np.datetime64("1999-12-31T23:59:59.5", "ns") + np.arange(4) * 25_000_000_000_000,
    ),
    "datetimes with NaT": ("x", np.array(["2000-01-01", "NaT"] * 2, dtype="M8[ns]")),
    "timedeltas": ("x", np.array([1, -2, 3, 4], dtype="m8[ns]")),
    "booleans": ("x", np.array([True, False, True, True])),
    "complex": ("x", np.array([1 + 2j, np.nan, 0, -1j])),
    "large integers": ("x", np.array([2**64 - 1, 0, 1, 2**63], dtype="u8")),
    "not finite": ("x", np.array([np.nan, np.inf, -np.inf, -0.0])),
    "half precision": ("x", np.array([1, 2.5, np.nan, 4], dtype="f2")),
    "big-endian": ("x", np.array([1, 2, 3, 4], dtype=">i4")),
    "no elements": (("x", "y"), np.zeros((4, 0))),
    "0-d float": ((), 1.5),
    "0-d integer": ((), np.int64(-7)),
    "0-d string": ((), "0-d ünïcode"),
    "0-d datetime": ((), np.datetime64("2001-02-03T04:05:06", "ns")),
}


@pytest.mark.parametrize("name", STRANGE_VALUES)
def test_a_variable_of(both, zarr_format, name):
    dataset = xr.Dataset({"v": STRANGE_VALUES[name]})
    if name == "timedeltas" and ON_ZARR_2:
        pytest.skip("xarray 2024.11 cannot decode timedeltas with pandas 3")
    for store in both:
        dataset.to_zarr(store, zarr_format=zarr_format)
    ours, theirs = both
    xr.testing.assert_identical(reopened(ours).load(), xr.open_zarr(theirs).load())
    xr.testing.assert_equal(reopened(ours).load(), dataset)


STRANGE_ATTRIBUTES = {
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "minus zero": -0.0,
    "beyond 64 bits": 2**70,
    "far below zero": -(2**70),
    "most in 64 bits": 2**64 - 1,
    "integral float": 1e300,
    "Japanese": "気温",
    "outside the basic plane": "🌍 \U0010ffff",
    "quotes and controls": '"\\/\b\x00\x1f\x7f\u2028',
    "empty": "",
    "list": [1, 2.5, "three", True],
    "nothing": None,
    "nested": {"ключ": {"a": float("nan"), "b": [1, [2]]}},
}


@pytest.mark.parametrize("name", STRANGE_ATTRIBUTES)
def test_an_attribute_of(both, zarr_format, consolidated, name):
    value = STRANGE_ATTRIBUTES[name]
    dataset = xr.Dataset({"v": ("x", [1, 2])}, attrs={name: value, "title": "strange"})
    dataset.v.attrs[f"ключ {name}"] = value
    for store in both:
        dataset.to_zarr(store, zarr_format=zarr_format, consolidated=consolidated)
    opened = assert_same(both, consolidated)
    for attributes, key in (opened.attrs, name), (opened.v.attrs, f"ключ {name}"):
        assert repr(attributes[key]) == repr(value)
        assert type(attributes[key]) is type(value)


def test_a_variable_with_a_non_latin_name(both, zarr_format):
    dataset = xr.Dataset({"температура": ("широта", [1.0, 2.0]), "気温": ("広さ", [3])})
    for store in both:
        dataset.to_zarr(store, zarr_format=zarr_format)
    xr.testing.assert_identical(assert_same(both), dataset)
