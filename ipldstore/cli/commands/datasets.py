"""Datasets in and out: `put`, `get`, `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.options import BLOCKS, AllowPadding, Blocks, Json, MaxBytes, MaxFiles, Root


def put(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="NetCDF or HDF5, a Zarr folder or zip, .npy, .npz or TIFF; a path, or a URL with "
            "file://, https:// or s3://; or demo:NAME for a file of iris-sample-data, such as "
            "demo:A1B_north_america. Of several, each becomes a group of its name.",
        ),
    ],
    concat: Annotated[
        str | None,
        typer.Option(
            "--concat",
            metavar="DIM",
            help="Join all sources along this dimension instead, in the order given.",
        ),
    ] = None,
    into: Annotated[
        str, typer.Option("--into", metavar="GROUP", help="Put it below this group.")
    ] = "",
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write datasets as blocks and print their root CID."""
    from ipldstore.cli.output import show
    from ipldstore.cli.put import put_sources

    done = put_sources(sources, blocks, concat=concat, into=into)
    show(done, done["root"])


def get(
    root: Root,
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
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write a hierarchy to a NetCDF file, a Zarr folder or a zip file of one."""
    from ipldstore.cli.get import get_hierarchy
    from ipldstore.cli.output import show

    show(get_hierarchy(root, destination, blocks, max_files=max_files, max_bytes=max_bytes))


def demo(
    blocks: Annotated[
        str | None,
        typer.Option(
            "--blocks", metavar="STORE", help="Keep the blocks here; else in a temporary folder."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the whole story on real data."""
    from ipldstore.cli.demo import iter_story
    from ipldstore.cli.output import is_json, show

    facts = {}
    for line, known in iter_story(blocks):
        facts.update(known)
        if not is_json():
            show({}, line)
    if is_json():
        show(facts)
