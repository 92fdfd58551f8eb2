"""``ipldstore pin``: what a node, or a pinning service that it knows, keeps."""

from __future__ import annotations

from collections.abc import Iterator

from ipldstore.cid import to_text
from ipldstore.cli.blocks import open_node
from ipldstore.cli.reporting import printable, say


def add_pin(cid: str, name: str | None, node: str | None, service: str | None) -> None:
    """Pin a root on a node, or have a service pin it in its own time."""
    with open_node(node) as store:
        root = store.resolve(cid)
        if service is None:
            store.pins.add(root, name)
            say(f"pinned {to_text(root)}")
        else:
            pin = store.pins.remote(service).add(root, name, background=True)
            say(f"{pin.status} by {service!r}: {to_text(root)}")


def iter_pins(name: str | None, node: str | None, service: str | None) -> Iterator[str]:
    """Iterate the lines of a listing: CID, for a service the status, and name."""
    with open_node(node) as store:
        if service is None:
            for pin in store.pins.list(name):
                yield _line(to_text(pin.cid), pin.name)
        else:
            for remote in store.pins.remote(service).list(name):
                yield _line(f"{to_text(remote.cid)} {remote.status:7}", remote.name)


def _line(start: str, name: str | None) -> str:
    return f"{start} {printable(name or '-')}"


def remove_pin(cid: str, node: str | None, service: str | None) -> None:
    """Unpin a root on a node or at a service."""
    with open_node(node) as store:
        root = store.resolve(cid)
        pins = store.pins if service is None else store.pins.remote(service)
        pins.remove(root)
    say(f"no longer pinned: {to_text(root)}")


def update_pin(old: str, new: str, name: str | None, node: str | None) -> None:
    """Pin a root on a node in the place of another."""
    with open_node(node) as store:
        before, after = store.resolve(old), store.resolve(new)
        store.pins.update(before, after, name)
    say(f"pinned {to_text(after)} in the place of {to_text(before)}")
