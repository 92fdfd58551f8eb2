"""What changed of a group or array, in words that both formats of Zarr have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from ipldstore.model.boxes import Box
from ipldstore.model.metadata import Metadata


class Missing:
    """Stands for a value that is not there, where None would be null."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

ChangeKind: TypeAlias = Literal["added", "removed", "changed"]
Values: TypeAlias = tuple[Any, Any]
KINDS: tuple[ChangeKind, ...] = ("added", "removed", "changed")


@dataclass(frozen=True)
class NodeChange:
    """What changed of a group or an array.

    Attributes
    ----------
    path : str
        Its path, empty for the root.
    kind : str
        ``"added"``, ``"removed"`` or ``"changed"``.
    node : str
        ``"array"`` or ``"group"``, what it is since, or was if it is removed.
    fields : dict of str to tuple
        What its metadata said and says, but for attributes, as JSON values: ``shape``, ``dtype``,
        ``chunks``, ``shards``, ``codecs`` (in format 2 the filters, then the compressor),
        ``fill_value``, ``dimension_names``, ``chunk_keys`` (the key of the first chunk),
        ``zarr_format``, ``node_type``, and what else its document has, by its name there.
    attributes : dict of str to tuple
        The attributes that changed: what each was and is. In both, `MISSING` stands for what is
        not there, and None for null.
    chunks : dict of str to int
        How many chunks, or shards, were added, removed and changed.
    ranges : tuple
        Which elements these hold: boxes, each with a pair for every dimension, where it begins
        and where what follows it begins, within the shape. Empty if the metadata does not tell, or
        says that chunks have another shape than before.
    is_exact : bool
        Whether nothing else lies in `ranges`; else it is one box around them all.
    coordinates : dict of str to tuple
        The first and last value that these elements have along dimensions for which there is a
        coordinate, an array named as the dimension in the same group: a number, or
        the time in ISO format.
    """

    path: str
    kind: ChangeKind
    node: Literal["array", "group"]
    fields: dict[str, Values] = field(default_factory=dict)
    attributes: dict[str, Values] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    ranges: tuple[Box, ...] = ()
    is_exact: bool = True
    coordinates: dict[str, Values] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to say of it."""
        return bool(self.kind != "changed" or self.fields or self.attributes or any(self.counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """How many chunks were added, removed and changed."""
        return tuple(self.chunks[kind] for kind in KINDS)

    def as_dict(self) -> dict[str, Any]:
        """Return this as JSON data; what is missing has no ``old``, or no ``new``."""
        return {
            "path": self.path,
            "kind": self.kind,
            "node": self.node,
            "fields": {name: _pair(*values) for name, values in self.fields.items()},
            "attributes": {name: _pair(*values) for name, values in self.attributes.items()},
            "chunks": dict(self.chunks),
            "ranges": [[list(side) for side in box] for box in self.ranges],
            "is_exact": self.is_exact,
            "coordinates": {name: list(pair) for name, pair in self.coordinates.items()},
        }


def _pair(old: Any, new: Any) -> dict[str, Any]:
    found = (("old", old), ("new", new))
    return {name: as_json(value) for name, value in found if value is not MISSING}


def as_json(value: Any) -> Any:
    """Return a value as strict JSON: NaN as text, as Zarr spells it, bytes as hexadecimal text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def text_of(value: Any) -> str:
    """Write a JSON value, in the same way whatever the order of its fields."""
    return json.dumps(as_json(value), ensure_ascii=False, sort_keys=True)


def find_kind(old: Metadata, new: Metadata) -> ChangeKind:
    """Say whether a node was added, removed or changed."""
    if old.kind == "directory":
        return "added"
    return "removed" if new.kind == "directory" else "changed"


def changed_fields(old: Metadata, new: Metadata) -> dict[str, Values]:
    """Return in which fields nodes differ, but for attributes."""
    return dict(_iter_changed(_fields(old), _fields(new)))


def changed_attributes(old: Metadata, new: Metadata) -> dict[str, Values]:
    """Return in which attributes nodes differ."""
    return dict(_iter_changed(_attributes(old), _attributes(new)))


def _iter_changed(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Values]]:
    for name in {**old, **new}:
        pair = old.get(name, MISSING), new.get(name, MISSING)
        if MISSING in pair or text_of(pair[0]) != text_of(pair[1]):
            yield name, pair


def _attributes(metadata: Metadata) -> dict[str, Any]:
    attributes = dict(metadata.attributes or {})
    if metadata.zarr_format == 2 and metadata.dimensions is not None:
        del attributes["_ARRAY_DIMENSIONS"]
    return attributes


_READ = {
    2: ("zarr_format", "shape", "dtype", "chunks", "fill_value", "filters", "compressor"),
    3: ("zarr_format", "shape", "data_type", "chunk_grid", "fill_value", "codecs"),
}
_READ_ELSEWHERE = (
    "node_type",
    "dimension_separator",
    "chunk_key_encoding",
    "dimension_names",
    "attributes",
    "consolidated_metadata",
)


def _fields(metadata: Metadata) -> dict[str, Any]:
    """Return what is said of a node under common words, and what else under the document's."""
    if metadata.kind == "directory":
        return {}
    common: dict[str, Any] = {"node_type": metadata.kind, "zarr_format": metadata.zarr_format}
    document = metadata.document
    if document is None:
        return common
    assert metadata.zarr_format is not None
    is_old = metadata.zarr_format == 2
    kind = document.get("dtype" if is_old else "data_type")
    grid = document.get("chunks" if is_old else "chunk_grid")
    read = (
        ("shape", metadata.shape or document.get("shape")),
        ("dtype", metadata.dtype if isinstance(kind, str) else kind),
        ("chunks", grid if metadata.chunk_shape is None else metadata.chunk_shape),
        ("shards", metadata.shard_shape),
        ("codecs", codecs_v2(document) if is_old else document.get("codecs")),
        ("dimension_names", metadata.dimensions),
        ("chunk_keys", _first_key(metadata)),
    )
    common |= {name: as_json(value) for name, value in read if value is not None}
    if "fill_value" in document:
        common["fill_value"] = document["fill_value"]
    known = {*_READ[metadata.zarr_format], *_READ_ELSEWHERE}
    return common | {name: value for name, value in document.items() if name not in known}


def codecs_v2(document: dict[str, Any]) -> list[Any]:
    """Return the filters and the compressor that a document of format 2 names."""
    filters, compressor = document.get("filters"), document.get("compressor")
    found = [*(filters if isinstance(filters, list) else []), compressor]
    return [codec for codec in found if codec is not None]


def _first_key(metadata: Metadata) -> str | None:
    keys = metadata.keys
    return None if keys is None else keys.key((0,) * keys.dimensions)
