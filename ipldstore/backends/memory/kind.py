"""URLs of the memory of this process: ``memory:``."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.basics.urls import show_url
from ipldstore.errors import BlockStoreURLError


def _read_nothing(scheme: str, rest: str) -> tuple[()]:
    if rest.strip("/"):
        raise BlockStoreURLError(
            f"expected '{scheme}:' and nothing after it, not {show_url(scheme + ':' + rest)!r}"
        )
    return ()


KINDS = {"memory": Kind(_read_nothing, "ipldstore.backends.memory.store:MappingCAStore")}
