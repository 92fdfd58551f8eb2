"""URLs of buckets: ``s3://``, ``gs://`` and ``az://``.

The class takes the URL as it stands and then options, as the entry points of other packages do: one
named ``s3``, in the group ``ipldstore.block_stores``, would have the same text for it.
"""

from __future__ import annotations

import re

from ipldstore.backends.kinds import Kind
from ipldstore.basics.urls import show_url
from ipldstore.errors import BlockStoreURLError

SCHEMES = ("s3", "gs", "az")

_PARAMETERS = {"?": "parameters (after '?')", "#": "a fragment (after '#')"}


def _read_bucket(scheme: str, rest: str) -> tuple[str]:
    if rest.startswith("//") and rest.strip("/") and (found := re.search("[?#]", rest)):
        raise BlockStoreURLError(
            f"{show_url(f'{scheme}:{rest}')!r} came with {_PARAMETERS[found[0]]}, which do not "
            f"belong into it: expected {scheme}://NAME/PREFIX; credentials are taken from where "
            "the store's own tools keep them, or given as options"
        )
    if not rest.startswith("//") or not rest.strip("/") or "@" in rest:
        raise BlockStoreURLError(
            f"{show_url(f'{scheme}:{rest}')!r} names no bucket: expected {scheme}://NAME/PREFIX, "
            "without a user"
        )
    return (f"{scheme}:{rest}",)


KINDS = dict.fromkeys(
    SCHEMES,
    Kind(
        _read_bucket,
        "ipldstore.backends.objects.store:ObjectCAStore",
        is_marked=True,
        extra="objects",
    ),
)
