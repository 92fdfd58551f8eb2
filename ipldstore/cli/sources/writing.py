"""What sources hold, written into one hierarchy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, Link, as_link, codec_of
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.reading import Content
from ipldstore.cli.sources.zarrs import Values
from ipldstore.cli.tools.progress import progress
from ipldstore.formats.jsontext import load_json
from ipldstore.history.kinds import is_state
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES

if TYPE_CHECKING:
    from ipldstore.cli.tools.netcdf import Groups

Note: TypeAlias = Callable[[list[str], Link | Document], None]
"""What is told of each entry that is written."""

_OPEN_FILES = 8
"""Files that are open at once: the NetCDF library keeps some 30 MB of chunks for each."""

_GROUP_DOCUMENTS: dict[int, tuple[str, dict[str, Any]]] = {
    2: (".zgroup", {"zarr_format": 2}),
    3: ("zarr.json", {"attributes": {}, "node_type": "group", "zarr_format": 3}),
}


def check_formats(contents: Mapping[str, Content]) -> None:
    """Raise `CommandError` if contents cannot be in one hierarchy, as their Zarr formats differ."""
    found = {
        one.zarr_format: repr(group) for group, one in contents.items() if isinstance(one, Values)
    }
    if found and not all(isinstance(one, Values) for one in contents.values()):
        found.setdefault(_own_format(), "what is no Zarr store")
    if len(found) > 1:
        raise CommandError(
            f"a hierarchy has one Zarr format, and {found[2]} would be in format 2, {found[3]} in "
            "format 3: put them apart"
        )


def write_contents(
    contents: Mapping[str, Content],
    blocks: ContentAddressableStore,
    what: str,
    note: Note | None = None,
) -> tuple[Hierarchy, int]:
    """Write contents, each below a group, and return them and the bytes of those that are values.

    Contents are by the paths of the groups, all in one Zarr format; errors call all of it `what`.
    `note` is called with each entry that is written.
    """
    values = {group: one for group, one in contents.items() if isinstance(one, Values)}
    datasets = {group: one for group, one in contents.items() if not isinstance(one, Values)}
    mapping = _NotedHierarchy(blocks, root=_beginning(blocks))
    mapping.note = note
    size = _write_values(mapping, values) if values else 0
    return (_write_datasets(mapping, datasets, what, note) if datasets else mapping), size


class _NotedHierarchy(Hierarchy):
    """A hierarchy of which each entry that is written is noted."""

    note: Note | None = None

    def _insert(self, segments: list[str], entry: Link | Document) -> None:
        super()._insert(segments, entry)
        if self.note is not None:
            self.note(segments, entry)


def _beginning(blocks: ContentAddressableStore) -> Link | None:
    """Return the empty hierarchy where a CAR file has a repository in place of a root."""
    noted = blocks.noted_root
    if noted is None or codec_of(noted) != DAG_CBOR or not is_state(blocks.get_block(noted)):
        return None
    return as_link(blocks.put_raw(b"\xa0", "dag-cbor"))


def _write_values(mapping: Hierarchy, values: Mapping[str, Values]) -> int:
    name, document = _GROUP_DOCUMENTS[next(iter(values.values())).zarr_format]
    for group in _above(values):
        mapping[f"{group}/{name}" if group else name] = json.dumps(document).encode()
    sizes = [one.size for one in values.values()]
    total = None if None in sizes else sum(filter(None, sizes))
    written = 0
    with progress("putting", total) as advance:
        for group, one in values.items():
            for key, data in one.iter_items():
                place = f"{group}/{key}" if group else key
                if key.rpartition("/")[2] in METADATA_NAMES:
                    _check_document(place, data)
                mapping[place] = data
                written += len(data)
                advance(len(data))
    return written


def _check_document(key: str, data: bytes) -> None:
    try:
        found = load_json(data)
    except ValueError as error:
        raise CommandError(f"{key!r} is no JSON, as Zarr metadata has to be: {error}") from None
    if not isinstance(found, dict):
        raise CommandError(f"{key!r} is no JSON object, as Zarr metadata has to be")


def _own_format() -> int:
    """Return the format that xarray writes if nothing is said."""
    import zarr

    if zarr.__version__.startswith("2."):
        return 2
    return int(zarr.config.get("default_zarr_format", 3))


def _above(groups: Iterable[str]) -> list[str]:
    """Return the groups that others are in, from the root on."""
    found: set[str] = set()
    for group in filter(None, groups):
        segments = group.split("/")
        found.update("/".join(segments[:depth]) for depth in range(len(segments)))
    return sorted(found)


def _write_datasets(
    mapping: Hierarchy, datasets: Mapping[str, Groups], what: str, note: Note | None
) -> Hierarchy:
    import xarray as xr

    from ipldstore.cli.tools.netcdf import count_chunks, explained, watched_store, write_zarr

    groups = {f"/{group}": xr.Dataset() for group in _above(datasets)}
    for group, content in datasets.items():
        for path, dataset in content.items():
            groups[f"/{group}{path}".rstrip("/") or "/"] = dataset
    options: Any = xr.set_options
    with (
        options(file_cache_maxsize=_OPEN_FILES),
        progress("putting", count_chunks(groups), unit="chunks") as advance,
    ):
        root = mapping.freeze() if len(mapping) else _beginning(mapping.blocks)
        store = watched_store(mapping.blocks, root, lambda: advance(1), note)
        with explained(f"{what} cannot be written as Zarr"):
            write_zarr(groups, store)
    return store
