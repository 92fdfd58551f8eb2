"""The names of branches and tags."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from ipldstore.cid import parse_text
from ipldstore.errors import InvalidCIDError, InvalidNameError
from ipldstore.limits import MAX_REF_NAME_BYTES

_LIKE_CID = ("bafy", "bafk")
_FORBIDDEN = re.compile(r"[\0-\x20\x7f~^:?*\[\\@]|\.\.")


def check_ref_name(name: str) -> None:
    """Check that a branch or tag may have a name.

    The rules are those of ``git check-ref-format --branch``, and besides it holds no ``@``, is no
    CID nor begins as one does, and has at most 255 bytes. Raises `InvalidNameError` if it may not.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"name of a branch or tag is {type(name).__name__}, expected str")
    if (fault := _size_fault(name)) is not None:
        raise InvalidNameError(f"name of a branch or tag {fault}")
    if (fault := _ref_fault(name)) is not None:
        raise InvalidNameError(f"{name!r} cannot be the name of a branch or tag: {fault}")


def _size_fault(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "holds a lone surrogate"
    if not 0 < size <= MAX_REF_NAME_BYTES:
        return f"has {size} bytes, expected 1 to {MAX_REF_NAME_BYTES}"
    return None


@lru_cache(maxsize=1024)
def _ref_fault(name: str) -> str | None:
    if (found := _FORBIDDEN.search(name)) is not None:
        return f"it holds {found[0]!r}"
    if name == "HEAD":
        return "git has another meaning for it"
    if name.startswith(_LIKE_CID):
        return f"it begins with {name[:4]!r}, as CIDs do"
    if _is_cid(name):
        return "it is a CID"
    if name.startswith("-"):
        return "it begins with a hyphen"
    if name.endswith("."):
        return "it ends with a dot"
    parts = name.split("/")
    if "" in parts:
        return "it begins or ends with a slash, or has two in a row"
    if any(part.startswith(".") for part in parts):
        return "a part of it begins with a dot"
    if any(part.endswith(".lock") for part in parts):
        return "a part of it ends with '.lock'"
    return None


def _is_cid(name: str) -> bool:
    """Whether a name would be read as a CID, in whatever base."""
    try:
        parse_text(name)
    except InvalidCIDError:
        return False
    return True


def quote_ref_name(name: str) -> str:
    """Write the name of a branch or tag as one segment of a URL."""
    return quote(name, safe="")


def unquote_ref_name(text: str) -> str:
    """Read the name of a branch or tag from a segment of a URL; `InvalidNameError` if none is."""
    try:
        name = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidNameError(f"{text[:1000]!r} is not UTF-8, percent-encoded") from None
    check_ref_name(name)
    return name
