"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.limits import MAX_EXPANSION, MAX_WRITTEN_BYTES, MAX_WRITTEN_FILES

_STORES = (
    "a folder, FILE.car, sqlite:FILE, s3://, gs:// or az:// with a bucket, ipfs: for the local "
    "node, ipfs+http://HOST:PORT for another, gateway: or gateway+https://HOST to read through "
    "gateways"
)
BLOCKS = "blocks"
STANDARD_STREAM = "-"

Where = Annotated[
    str,
    typer.Option(
        "--blocks",
        metavar="STORE",
        envvar="IPLDSTORE_BLOCKS",
        help=f"Where the blocks are: {_STORES}.",
    ),
]
ROOT = "ROOT"
_ROOTS = (
    "CID, CID/PATH or ipfs://CID for blocks in --blocks, or a revision of the repository there, "
    "such as main~2; ipns://NAME if that is a node; or a CAR file, FILE.car or FILE.car/PATH, "
    "which holds its own blocks."
)
Root = Annotated[
    str, typer.Argument(metavar=ROOT, show_default=False, help=f"The hierarchy: {_ROOTS}")
]
RootOrAll = Annotated[
    str | None,
    typer.Argument(
        metavar=ROOT,
        show_default=False,
        help=f"The hierarchy: {_ROOTS} Without, all versions of the repository in --blocks.",
    ),
]
Store = Annotated[
    str, typer.Argument(metavar="STORE", show_default=False, help=f"Where to: {_STORES}.")
]
NodeRoot = Annotated[
    str,
    typer.Argument(
        metavar=ROOT,
        show_default=False,
        help="CID, ipfs://CID or ipns://NAME; or a CAR file, whose root is meant.",
    ),
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

MaxFiles = Annotated[
    int | None,
    typer.Option(
        "--max-files",
        metavar="N",
        min=1,
        help=f"How many files to write at most; else {MAX_WRITTEN_FILES:,}. More are written where "
        f"the blocks hold a {MAX_EXPANSION}th of them: a few blocks can stand for any number.",
        show_default=False,
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        "--max-bytes",
        metavar="N",
        min=1,
        help=f"How many bytes to write at most; else {MAX_WRITTEN_BYTES >> 30} GiB, or "
        f"{MAX_EXPANSION} times what the blocks hold.",
        show_default=False,
    ),
]


AllowPadding = Annotated[
    bool,
    typer.Option(
        "--allow-padding",
        help="Read a CAR archive also if it is padded with zeros after its last section.",
    ),
]


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Write JSON for scripts instead of text for people.",
    ),
]

REPOSITORY = "default"
RepositoryName = Annotated[
    str,
    typer.Option("--repository", metavar="NAME", help="Which of the repositories in there."),
]
Revision = Annotated[
    str | None,
    typer.Argument(
        metavar="REVISION",
        show_default=False,
        help="A branch, a tag, or the CID of a commit or its first 11 characters or more; main~2 "
        "is two back, main^2 the second parent, main@2026-01-05 the last until that day.",
    ),
]
Branch = Annotated[
    str | None,
    typer.Option(
        "--branch", metavar="NAME", help="The branch to commit to; else the default branch."
    ),
]
_MESSAGE = typer.Option("--message", "-m", metavar="TEXT", help="What changed, and why.")
Message = Annotated[str, _MESSAGE]
OptionalMessage = Annotated[str | None, _MESSAGE]
Author = Annotated[
    str | None,
    typer.Option("--author", metavar="NAME", help="Who did it; else what IPLDSTORE_AUTHOR says."),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="KEY=VALUE",
        help="More to say of it, as text; may be given several times.",
        show_default=False,
    ),
]
