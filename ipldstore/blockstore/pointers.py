"""The names of pointers, and how stores of files and objects write what one is at."""

from __future__ import annotations

import re
import secrets

from ipldstore.cid import CIDLike, Link, as_link, parse_text, to_text
from ipldstore.errors import BackendError, InvalidCIDError, InvalidNameError
from ipldstore.limits import MAX_POINTER_NAME_LENGTH

FOLDER = "ipldstore"
"""Beside the blocks, where what is no block is kept; no file in it has a name of a block."""

_PREFIX = "pointer-"
"""Stands before each name, as some systems have names that no file may have, such as ``con``."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VALUE = re.compile(rb"([a-z2-7]+) [0-9a-f]{32}\n")
_NONCE_BYTES = 16


def check_pointer_name(name: str, of: str = "a pointer") -> None:
    """Check that a pointer may have a name.

    It has at most 64 of ``a`` to ``z``, ``0`` to ``9``, ``-`` and ``_``, a letter or digit first:
    whatever keeps it, it is no path, and tells no upper from lower case.

    Parameters
    ----------
    name
        The name.
    of
        What has it, in the words of the error: names of other things keep the same rule.

    Raises
    ------
    InvalidNameError
        If it may not.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"name of {of} is {type(name).__name__}, expected str")
    if len(name) > MAX_POINTER_NAME_LENGTH:
        raise InvalidNameError(
            f"name of {of} has {len(name)} characters, at most {MAX_POINTER_NAME_LENGTH}"
        )
    if _NAME.fullmatch(name) is None:
        raise InvalidNameError(
            f"{name!r} cannot be the name of {of}: "
            "expected a to z, 0 to 9, '-' and '_', and a letter or digit first"
        )


def is_pointer_name(name: str) -> bool:
    """Whether a text may be the name of a pointer."""
    return len(name) <= MAX_POINTER_NAME_LENGTH and _NAME.fullmatch(name) is not None


def pointer_path(name: str) -> str:
    """Return where a pointer is kept beside blocks; `InvalidNameError` if there can be none."""
    check_pointer_name(name)
    return f"{FOLDER}/{_PREFIX}{name}"


def parse_pointer_path(path: str) -> str | None:
    """Return the name of the pointer that is kept at the end of a path, None if none is."""
    prefix, _, name = path.rpartition("/")[2].partition(_PREFIX)
    return name if not prefix and is_pointer_name(name) else None


def encode_pointer(cid: CIDLike) -> bytes:
    """Write what a pointer is at: the CID, and random digits, so that no two swaps write the same.

    By these, whoever got no answer finds out whether a swap was done.

    Parameters
    ----------
    cid
        The CID, in any form.

    Returns
    -------
    bytes
        A line of ASCII, of 93 bytes with a CID of sha2-256.

    Raises
    ------
    InvalidCIDError
        If it is malformed, also where a ``Link`` was made of other bytes.
    """
    link = as_link(bytes(cid) if isinstance(cid, Link) else cid)
    return f"{to_text(link)} {secrets.token_hex(_NONCE_BYTES)}\n".encode()


def decode_pointer(data: bytes, where: str, advice: str = "") -> Link:
    """Read what a pointer is at, from what is kept there.

    Raises `BackendError` if that is damaged, which says `where` it is, and what to do.
    """
    found = _VALUE.fullmatch(data)
    try:
        return parse_text(found[1].decode() if found else "")
    except InvalidCIDError:
        raise BackendError(
            f"{where} is damaged: {len(data)} bytes, {data[:40]!r}, expected a CID and 32 digits"
            f"{advice}"
        ) from None
