"""Datasets in and out: `put`, `get`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.options import BLOCKS, Blocks, Json, MaxBytes, MaxFiles, Root


def put(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A NetCDF file, a Zarr folder, or demo:NAME for a file of iris-sample-data, "
            "such as demo:A1B_north_america.",
        ),
    ],
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write a dataset as blocks and print its root CID."""
    from ipldstore.cli.output import show
    from ipldstore.cli.put import put_source

    done = put_source(source, blocks)
    show(done, done["root"])


def get(
    root: Root,
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="DEST",
            help="What to make: a NetCDF file if the name ends in .nc, else a Zarr folder.",
        ),
    ],
    max_files: MaxFiles = None,
    max_bytes: MaxBytes = None,
    blocks: Blocks = BLOCKS,
    json: Json = False,
) -> None:
    """Write a hierarchy to a NetCDF file or a Zarr folder."""
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
