"""``ipldstore demo``: the whole story on real data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ipldstore.basics.words import size_text
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link, to_text
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.names import demo_file
from ipldstore.cli.tools.blocks import Extent, iter_sizes, measure, open_blocks

if TYPE_CHECKING:
    from ipldstore.faces import IPLDStore

DATASET = "A1B_north_america"
VARIABLE = "air_temperature"


class Step(NamedTuple):
    """One step of the story: what to tell, and what is to be known of it."""

    line: str
    facts: dict[str, Any] = {}  # noqa: RUF012 - never changed


def iter_story(where: str | None) -> Iterator[Step]:
    """Go through the story, a line at a time; the blocks are temporary if not said where."""
    source = demo_file(DATASET)
    with tempfile.TemporaryDirectory(prefix="ipldstore-demo-") as temporary:
        place = Path(temporary)
        where = str(place / "blocks") if where is None else where
        with open_blocks(where, make=True) as blocks:
            yield from _story(source, blocks, where, place)


def _story(
    source: Path, blocks: ContentAddressableStore, where: str, place: Path
) -> Iterator[Step]:
    from ipldstore import DirectoryCAStore, IPLDStore
    from ipldstore.cli.tools.netcdf import open_netcdf, write_zarr

    size = source.stat().st_size
    yield Step(
        f"Dataset   {source.name} of iris-sample-data, {size_text(size)}",
        {"dataset": source.name, "dataset_bytes": size},
    )
    store = IPLDStore(blocks)
    with open_netcdf(source) as groups:
        write_zarr(groups, store)
    root = as_link(store.freeze())
    written = measure(store.blocks, root)
    yield Step(f"Written   {written} in {where!r}", _count("written", written))
    yield Step(f"          root {root}", {"root": to_text(root)})

    archive = place / "dataset.car"
    store.to_car(archive)
    size = archive.stat().st_size
    yield Step(f"Exported  a CAR archive of {size_text(size)}", {"archive_bytes": size})
    other = IPLDStore(DirectoryCAStore(place / "other"))
    arrived = measure(other.blocks, as_link(other.import_car(archive)))
    yield Step(f"Imported  {arrived} in another, empty folder", _count("imported", arrived))
    _check_identical(source, other)
    yield Step("Opened    by its root from there: identical to the NetCDF file")

    before = dict(iter_sizes(store.blocks, root))
    _change_one_value(store)
    changed = as_link(store.freeze())
    yield Step(f"Changed   one value of {VARIABLE}")
    yield Step(f"          root {changed}", {"changed_root": to_text(changed)})
    after = dict(iter_sizes(store.blocks, changed))
    new = _extent_of_new(before, after)
    shared = len(after) - new.blocks
    yield Step(
        f"          {new} are new, {shared} blocks are shared",
        {**_count("new", new), "shared_blocks": shared},
    )
    store.set_root(root)
    _check_identical(source, store)
    yield Step("Returned  to the first root: still identical to the NetCDF file")


def _count(what: str, extent: Extent) -> dict[str, int]:
    return {f"{what}_blocks": extent.blocks, f"{what}_bytes": extent.size}


def _check_identical(source: Path, store: IPLDStore) -> None:
    import xarray as xr

    # xarray 2024.11 cannot decode durations with pandas 3
    options: dict[str, Any] = {"decode_timedelta": False}
    with (
        xr.open_dataset(source, engine="netcdf4", **options) as expected,
        xr.open_zarr(store, **options) as actual,
    ):
        if not actual.identical(expected):
            raise CommandError("what came back is not identical to the NetCDF file")


def _change_one_value(store: IPLDStore) -> None:
    import zarr

    array: Any = zarr.open_group(store, mode="r+")[VARIABLE]
    array[0, 0, 0] = array[0, 0, 0] + 1


def _extent_of_new(before: dict[Link, int], after: dict[Link, int]) -> Extent:
    sizes = [size for link, size in after.items() if link not in before]
    return Extent(len(sizes), sum(sizes))
