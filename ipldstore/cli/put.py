"""``ipldstore put``: a NetCDF file or a Zarr folder becomes blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ipldstore.cid import as_link, to_text
from ipldstore.cli.blocks import measure_local, open_blocks, place_text
from ipldstore.cli.interruption import KEPT, interruptible
from ipldstore.cli.output import say
from ipldstore.cli.progress import progress
from ipldstore.cli.reporting import CommandError
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.urls import show_url
from ipldstore.views.words import size_text

DEMO_PREFIX = "demo:"


def put_source(source: str, blocks: str) -> dict[str, Any]:
    """Write a dataset as blocks and return what was done.

    Parameters
    ----------
    source
        A NetCDF file, a Zarr folder, or ``demo:NAME``.
    blocks
        Where the blocks go, as in `open_blocks`; a folder is made if there is none.
    """
    path = _path_of(source)
    with interruptible(KEPT):
        if not path.is_dir():
            return {"source": source, **_put_netcdf(path, blocks)}
        _check_zarr(path)
        with open_blocks(blocks, make=True) as backend:
            return {"source": source, **_put_folder(path, backend)}


def _path_of(source: str) -> Path:
    if source == "-":
        raise CommandError(
            "a dataset does not come through standard input: name a NetCDF file or a Zarr "
            "folder; archives do, with: ipldstore import -"
        )
    if "://" in source:
        raise CommandError(
            f"{show_url(source)!r} is a URL: name a NetCDF file or a Zarr folder on this machine"
        )
    if source.startswith(DEMO_PREFIX):
        return demo_file(source.removeprefix(DEMO_PREFIX))
    return Path(source)


def demo_file(name: str) -> Path:
    """Return the path of a NetCDF file of iris-sample-data by its name without ``.nc``.

    Raises
    ------
    CommandError
        If the extra ``demo`` is not installed.
    FileNotFoundError
        If there is no such file.
    """
    try:
        import iris_sample_data
    except ImportError:
        raise CommandError("no demo data: pip install 'ipldstore[demo]'") from None
    folder = Path(iris_sample_data.path)
    files = {path.stem: path for path in sorted(folder.glob("**/*.nc"))}
    if name not in files:
        raise FileNotFoundError(f"no demo data {name!r}, there is: {', '.join(files)}")
    return files[name]


def _check_zarr(folder: Path) -> None:
    if not any((folder / name).is_file() for name in METADATA_NAMES):
        raise CommandError(f"{str(folder)!r} is no Zarr store: it holds no Zarr metadata")


def _put_folder(folder: Path, backend: ContentAddressableStore) -> dict[str, Any]:
    """Write every file of a Zarr folder as the value of its key.

    Raises
    ------
    InvalidKeyError
        If a file's path is no key.
    """
    total = sum(os.stat(path).st_size for _, path in iter_files(folder))
    mapping = HierarchyMapping(backend)
    with progress("putting", total) as advance:
        for key, path in iter_files(folder):
            data = Path(path).read_bytes()
            mapping[key] = data
            advance(len(data))
    return _freeze(mapping, folder, total)


def _put_netcdf(path: Path, blocks: str) -> dict[str, Any]:
    """Write all groups of a NetCDF file with xarray."""
    from ipldstore.cli.netcdf import (
        count_chunks,
        explained,
        open_netcdf,
        watched_store,
        write_zarr,
    )

    with open_netcdf(path) as groups, open_blocks(blocks, make=True) as backend:
        with progress("putting", count_chunks(groups), unit="chunks") as advance:
            store = watched_store(backend, lambda: advance(1))
            with explained(f"{str(path)!r} cannot be written as Zarr"):
                write_zarr(groups, store)
        return _freeze(store, path, path.stat().st_size)


def _freeze(mapping: HierarchyMapping, source: Path, size: int) -> dict[str, Any]:
    root = as_link(mapping.freeze())
    extent = measure_local(mapping.backend, root)
    name = source.name or str(source)
    say(f"put {size_text(size)} of {name!r} into {place_text(mapping.backend, extent)}")
    blocks, stored = (None, None) if extent is None else extent
    return {"root": to_text(root), "source_bytes": size, "blocks": blocks, "bytes": stored}


def iter_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Iterate the files below a folder, links followed: their keys and their paths."""
    stack = [("", os.fspath(folder))]
    while stack:
        prefix, place = stack.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir():
                    stack.append((f"{prefix}{entry.name}/", entry.path))
                elif entry.is_file() or not os.path.exists(entry.path):
                    yield prefix + entry.name, entry.path
                else:
                    raise CommandError(f"{entry.path!r} is neither a file nor a folder")
