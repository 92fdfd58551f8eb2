"""URLs of gateways: ``gateway:`` and ``gateway+https://HOST``."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.basics.urls import show_url
from ipldstore.errors import BlockStoreURLError


def _read_gateways(scheme: str, rest: str) -> tuple[list[str]] | tuple[()]:
    _, plus, protocol = scheme.partition("+")
    if protocol in ("http", "https") and rest.startswith("//"):
        return (f"{protocol}:{rest}".split(","),)
    if plus or rest:
        raise BlockStoreURLError(
            f"{show_url(f'{scheme}:{rest}')!r} names no gateway: expected gateway: or gateway+https://HOST"
        )
    return ()


KINDS = {
    "gateway": Kind(
        _read_gateways, "ipldstore.backends.gateway.store:GatewayCAStore", takes_passwords=True
    )
}
