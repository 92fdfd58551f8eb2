"""The commands by their names, with an example each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from ipldstore.cli.commands import (
    carry,
    cat,
    check_compression,
    commit,
    copy,
    demo,
    diff,
    expire,
    export,
    get,
    import_,
    info,
    init,
    log,
    ls,
    merge,
    node,
    operations,
    pin,
    publish,
    put,
    refs,
    reset,
    roots,
    sessions,
    show,
    tree,
    undo,
    unixfs,
    verify,
)
from ipldstore.cli.frame.completion import PROGRAM, Shell, script_for
from ipldstore.cli.frame.reporting import reported
from ipldstore.version import __version__

_EPILOG = (
    "Exit codes: 0 done, 2 usage or malformed CID, 3 block, file or revision not found, 4 "
    "corrupt or malformed data, 5 blocks cannot be reached or used, 130 interrupted, 141 the "
    "reader of the output went away, 1 anything else."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _print_completion(shell: Shell | None) -> None:
    if shell is not None:
        print(script_for(shell))
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    show_completion: Annotated[
        Shell | None,
        typer.Option(
            "--show-completion",
            metavar="[bash|zsh|fish]",
            callback=_print_completion,
            is_eager=True,
            help="Show what makes a shell complete commands and options, and exit.",
        ),
    ] = None,
) -> None:
    """Keep Zarr hierarchies in content-addressed blocks, each under one root CID."""


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich triples the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(epilog=_EPILOG)(_options)
pins = typer.Typer(no_args_is_help=True, help="Say what an IPFS node keeps.")
nodes = typer.Typer(no_args_is_help=True, help="Set an IPFS node up.")


def _add(to: typer.Typer, name: str, command: Callable[..., None], example: str) -> None:
    to.command(name, epilog=f"Example: {PROGRAM} {example}")(reported(command))


_add(app, "put", put.put, "put data.nc --blocks store")
_add(app, "get", get.get, "get bafyrei.../group back.nc --blocks store")
_add(app, "ls", ls.ls, "ls -lR data.car/group")
_add(app, "tree", tree.tree, "tree bafyrei... --depth 2")
_add(app, "info", info.info, "info bafyrei... --json")
_add(app, "cat", cat.cat, "cat bafyrei.../air/.zarray")
_add(app, "diff", diff.diff, "diff bafyrei... new.car --stat")
_add(app, "verify", verify.verify, "verify bafyrei... --repair-from ipfs:")
_add(app, "copy", copy.copy, "copy bafyrei... s3://bucket/prefix")
_add(app, "export", export.export, f"export bafyrei... | ssh host {PROGRAM} import")
_add(app, "import", import_.import_, "import data.car --blocks store")
_add(app, "init", init.init, "init store --default main")
_add(app, "commit", commit.commit, "commit bafyrei... --branch main -m 'first year'")
_add(app, "log", log.log, "log main~2 -n 20")
_add(app, "show", show.show, "show main@2026-01-05")
_add(app, "branch", refs.branch, "branch trial main~2")
_add(app, "tag", refs.tag, "tag v1 main")
_add(app, "merge", merge.merge, "merge trial --into main --theirs")
_add(app, "push", carry.push, "push s3://bucket/prefix main")
_add(app, "pull", carry.pull, "pull /mnt/share/store main --to theirs")
_add(app, "clone", carry.clone, "clone s3://bucket/prefix --blocks backup.car")
_add(app, "reset", reset.reset, "reset main main~1")
_add(app, "undo", undo.undo, "undo main")
_add(app, "expire", expire.expire, "expire --keep-last 30 --older-than 90d")
_add(app, "operations", operations.operations, "operations --json")
_add(app, "sessions", sessions.sessions, "sessions --blocks store")
_add(app, "abandon", sessions.abandon, "abandon 1f6d... --blocks store")
_add(app, "roots", roots.roots, "roots --blocks store")
_add(app, "publish", publish.publish, "publish bafyrei... --name 'my dataset'")
app.add_typer(pins, name="pin")
_add(pins, "add", pin.add, "pin add bafyrei... --name 'my dataset'")
_add(pins, "ls", pin.ls, "pin ls --json")
_add(pins, "rm", pin.rm, "pin rm bafyrei...")
_add(pins, "update", pin.update, "pin update bafyrei... bafyrei...")
_add(app, "unixfs", unixfs.unixfs, "unixfs bafyrei...")
app.add_typer(nodes, name="node")
_add(nodes, "attach", node.attach, "node attach ~/.ipfs --blocks store")
_add(app, "check-compression", check_compression.check_compression, "check-compression bafyrei...")
_add(app, "demo", demo.demo, "demo")
