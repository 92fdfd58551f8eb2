"""Keys: which are allowed, and how they split into segments."""

from __future__ import annotations

from collections.abc import Collection

from ipldstore.errors import InvalidKeyError
from ipldstore.limits import MAX_SEGMENT_BYTES, MAX_SEGMENTS

METADATA_NAMES = frozenset(("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"))

_RESERVED = frozenset(("", ".", ".."))


def split_key(key: str) -> list[str]:
    """Split a key into its segments; raise `InvalidKeyError` if it breaks a rule of the format."""
    if not isinstance(key, str):
        raise InvalidKeyError(f"key {key!r} is not a str")
    segments = key.split("/")
    if len(segments) > MAX_SEGMENTS:
        raise InvalidKeyError(f"key of {len(segments)} segments, at most {MAX_SEGMENTS}")
    is_plain = len(key) <= MAX_SEGMENT_BYTES and key.isascii() and "\0" not in key
    fault = None if is_plain and _RESERVED.isdisjoint(segments) else segments_fault(segments)
    if fault is not None:
        raise InvalidKeyError(f"key {key!r}: {fault}")
    if not METADATA_NAMES.isdisjoint(segments[:-1]):
        raise InvalidKeyError(f"key {key!r}: a metadata name may only be its last segment")
    return segments


def split_if_key(key: object) -> list[str] | None:
    """Split what is asked for as a key; None if no key can be that, so that nothing is there."""
    try:
        return split_key(key)  # type: ignore[arg-type]
    except InvalidKeyError:
        return None


def split_path(path: str) -> list[str]:
    """Split the path of a directory, which may be empty or end in a slash, as `split_key`."""
    return split_key(path.rstrip("/")) if path.rstrip("/") else []


def split_if_path(path: str) -> list[str] | None:
    """Split what is asked for as the path of a directory; None if no directory can have it."""
    try:
        return split_path(path)
    except InvalidKeyError:
        return None


def segments_fault(segments: Collection[str]) -> str | None:
    """Say what is wrong with segments, None if nothing is."""
    joined = "/".join(segments)
    if (
        joined.isascii()
        and "\0" not in joined
        and joined.count("/") == len(segments) - 1
        and len(max(segments, key=len)) <= MAX_SEGMENT_BYTES
        and _RESERVED.isdisjoint(segments)
    ):
        return None
    return next(filter(None, map(_segment_fault, segments)), None)


def _segment_fault(segment: str) -> str | None:
    if not segment:
        return "a key neither begins nor ends with a slash, nor has two in a row"
    if segment in _RESERVED:
        return f"segment {segment!r} is not allowed"
    try:
        size = len(segment.encode())
    except UnicodeEncodeError:
        return f"segment {segment!r} holds a lone surrogate"
    if size > MAX_SEGMENT_BYTES:
        return f"segment of {size} bytes, at most {MAX_SEGMENT_BYTES}"
    if "\0" in segment or "/" in segment:
        return f"segment {segment!r} holds a NUL or a slash"
    return None
