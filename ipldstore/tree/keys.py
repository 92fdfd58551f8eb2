"""Keys: which are allowed, and how they split into segments."""

from __future__ import annotations

from collections.abc import Iterable

from ipldstore.errors import InvalidKeyError

METADATA_NAMES = frozenset(("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"))
MAX_SEGMENTS = 128
MAX_SEGMENT_BYTES = 1024


def split_key(key: str) -> list[str]:
    """Split a key into its segments.

    Raises
    ------
    InvalidKeyError
        If the key breaks a rule of the format.
    """
    if not isinstance(key, str):
        raise InvalidKeyError(f"key {key!r} is not a str")
    segments = key.split("/")
    if len(segments) > MAX_SEGMENTS:
        raise InvalidKeyError(f"key of {len(segments)} segments, at most {MAX_SEGMENTS}")
    if (fault := segments_fault(segments)) is not None:
        raise InvalidKeyError(f"key {key!r}: {fault}")
    if not METADATA_NAMES.isdisjoint(segments[:-1]):
        raise InvalidKeyError(f"key {key!r}: a metadata name may only be its last segment")
    return segments


def split_path(path: str) -> list[str]:
    """Split the path of a directory, which may be empty or end in a slash.

    Raises
    ------
    InvalidKeyError
        If the path breaks a rule of the format.
    """
    return split_key(path.rstrip("/")) if path.rstrip("/") else []


def segments_fault(segments: Iterable[str]) -> str | None:
    """Say what is wrong with segments that were split at slashes, None if nothing is."""
    for segment in segments:
        if segment in ("", ".", ".."):
            return f"segment {segment!r} is not allowed"
        if len(segment) * 4 > MAX_SEGMENT_BYTES or not segment.isascii():
            try:
                size = len(segment.encode())
            except UnicodeEncodeError:
                return f"segment {segment!r} holds a lone surrogate"
            if size > MAX_SEGMENT_BYTES:
                return f"segment of {size} bytes, at most {MAX_SEGMENT_BYTES}"
        if "\0" in segment:
            return f"segment {segment!r} holds a NUL"
    return None
