"""``ipldstore get``: a hierarchy becomes files again."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    AllowPadding,
    Json,
    MaxBytes,
    MaxFiles,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import show


def get(
    what: Root,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DEST",
            help="What to make: a NetCDF file if the name ends in .nc, .nc4, .h5 or .hdf5, a zip "
            "file of Zarr if in .zip, else a Zarr folder.",
        ),
    ],
    max_files: MaxFiles = None,
    max_bytes: MaxBytes = None,
    allow_padding: AllowPadding = False,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Write a hierarchy to a NetCDF file, a Zarr folder or a zip file of one."""
    from ipldstore.cli.work.get import get_hierarchy

    show(get_hierarchy(what, destination, where, max_files=max_files, max_bytes=max_bytes))
