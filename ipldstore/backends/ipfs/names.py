"""IPNS and DNSLink names through a node, and telling the network what the node has."""

from __future__ import annotations

from typing import NamedTuple

from ipldstore.backends.ipfs.rpc import KuboRPC, expect
from ipldstore.basics.urls import show_url
from ipldstore.cid import CIDLike, Link, as_link, parse_text, to_text
from ipldstore.errors import BackendError, InvalidCIDError

OWN_KEY = "self"
"""The key that every node has, whose name is the node's own identifier."""

_PREFIXES = ("ipns://", "/ipns/")


class Announced(NamedTuple):
    """Whether the network was told that a node has a root, and what the node says if not."""

    done: bool
    reason: str | None


def is_name(text: object) -> bool:
    """Whether something is a name, such as ``ipns://k51...`` or ``/ipns/example.org``."""
    return isinstance(text, str) and text.startswith(_PREFIXES)


def publish_name(rpc: KuboRPC, root: CIDLike, key: str = OWN_KEY) -> str:
    """Point an IPNS name at a root.

    The name, such as ``k51...``, is that of the key, which is made if the node has none of this
    name. The node renews the record while it runs, and one that is offline publishes it once it is
    not. Raises `BackendError` if the node refuses or fails.
    """
    path = f"/ipfs/{to_text(as_link(root))}"
    if key not in list_keys(rpc):
        rpc.call("key/gen", key)
    answer = rpc.call_json("name/publish", path, key=key, allow_offline=True)
    return expect(answer, "Name", str)


def list_keys(rpc: KuboRPC) -> dict[str, str]:
    """Return the node's keys and the IPNS names that belong to them."""
    keys = expect(rpc.call_json("key/list"), "Keys", list)
    return {
        expect(key, "Name", str): expect(key, "Id", str) for key in keys if isinstance(key, dict)
    }


def resolve_name(rpc: KuboRPC, name: str) -> Link:
    """Return the root that an IPNS or DNSLink name points at now; the node is trusted with that."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    bare = name.removeprefix(prefix or "").removesuffix("/")
    if prefix is None or not bare or "/" in bare:
        raise InvalidCIDError(
            f"expected a name such as ipns://k51... without a path, not {show_url(name)!r}"
        )
    path = str(rpc.call_json("name/resolve", f"/ipns/{bare}").get("Path"))
    try:
        return parse_text(path.removeprefix("/ipfs/").removesuffix("/"))
    except InvalidCIDError:
        raise BackendError(
            f"IPFS node {rpc.url}: {show_url(name)!r} points at {path[:200]!r}, expected /ipfs/CID"
        ) from None


def announce(rpc: KuboRPC, root: CIDLike) -> Announced:
    """Tell the network now that the node has a root, or say why that was not possible."""
    try:
        rpc.call("routing/provide", to_text(as_link(root)))
    except BackendError as error:
        return Announced(False, str(error))
    return Announced(True, None)
