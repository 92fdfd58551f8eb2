"""``ipldstore pin``: what a node, or a pinning service that it knows, keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipldstore.basics.words import printable
from ipldstore.cli.frame.options import Json, Node, NodeRoot, PinName, Service
from ipldstore.cli.frame.output import say, show, show_each

if TYPE_CHECKING:
    from ipldstore.backends.ipfs.store import IPFSStore


def add(
    what: NodeRoot,
    name: PinName = None,
    node: Node = None,
    service: Service = None,
    json: Json = False,
) -> None:
    """Keep all blocks under a root, fetching those that are missing."""
    with _opened(node) as blocks:
        cid = _resolved(blocks, what)
        if service is None:
            blocks.pins.add(cid, name)
            status = "pinned"
            say(f"pinned {cid}")
        else:
            status = blocks.pins.remote(service).add(cid, name, background=True).status
            say(f"{status} by {service!r}: {cid}")
    show(_facts(cid, name, status))


def ls(
    name: PinName = None, node: Node = None, service: Service = None, json: Json = False
) -> None:
    """List the pins: CID, at a service its status, and name."""
    with _opened(node) as blocks:
        show_each(_iter_pins(blocks, name, service))


def rm(what: NodeRoot, node: Node = None, service: Service = None, json: Json = False) -> None:
    """Keep the blocks under a root no longer; they go when the node collects garbage."""
    with _opened(node) as blocks:
        cid = _resolved(blocks, what)
        pins = blocks.pins if service is None else blocks.pins.remote(service)
        pins.remove(cid)
    say(f"no longer pinned: {cid}")
    show({"cid": cid})


def update(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The root that is pinned.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The root to pin in its place.")],
    name: PinName = None,
    node: Node = None,
    json: Json = False,
) -> None:
    """Keep a new root in the place of an old one."""
    with _opened(node) as blocks:
        before, after = _resolved(blocks, old), _resolved(blocks, new)
        blocks.pins.update(before, after, name)
    say(f"pinned {after} in the place of {before}")
    show({"old": before, "new": after, "name": name})


def _opened(node: str | None) -> IPFSStore:
    from ipldstore.cli.tools.blocks import open_node

    return open_node(node)


def _resolved(blocks: IPFSStore, what: str) -> str:
    from ipldstore.cid import to_text
    from ipldstore.cli.tools.roots import name_root

    return to_text(blocks.resolve(name_root(what)))


def _iter_pins(
    blocks: IPFSStore, name: str | None, service: str | None
) -> Iterator[tuple[dict[str, Any], str]]:
    from ipldstore.cid import to_text

    if service is None:
        for pin in blocks.pins.list(name):
            cid = to_text(pin.cid)
            yield _facts(cid, pin.name, "pinned"), _line(cid, pin.name)
    else:
        for remote in blocks.pins.remote(service).list(name):
            cid = to_text(remote.cid)
            facts = _facts(cid, remote.name, remote.status)
            yield facts, _line(f"{cid} {remote.status:7}", remote.name)


def _facts(cid: str, name: str | None, status: str) -> dict[str, str | None]:
    return {"cid": cid, "name": name, "status": status}


def _line(start: str, name: str | None) -> str:
    return f"{start} {printable(name or '-')}"
