"""URLs of IPFS nodes: ``ipfs:``, ``ipfs:/ip4/...`` and ``ipfs+http://HOST:PORT``."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.basics.urls import show_url
from ipldstore.errors import BlockStoreURLError


def _read_node(scheme: str, rest: str) -> tuple[str | None]:
    _, plus, protocol = scheme.partition("+")
    if protocol in ("http", "https") and rest.startswith("//"):
        return (f"{protocol}:{rest}",)
    if plus or rest.startswith("//"):
        raise BlockStoreURLError(
            f"{show_url(f'{scheme}:{rest}')!r} names no IPFS node: expected ipfs:, ipfs:/ip4/... "
            "or ipfs+http://HOST:PORT (ipfs://CID names a hierarchy, not where its blocks are)"
        )
    return (rest or None,)


KINDS = {"ipfs": Kind(_read_node, "ipldstore.backends.ipfs.store:IPFSStore", takes_passwords=True)}
