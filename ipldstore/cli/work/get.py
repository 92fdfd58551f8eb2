"""``ipldstore get``: a hierarchy becomes a NetCDF file, a Zarr folder, or a zip file of one."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ipldstore.basics.urls import is_url, show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.frame.output import say
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.names import local_path
from ipldstore.cli.tools.blocks import Extent
from ipldstore.cli.tools.destination import appearing
from ipldstore.cli.tools.reading import watched_reading
from ipldstore.cli.tools.roots import check_order, opened
from ipldstore.errors import InvalidKeyError
from ipldstore.store.expansion import Content, measure
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.decode import decode_directory
from ipldstore.zarrstores import suffixes

Form: TypeAlias = Literal["folder", "netcdf", "zip"]


def form_of(destination: Path) -> Form:
    """Return what a destination becomes, by its suffix."""
    suffix = destination.suffix.lower()
    if suffix == suffixes.ARCHIVE:
        raise CommandError(f"{str(destination)!r} is named as an archive: `ipldstore export` does")
    if suffix in suffixes.OTHERS:
        raise CommandError(
            f"{str(destination)!r}: no {suffix} is written, but NetCDF (.nc, .nc4, .h5, .hdf5), a "
            "zip file of Zarr (.zip), or a Zarr folder (.zarr, or no suffix)"
        )
    if suffix in suffixes.NETCDF:
        return "netcdf"
    return "zip" if suffix == suffixes.ZIP else "folder"


def get_hierarchy(
    what: str,
    destination: str,
    where: str,
    *,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> dict[str, Any]:
    """Write a hierarchy to a new file or folder, and return what was done."""
    check_order(what, destination)
    target = _target_of(destination)
    form = form_of(target)
    with opened(what, where) as (blocks, root), appearing(target) as temporary:
        content = measure(blocks, root)
        content.check(max_files, max_bytes)
        if form == "netcdf":  # which looks at one array after the other, so that it comes last
            content = _measure_arrays(blocks, root, content)
            content.check(max_files, max_bytes, parts="chunks")
        extent = Extent(content.blocks, content.stored) if content.is_exact else None
        with watched_reading("getting", blocks, root, extent) as watched:
            mapping = Hierarchy(watched, root=root, read_only=True)
            if form == "netcdf":
                _write_netcdf(watched, root, temporary)
            elif form == "zip":
                write_zip(mapping, temporary)
            else:
                write_folder(mapping, temporary)
    source = f"the hierarchy from {blocks!r}" if extent is None else str(extent)
    say(f"got {source}, in {str(target)!r}")
    blocks_read, size = (None, None) if extent is None else extent
    return {
        "root": to_text(root),
        "destination": os.fspath(target),
        "blocks": blocks_read,
        "bytes": size,
    }


def write_folder(mapping: Hierarchy, folder: Path) -> None:
    """Write a hierarchy into a new folder, one file a key."""
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


def write_zip(mapping: Hierarchy, path: Path) -> None:
    """Write a hierarchy into a new zip file, one member a key, as zarr's ``ZipStore`` reads it.

    Nothing is compressed again, and members have no times: equal hierarchies give equal files.
    """
    with zipfile.ZipFile(path, "x") as archive:
        for key in mapping:
            archive.writestr(zipfile.ZipInfo(key), mapping[key])


def _target_of(destination: str) -> Path:
    if destination == "-":
        raise CommandError(
            "a dataset does not go to standard output: name a file or folder; archives do, with: "
            "ipldstore export"
        )
    path = local_path(destination)
    if path == Path(destination) and is_url(destination):
        raise CommandError(
            f"{show_url(destination)!r} is a URL: name a file or folder on this machine; "
            "ipldstore.copy in Python writes Zarr to other places"
        )
    return path


def _measure_arrays(blocks: ContentAddressableStore, root: Link, content: Content) -> Content:
    """Return what a NetCDF file holds: all of each array, whether it is stored or not."""
    from ipldstore.model.sizes import measure_arrays

    top = decode_directory(root, blocks.get_block(root), root=True)
    chunks, size = measure_arrays(top, blocks.get_block)
    return content._replace(files=chunks, bytes=size)


def _write_netcdf(blocks: ContentAddressableStore, root: Link, path: Path) -> None:
    from ipldstore.cli.tools.netcdf import write_netcdf
    from ipldstore.faces import IPLDStore

    write_netcdf(IPLDStore(blocks, root=root, read_only=True), path)
