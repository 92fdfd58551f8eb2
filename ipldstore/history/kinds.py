"""Which blocks are commits or states; no directory and no document has what tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from ipldstore.cid import Link
from ipldstore.errors import CodecError
from ipldstore.formats import dagcbor
from ipldstore.limits import MAX_COMMIT_BYTES, MAX_STATE_BYTES

COMMIT, STATE = "commit", "repository"
"""The field that says the version of each: an integer, which is no entry of a directory."""

Kind: TypeAlias = Literal["commit", "state"]

_COMMIT_KEYS = (dagcbor.encode_text(COMMIT), dagcbor.encode_text("root"))
_STATE_KEYS = (dagcbor.encode_text(STATE), dagcbor.encode_text("nonce"))


def kind_of(value: Mapping[str, object]) -> Kind | None:
    """Say which of the two a decoded map is, in whatever version; None if it is neither.

    A document may hold the integer, but no link and no byte string.
    """
    if type(value.get(STATE)) is int and type(value.get("nonce")) is bytes:
        return "state"
    if type(value.get(COMMIT)) is int and type(value.get("root")) is Link:
        return "commit"
    return None


def is_commit(data: bytes) -> bool:
    """Whether a block of codec dag-cbor is a commit, which may still be malformed."""
    return _is_kind("commit", data, _COMMIT_KEYS, MAX_COMMIT_BYTES)


def is_state(data: bytes) -> bool:
    """Whether a block of codec dag-cbor is the state of a repository, which may be malformed."""
    return _is_kind("state", data, _STATE_KEYS, MAX_STATE_BYTES)


def _is_kind(kind: Kind, data: bytes, keys: tuple[bytes, ...], most: int) -> bool:
    """Decode a block only if it may be of a kind, as most roots are directories."""
    if len(data) > most or not all(key in data for key in keys):
        return False
    try:
        value = dagcbor.decode(data)
    except CodecError:
        return False
    return isinstance(value, dict) and kind_of(value) == kind
