"""``ipldstore put``: datasets become blocks."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, Json, Where
from ipldstore.cli.frame.output import show


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
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Write datasets as blocks and print their root CID."""
    from ipldstore.cli.work.put import put_sources

    done = put_sources(sources, where, concat=concat, into=into)
    show(done, done["root"])
