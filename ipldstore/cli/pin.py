"""``ipldstore pin``: what a node, or a pinning service that it knows, keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipldstore.cid import to_text
from ipldstore.cli.blocks import open_node
from ipldstore.cli.output import say
from ipldstore.cli.roots import name_root
from ipldstore.words import printable


def add_pin(
    what: str, name: str | None, node: str | None, service: str | None
) -> dict[str, str | None]:
    """Pin a root on a node, or have a service pin it in its own time, and return the pin."""
    with open_node(node) as store:
        root = store.resolve(name_root(what))
        if service is None:
            store.pins.add(root, name)
            status = "pinned"
            say(f"pinned {to_text(root)}")
        else:
            pin = store.pins.remote(service).add(root, name, background=True)
            status = pin.status
            say(f"{status} by {service!r}: {to_text(root)}")
    return _facts(to_text(root), name, status)


def iter_pins(
    name: str | None, node: str | None, service: str | None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate the pins of a node or at a service, and the lines that show them."""
    with open_node(node) as store:
        if service is None:
            for pin in store.pins.list(name):
                text = to_text(pin.cid)
                yield _facts(text, pin.name, "pinned"), _line(text, pin.name)
        else:
            for remote in store.pins.remote(service).list(name):
                text = to_text(remote.cid)
                facts = _facts(text, remote.name, remote.status)
                yield facts, _line(f"{text} {remote.status:7}", remote.name)


def _facts(cid: str, name: str | None, status: str) -> dict[str, str | None]:
    return {"cid": cid, "name": name, "status": status}


def _line(start: str, name: str | None) -> str:
    return f"{start} {printable(name or '-')}"


def remove_pin(what: str, node: str | None, service: str | None) -> dict[str, str]:
    """Unpin a root on a node or at a service, and return it."""
    with open_node(node) as store:
        root = store.resolve(name_root(what))
        pins = store.pins if service is None else store.pins.remote(service)
        pins.remove(root)
    say(f"no longer pinned: {to_text(root)}")
    return {"cid": to_text(root)}


def update_pin(old: str, new: str, name: str | None, node: str | None) -> dict[str, str | None]:
    """Pin a root on a node in the place of another, and return both."""
    with open_node(node) as store:
        before, after = store.resolve(name_root(old)), store.resolve(name_root(new))
        store.pins.update(before, after, name)
    say(f"pinned {to_text(after)} in the place of {to_text(before)}")
    return {"old": to_text(before), "new": to_text(after), "name": name}
