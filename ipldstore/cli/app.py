"""The commands and their options. What they do is imported when they are called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ipldstore.cli.reporting import reported
from ipldstore.version import __version__

_EPILOG = (
    "Exit codes: 0 done, 2 usage or malformed CID, 3 block or file not found, 4 corrupt or "
    "malformed data, 5 blocks cannot be reached or used, 130 interrupted, 1 anything else."
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich triples the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STORES = (
    "a folder, FILE.car, sqlite:FILE, s3://, gs:// or az:// with a bucket, ipfs: for the local "
    "node, ipfs+http://HOST:PORT for another, gateway: or gateway+https://HOST to read through "
    "gateways"
)

Blocks = Annotated[
    str,
    typer.Option(
        "--blocks",
        metavar="STORE",
        envvar="IPLDSTORE_BLOCKS",
        help=f"Where the blocks are: {_STORES}.",
    ),
]
Root = Annotated[
    str,
    typer.Argument(metavar="CID", help="The root of a hierarchy; from a node also ipns://NAME."),
]
Node = Annotated[
    str | None,
    typer.Option(
        "--node",
        metavar="ADDRESS",
        help="URL or multiaddr of an IPFS node's RPC API; the local node by default.",
    ),
]
PinName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the pin.")]
Service = Annotated[
    str | None,
    typer.Option(
        "--service", metavar="SERVICE", help="A pinning service that the node knows by this name."
    ),
]

BLOCKS = "blocks"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ipldstore {__version__}")
        raise typer.Exit


pins = typer.Typer(no_args_is_help=True, help="Say what an IPFS node keeps.")
nodes = typer.Typer(no_args_is_help=True, help="Set an IPFS node up.")
app.add_typer(pins, name="pin")
app.add_typer(nodes, name="node")


@app.callback(epilog=_EPILOG)
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Keep Zarr hierarchies in content-addressed blocks, each under one root CID."""


@app.command()
@reported
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
) -> None:
    """Write a dataset as blocks and print its root CID."""
    from ipldstore.cli.put import put_source

    print(put_source(source, blocks))


@app.command()
@reported
def get(
    cid: Root,
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="DEST",
            help="What to make: a NetCDF file if the name ends in .nc, else a Zarr folder.",
        ),
    ],
    blocks: Blocks = BLOCKS,
) -> None:
    """Write a hierarchy to a NetCDF file or a Zarr folder."""
    from ipldstore.cli.get import get_hierarchy

    get_hierarchy(cid, destination, blocks)


@app.command("ls")
@reported
def list_(
    path: Annotated[
        str, typer.Argument(metavar="CID[/PATH]", help="A root, or a place in its hierarchy.")
    ],
    long: Annotated[
        bool, typer.Option("--long", "-l", help="Show sizes of directories, and CIDs.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="List all below.")] = False,
    blocks: Blocks = BLOCKS,
) -> None:
    """List a hierarchy: kind, size in bytes and name."""
    from ipldstore.cli.listing import iter_lines

    for line in iter_lines(path, blocks, long=long, recursive=recursive):
        print(line)


@app.command("export")
@reported
def export_(
    cid: Root,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="What to make; - for standard output.")
    ] = "-",
    blocks: Blocks = BLOCKS,
) -> None:
    """Write a hierarchy as a CAR archive."""
    from ipldstore.cli.archive import export_archive

    if file == "-" and sys.stdout.isatty():
        raise typer.BadParameter("an archive does not go to a terminal: name a FILE, or pipe it")
    export_archive(cid, file, blocks)


@app.command("import")
@reported
def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The archive; - for standard input.")
    ] = "-",
    blocks: Blocks = BLOCKS,
) -> None:
    """Read a CAR archive and print its root CID."""
    from ipldstore.cli.archive import import_archive

    if file == "-" and sys.stdin.isatty():
        raise typer.BadParameter(
            "an archive does not come from a terminal: name a FILE, or pipe it"
        )
    print(import_archive(file, blocks))


@app.command()
@reported
def demo(
    blocks: Annotated[
        str | None,
        typer.Option(
            "--blocks", metavar="STORE", help="Keep the blocks here; else in a temporary folder."
        ),
    ] = None,
) -> None:
    """Show the whole story on real data."""
    from ipldstore.cli.demo import iter_story

    for line in iter_story(blocks):
        print(line, flush=True)


@app.command("publish")
@reported
def publish_(
    cid: Root,
    name: PinName = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="Point the IPNS name of this key at the root, made if there is none; self is the "
            "node's own.",
        ),
    ] = None,
    replace: Annotated[
        str | None,
        typer.Option("--replace", metavar="CID", help="A root whose pin this one takes over."),
    ] = None,
    announce: Annotated[
        bool, typer.Option("--announce/--no-announce", help="Tell the network at once.")
    ] = True,
    files: Annotated[
        bool,
        typer.Option("--files", help="Publish it as plain files instead, see unixfs."),
    ] = False,
    node: Node = None,
    blocks: Blocks = BLOCKS,
) -> None:
    """Have an IPFS node keep and offer a hierarchy."""
    from ipldstore.cli.publish import publish_root

    root = publish_root(
        cid, blocks, node, name=name, key=key, replace=replace, announce=announce, files=files
    )
    print(root)


@app.command()
@reported
def unixfs(
    cid: Root,
    read: Annotated[
        bool,
        typer.Option("--read", help="The other way: CID is a directory of plain files."),
    ] = False,
    blocks: Blocks = BLOCKS,
) -> None:
    """Keep a hierarchy also as plain files, which any IPFS program reads; print their CID."""
    from ipldstore.cli.unixfs import read_files, write_files

    print(read_files(cid, blocks) if read else write_files(cid, blocks))


@pins.command("add")
@reported
def pin_add(cid: Root, name: PinName = None, node: Node = None, service: Service = None) -> None:
    """Keep all blocks under a root, fetching those that are missing."""
    from ipldstore.cli.pin import add_pin

    add_pin(cid, name, node, service)


@pins.command("ls")
@reported
def pin_ls(name: PinName = None, node: Node = None, service: Service = None) -> None:
    """List the pins: CID, at a service its status, and name."""
    from ipldstore.cli.pin import iter_pins

    for line in iter_pins(name, node, service):
        print(line)


@pins.command("rm")
@reported
def pin_rm(cid: Root, node: Node = None, service: Service = None) -> None:
    """Keep the blocks under a root no longer; they go when the node collects garbage."""
    from ipldstore.cli.pin import remove_pin

    remove_pin(cid, node, service)


@pins.command("update")
@reported
def pin_update(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The root that is pinned.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The root to pin in its place.")],
    name: PinName = None,
    node: Node = None,
) -> None:
    """Keep a new root in the place of an old one."""
    from ipldstore.cli.pin import update_pin

    update_pin(old, new, name, node)


@nodes.command("attach")
@reported
def node_attach(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The folder that `ipfs init` made.")
    ],
    blocks: Annotated[
        Path,
        typer.Option(
            "--blocks", metavar="DIR", envvar="IPLDSTORE_BLOCKS", help="The folder of blocks."
        ),
    ] = Path(BLOCKS),
) -> None:
    """Have a stopped node keep its blocks in a folder of blocks, so that it serves them."""
    from ipldstore.cli.repository import attach_node

    attach_node(repository, blocks)
