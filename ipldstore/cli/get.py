"""``ipldstore get``: a hierarchy becomes a NetCDF file or a Zarr folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ipldstore.cid import Link, to_text
from ipldstore.cli.blocks import Extent
from ipldstore.cli.destination import appearing
from ipldstore.cli.output import say
from ipldstore.cli.reading import watched_reading
from ipldstore.cli.roots import opened
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidKeyError
from ipldstore.store.expansion import Content, measure
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.tree.decode import decode_directory


def get_hierarchy(
    what: str,
    destination: Path,
    blocks: str,
    *,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> dict[str, Any]:
    """Write a hierarchy to a NetCDF file or a Zarr folder, and return what was done.

    Parameters
    ----------
    what, blocks
        The hierarchy, as in `opened`.
    destination
        Where nothing is yet; a NetCDF file if its name ends in ``.nc``.
    max_files, max_bytes
        How much it may stand for; see `Content.check`.

    Raises
    ------
    LimitExceededError
        If it stands for more; nothing is written then.
    """
    with opened(what, blocks) as (backend, root), appearing(destination) as temporary:
        content = measure(backend, root)
        content.check(max_files, max_bytes)
        is_file = destination.suffix == ".nc"
        if is_file:  # which looks at one array after the other, so that it comes last
            content = _measure_arrays(backend, root, content)
            content.check(max_files, max_bytes, parts="chunks")
        extent = Extent(content.blocks, content.stored) if content.is_exact else None
        with watched_reading("getting", backend, root, extent) as watched:
            if is_file:
                _write_netcdf(watched, root, temporary)
            else:
                write_folder(HierarchyMapping(watched, root=root, read_only=True), temporary)
    source = f"the hierarchy from {backend!r}" if extent is None else str(extent)
    say(f"got {source}, in {str(destination)!r}")
    blocks_read, size = (None, None) if extent is None else extent
    return {
        "root": to_text(root),
        "destination": os.fspath(destination),
        "blocks": blocks_read,
        "bytes": size,
    }


def write_folder(mapping: HierarchyMapping, folder: Path) -> None:
    """Write a hierarchy into a new folder, one file a key.

    Raises
    ------
    InvalidKeyError
        If a segment is no file name here: it would lead out of the folder.
    FileExistsError
        If two keys are the same path here.
    """
    folder.mkdir()
    for key in mapping:
        segments = key.split("/")
        if any(os.path.basename(segment) != segment for segment in segments):
            raise InvalidKeyError(f"key {key!r} cannot be a path of files here")
        data = mapping[key]
        path = folder.joinpath(*segments)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:  # where case does not count, two keys may be one path
            file.write(data)


def _measure_arrays(backend: ContentAddressableStore, root: Link, content: Content) -> Content:
    """Return what a NetCDF file holds: all of each array, whether it is stored or not."""
    from ipldstore.views.sizes import measure_arrays

    top = decode_directory(root, backend.get_block(root), root=True)
    chunks, size = measure_arrays(top, backend.get_block)
    return content._replace(files=chunks, bytes=size)


def _write_netcdf(backend: ContentAddressableStore, root: Link, path: Path) -> None:
    from ipldstore.cli.netcdf import write_netcdf
    from ipldstore.store import IPLDStore

    write_netcdf(IPLDStore(backend, root=root, read_only=True), path)
