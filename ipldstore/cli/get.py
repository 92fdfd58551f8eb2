"""``ipldstore get``: a hierarchy becomes a NetCDF file or a Zarr folder."""

from __future__ import annotations

import os
from pathlib import Path

from ipldstore.cid import parse_text
from ipldstore.cli.blocks import measure, open_blocks
from ipldstore.cli.destination import appearing
from ipldstore.cli.reporting import Advance, progress, say
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidKeyError
from ipldstore.store.mapping import HierarchyMapping


def get_hierarchy(cid: str, destination: Path, blocks: Path) -> None:
    """Write the hierarchy under a root to a NetCDF file or a Zarr folder.

    Parameters
    ----------
    cid
        Text of the root.
    destination
        Where nothing is yet; a NetCDF file if its name ends in ``.nc``.
    blocks
        The folder of blocks.
    """
    root = parse_text(cid)
    mapping = HierarchyMapping(open_blocks(blocks), root=root, read_only=True)
    with appearing(destination) as temporary:
        extent = measure(mapping.backend, root)
        if destination.suffix == ".nc":
            _write_netcdf(mapping.backend, cid, temporary)
        else:
            with progress("getting", extent.size) as advance:
                write_folder(mapping, temporary, advance)
    say(f"got {extent}, in {str(destination)!r}")


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


def _write_netcdf(backend: ContentAddressableStore, cid: str, path: Path) -> None:
    from ipldstore.cli.netcdf import write_netcdf
    from ipldstore.store import IPLDStore

    write_netcdf(IPLDStore(backend, root=cid, read_only=True), path)
