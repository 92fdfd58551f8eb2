"""``ipldstore put``: datasets become blocks."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    Author,
    Json,
    Metadata,
    OptionalMessage,
    RepositoryName,
    Where,
)
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
    branch: Annotated[
        str | None,
        typer.Option(
            "--branch",
            metavar="NAME",
            help="Commit the root to this branch, in place of what it has, and print the commit.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="ID",
            help="With --branch, go on with a session of the same sources that was interrupted.",
        ),
    ] = None,
    message: OptionalMessage = None,
    author: Author = None,
    metadata: Metadata = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Write datasets as blocks and print their root CID."""
    from ipldstore.cli.tools.repositories import read_metadata
    from ipldstore.cli.work.put import Onto, put_sources

    onto = None
    if branch is not None:
        onto = Onto(repository, branch, message, author, read_metadata(metadata), resume)
    elif message is not None or author is not None or metadata:
        raise typer.BadParameter("--message, --author and --metadata go with --branch")
    elif resume is not None:
        raise typer.BadParameter("--resume goes with --branch")
    done = put_sources(sources, where, concat=concat, into=into, onto=onto)
    show(done, *filter(None, (done["root"], done["commit"])))
