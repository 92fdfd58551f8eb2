"""Chunk keys: which chunk of a Zarr array a key names, as the array's metadata says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

_NUMBER = re.compile("0|[1-9][0-9]*", re.ASCII)
_SEPARATORS = (".", "/")


class ChunkKeys(NamedTuple):
    """How an array names its chunks: with dots or slashes, and a ``c`` before them or not."""

    dimensions: int
    separator: str
    prefix: bool = False

    def coordinate(self, segments: Sequence[str]) -> tuple[int, ...] | None:
        """Return the chunk that a key names, given its segments below the array's directory."""
        if self.separator == "/":
            parts = list(segments)
        elif len(segments) == 1:
            parts = segments[0].split(self.separator)
        else:
            return None
        if self.prefix:
            if parts[:1] != ["c"]:
                return None
            del parts[0]
        elif self.dimensions == 0:
            return () if parts == ["0"] else None
        if len(parts) != self.dimensions or not all(map(_NUMBER.fullmatch, parts)):
            return None
        return tuple(map(int, parts))

    def key(self, place: Sequence[int]) -> str:
        """Return the key of a chunk, below the array's directory."""
        parts = [*(["c"] if self.prefix else []), *map(str, place)]
        return self.separator.join(parts) or "0"


def read_chunk_keys(name: str, metadata: Any) -> ChunkKeys | None:
    """Read how an array names its chunks from its JSON metadata; None if that does not say it."""
    if not isinstance(metadata, dict) or not isinstance(shape := metadata.get("shape"), list):
        return None
    if name == ".zarray":
        return _make(len(shape), metadata.get("dimension_separator", "."))
    if metadata.get("node_type") != "array":
        return None
    encoding = metadata.get("chunk_key_encoding")
    if isinstance(encoding, str):
        encoding = {"name": encoding}
    if not isinstance(encoding, dict):
        return None
    prefix = encoding.get("name") == "default"
    configuration = encoding.get("configuration", {})
    if not isinstance(configuration, dict) or encoding.get("name") not in ("default", "v2"):
        return None
    return _make(len(shape), configuration.get("separator", "/" if prefix else "."), prefix)


def _make(dimensions: int, separator: Any, prefix: bool = False) -> ChunkKeys | None:
    return ChunkKeys(dimensions, separator, prefix) if separator in _SEPARATORS else None
