"""Where blocks are in a folder or a bucket: in the layout of Kubo's flatfs datastore."""

from __future__ import annotations

import base64
import os

from ipldstore.cid import Link, encode_base32, multihash_of, parse_link
from ipldstore.errors import InvalidCIDError

SHARDING = b"/repo/flatfs/shard/v1/next-to-last/2\n"
"""What the file says that tells such a folder."""


def path_of(cid: Link, separator: str = "/") -> str:
    """Return the path of a block's file: that of its shard, a separator and the file's name."""
    key = encode_base32(multihash_of(cid)).upper()
    return f"{key[-3:-1]}{separator}{key}.data"


def parse_file_name(name: str) -> Link | None:
    """Return the CID of the block whose file has this name, its codec raw; None if it has none."""
    key, suffix = os.path.splitext(name)
    if suffix != ".data":
        return None
    try:
        return parse_link(b"\x01\x55" + base64.b32decode(key + "=" * (-len(key) % 8)))
    except (ValueError, InvalidCIDError):
        return None
