"""Documents in parts: attributes one by one, what is derived, and the rest as one value."""

from __future__ import annotations

from typing import Any, NamedTuple

from ipldstore.cid import Link
from ipldstore.formats import dagcbor
from ipldstore.model.cells import read_shape


class Parts(NamedTuple):
    """A document in parts, encoded so that 1, 1.0 and true differ.

    `body` is what is one value. `has_attributes` is False where not even a map without any is
    there. Consolidated metadata is none of the parts, as it is derived.
    """

    body: bytes
    attributes: dict[str, bytes]
    has_attributes: bool


_EMPTY = dagcbor.encode({})

NO_ATTRIBUTES = Parts(_EMPTY, {}, False)
"""What is where ``.zattrs`` is not."""


def split_document(name: str, value: dict[str, Any]) -> Parts | None:
    """Split a document; None if it is not of a shape whose parts are known."""
    if name == ".zattrs":
        return Parts(_EMPTY, _encode_each(value), True)
    if name == ".zmetadata":
        return None if entries_of(name, value) is None else Parts(_EMPTY, {}, False)
    if name != "zarr.json":
        return Parts(dagcbor.encode(value), {}, False)
    attributes = value.get("attributes", {})
    if not isinstance(attributes, dict) or value.get("node_type") not in ("array", "group"):
        return None
    if entries_of(name, value) is None:
        return None
    derived = {"attributes", "consolidated_metadata"}
    if not has_entries(name, value):
        derived.remove("consolidated_metadata")
    body = {field: item for field, item in value.items() if field not in derived}
    return Parts(dagcbor.encode(body), _encode_each(attributes), "attributes" in value)


def _encode_each(values: dict[str, Any]) -> dict[str, bytes]:
    return {name: dagcbor.encode(value) for name, value in values.items()}


def join_parts(name: str, parts: Parts) -> dict[str, Any] | None:
    """Return the document of parts; None if there is nothing in it."""
    attributes = {key: dagcbor.decode(value) for key, value in parts.attributes.items()}
    if name == ".zattrs":
        return attributes if parts.has_attributes else None
    value: dict[str, Any] = dagcbor.decode(parts.body)
    return value | {"attributes": attributes} if parts.has_attributes else value


Entries = dict[str, dict[str, Any]]


def has_entries(name: str, value: dict[str, Any]) -> bool:
    """Whether a document holds consolidated metadata."""
    if name == ".zmetadata":
        return True
    is_group = value.get("node_type") == "group"
    return is_group and value.get("consolidated_metadata") is not None


def entries_of(name: str, value: dict[str, Any]) -> Entries | None:
    """Return the documents of members in consolidated metadata.

    Empty where there is no consolidated metadata, None where it is of an unknown shape.
    """
    if not has_entries(name, value):
        return {}
    holder = value if name == ".zmetadata" else value["consolidated_metadata"]
    if not isinstance(holder, dict) or not isinstance(entries := holder.get("metadata"), dict):
        return None
    if name == ".zmetadata" and value.keys() != {"metadata", "zarr_consolidated_format"}:
        return None
    return entries if all(isinstance(entry, dict) for entry in entries.values()) else None


def is_resized(old: bytes, new: bytes) -> bool:
    """Whether two bodies of an array differ in nothing but the shape, of as many dimensions."""
    return _compare(old, new) is not None


def is_grown(old: bytes, new: bytes) -> bool:
    """Whether a body is that of an array that only became longer."""
    shapes = _compare(old, new)
    return shapes is not None and all(a <= b for a, b in zip(*shapes, strict=True))


def _compare(old: bytes, new: bytes) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    if isinstance(old, Link) or isinstance(new, Link):
        return None
    bodies = dagcbor.decode(old), dagcbor.decode(new)
    shapes = [read_shape(body.pop("shape", None)) for body in bodies]
    before, after = shapes
    if before is None or after is None or len(before) != len(after):
        return None
    return (before, after) if dagcbor.encode(bodies[0]) == dagcbor.encode(bodies[1]) else None
