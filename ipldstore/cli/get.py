"""``ipldstore get``: a hierarchy becomes a NetCDF file or a Zarr folder."""

from __future__ import annotations

import os
from pathlib import Path

from ipldstore.cid import Link
from ipldstore.cli.blocks import measure_folder, opened
from ipldstore.cli.destination import appearing
from ipldstore.cli.reporting import Advance, progress, say
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidKeyError
from ipldstore.store.mapping import HierarchyMapping


def get_hierarchy(cid: str, destination: Path, blocks: str) -> None:
    """Write the hierarchy under a root to a NetCDF file or a Zarr folder.

    Parameters
    ----------
    cid
        Text of the root.
    destination
        Where nothing is yet; a NetCDF file if its name ends in ``.nc``.
    blocks
        Where the blocks are, as in `open_blocks`.
    """
    with opened(cid, blocks) as (backend, root), appearing(destination) as temporary:
        mapping = HierarchyMapping(backend, root=root, read_only=True)
        extent = measure_folder(backend, root)
        if destination.suffix == ".nc":
            _write_netcdf(backend, root, temporary)
        else:
            total = None if extent is None else extent.size
            with progress("getting", total) as advance:
                write_folder(mapping, temporary, advance)
    what = f"the hierarchy from {backend!r}" if extent is None else str(extent)
    say(f"got {what}, in {str(destination)!r}")


def write_folder(mapping: HierarchyMapping, folder: Path, advance: Advance) -> None:
    """Write a hierarchy into a new folder, one file a key.

    Raises
    ------
    InvalidKeyError
        If a segment is no file name here: it would lead out of the folder.
    """
    folder.mkdir()
    for key in mapping:
        segments = key.split("/")
        if any(os.path.basename(segment) != segment for segment in segments):
            raise InvalidKeyError(f"key {key!r} cannot be a path of files here")
        data = mapping[key]
        path = folder.joinpath(*segments)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        advance(len(data))


def _write_netcdf(backend: ContentAddressableStore, root: Link, path: Path) -> None:
    from ipldstore.cli.netcdf import write_netcdf
    from ipldstore.store import IPLDStore

    write_netcdf(IPLDStore(backend, root=root, read_only=True), path)
