"""JSON documents as IPLD data: which are held so, and how they read back."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn

from ipldstore.cid import Link
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_INTEGER_DIGITS

MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1


class Document:
    """A JSON document, held as its DAG-CBOR encoding, which nests `depth` levels deep."""

    __slots__ = ("depth", "encoded")

    def __init__(self, encoded: bytes, depth: int) -> None:
        self.encoded = encoded
        self.depth = depth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and self.encoded == other.encoded

    __hash__ = None  # type: ignore[assignment]

    def to_json(self) -> bytes:
        """Write the document as compact UTF-8 JSON, its keys in DAG-CBOR order.

        Only the members of consolidated metadata come in the order of their paths.
        """
        value = dagcbor.decode(self.encoded)
        _join_siblings(value)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _join_siblings(value: dict[str, Any]) -> None:
    """Sort the members of consolidated metadata by path.

    zarr-python 3.1 drops members of a group, in silence, where they do not follow each other
    (``ConsolidatedMetadata._flat_to_nested``; mended by 3.4).
    """
    holder = value if "zarr_consolidated_format" in value else value.get("consolidated_metadata")
    if isinstance(holder, dict) and isinstance(members := holder.get("metadata"), dict):
        holder["metadata"] = dict(sorted(members.items()))


class _InexactError(Exception):
    """JSON that IPLD data cannot hold exactly."""


def parse_json(data: bytes) -> Document | None:
    """Read JSON text as a document.

    None if IPLD data cannot hold the text exactly: it is not a JSON object in UTF-8, holds NaN,
    infinities, integers outside -2^63..2^64-1, lone surrogates or duplicate keys, nests more than
    31 levels deep, or would pass 1 MiB as DAG-CBOR or 16 MiB as text.
    """
    try:
        value = load_json(
            data,
            object_pairs_hook=_unique_keys,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
        )
        if not isinstance(value, dict) or (depth := dagcbor.nesting(value)) > MAX_DOCUMENT_DEPTH:
            return None
        encoded = dagcbor.encode(value)
    except (ValueError, RecursionError, CodecError, _InexactError):
        return None
    return Document(encoded, depth) if len(encoded) <= MAX_DOCUMENT_BYTES else None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _InexactError
    return value


def _parse_int(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS or not MIN_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise _InexactError
    return number


def _parse_float(text: str) -> float:
    if not isfinite(number := float(text)):
        raise _InexactError
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise _InexactError


def make_document(value: dict[str, Any]) -> Document:
    """Make a document of a decoded map."""
    depth = dagcbor.nesting(value)
    if depth > MAX_DOCUMENT_DEPTH:
        raise InvalidNodeError(f"document nests {depth} levels, at most {MAX_DOCUMENT_DEPTH}")
    _check_json(value)
    encoded = dagcbor.encode(value)
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise InvalidNodeError(f"document of {len(encoded)} bytes, at most {MAX_DOCUMENT_BYTES}")
    return Document(encoded, depth)


def _check_json(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _check_json(item)
    elif isinstance(value, list):
        for item in value:
            _check_json(item)
    elif isinstance(value, bytes):
        kind = "a link" if isinstance(value, Link) else "a byte string"
        raise InvalidNodeError(f"document holds {kind}, which JSON cannot")
    elif isinstance(value, int) and value < MIN_INTEGER:
        raise InvalidNodeError(f"document holds the integer {value}, below -2^63")
