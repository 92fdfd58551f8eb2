"""What the metadata documents of a node say about it, whoever wrote them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ipldstore.cid import DAG_CBOR, RAW, Link, codec_of
from ipldstore.errors import CodecError, InvalidNodeError, LimitExceededError
from ipldstore.formats import dagcbor
from ipldstore.formats.jsontext import load_json
from ipldstore.limits import MAX_JSON_BYTES
from ipldstore.model.cells import (
    CellShape,
    Shape,
    count_cells,
    read_cell,
    read_cells,
    read_shape,
)
from ipldstore.model.chunkkeys import ChunkKeys, read_chunk_keys
from ipldstore.tree.documents import Document
from ipldstore.tree.nodes import Directory, is_value
from ipldstore.tree.pages import Load, room_of
from ipldstore.unixfs.file import decode_file, read_content

Kind: TypeAlias = Literal["group", "array", "directory"]

_V2_TYPE = re.compile(r"[<|]([biufc])([0-9]{1,3})")
_V2_TIME = re.compile(r"<([mM])8(\[[^\]]{1,20}\])?")
_V2_WORDS = {"i": "int", "u": "uint", "f": "float", "c": "complex"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata documents of a directory say; None and empty where they say nothing.

    `kind` is ``"group"``, ``"array"`` or ``"directory"``, which has no metadata. Chunk and shard
    are shaped as `CellShape`; the shard is None where the array is not sharded. `dtype` is the type
    as NumPy or the document names it; `keys` how the chunks, or shards, are named; `attributes`
    what users noted; `document` that of the array itself.
    """

    kind: Kind = "directory"
    zarr_format: int | None = None
    shape: Shape | None = None
    chunk_shape: CellShape | None = None
    shard_shape: CellShape | None = None
    dimensions: tuple[str | None, ...] | None = None
    dtype: str | None = None
    keys: ChunkKeys | None = None
    attributes: dict[str, Any] | None = None
    document: dict[str, Any] | None = None

    @property
    def grid(self) -> Shape | None:
        """How many chunks, or shards, there are along each dimension."""
        cells = self.stored_shape
        if self.shape is None or cells is None:
            return None
        return tuple(map(count_cells, self.shape, cells))

    @property
    def stored_shape(self) -> CellShape | None:
        """The shape of what is stored under a key, a chunk or a shard."""
        return self.shard_shape or self.chunk_shape

    @property
    def chunks_possible(self) -> int | None:
        """How many chunks, or shards, there can be."""
        return None if self.grid is None else math.prod(self.grid)


def read_metadata(directory: Directory, load: Load) -> Metadata:
    """Read the metadata documents in a directory; those malformed or over 16 MiB say nothing."""
    document = _read(directory, "zarr.json", load)
    if document is not None and document.get("node_type") in ("group", "array"):
        return _read_v3(document)
    attributes = _read(directory, ".zattrs", load)
    if _has(directory, ".zarray", load):
        return _read_v2(_read(directory, ".zarray", load) or {}, attributes or {})
    if _has(directory, ".zgroup", load):
        return Metadata("group", 2, attributes=attributes)
    return Metadata()


def read_document(name: str, document: dict[str, Any]) -> Metadata:
    """Read the document of an array, ``.zarray`` or ``zarr.json``, by itself."""
    return _read_v3(document) if name == "zarr.json" else _read_v2(document, {})


def _has(directory: Directory, name: str, load: Load) -> bool:
    return is_value(room_of(directory, name, load).get(name), name)


def _read(directory: Directory, name: str, load: Load) -> dict[str, Any] | None:
    entry = room_of(directory, name, load).get(name)
    if isinstance(entry, Directory) or entry is None:
        return None
    try:
        value = _decode(entry, load)
    except (ValueError, RecursionError, CodecError, InvalidNodeError, LimitExceededError):
        return None
    return value if isinstance(value, dict) else None


def _decode(entry: Link | Document, load: Load) -> Any:
    if isinstance(entry, Document):
        return dagcbor.decode(entry.encoded)
    codec, data = codec_of(entry), load(entry)
    if codec == DAG_CBOR:
        return dagcbor.decode(data)
    if codec != RAW:
        file = decode_file(entry, data)
        if file.size > MAX_JSON_BYTES:
            return None
        data = bytes(read_content(file, load, 0, file.size))
    return load_json(data)


def _read_v2(document: dict[str, Any], attributes: dict[str, Any]) -> Metadata:
    shape = read_shape(document.get("shape"))
    return Metadata(
        "array",
        2,
        shape=shape,
        chunk_shape=read_cell(document.get("chunks"), shape),
        dimensions=_names(attributes.get("_ARRAY_DIMENSIONS"), shape),
        dtype=_type_text(document.get("dtype")),
        keys=None if shape is None else read_chunk_keys(".zarray", document),
        attributes=attributes,
        document=document,
    )


def _read_v3(document: dict[str, Any]) -> Metadata:
    attributes = document.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    if document["node_type"] == "group":
        return Metadata("group", 3, attributes=attributes)
    shape = read_shape(document.get("shape"))
    outer = _read_grid(document.get("chunk_grid"), shape)
    shardings = (_configuration(codec, "sharding_indexed") for codec in codecs_of(document))
    sharding = next(filter(None, shardings), None)
    inner = None if sharding is None else read_cell(sharding.get("chunk_shape"), shape)
    return Metadata(
        "array",
        3,
        shape=shape,
        chunk_shape=outer if sharding is None else inner,
        shard_shape=None if sharding is None else outer,
        dimensions=_names(document.get("dimension_names"), shape),
        dtype=_type_text(document.get("data_type")),
        keys=None if shape is None else read_chunk_keys("zarr.json", document),
        attributes=attributes,
        document=document,
    )


def _read_grid(grid: Any, shape: Shape | None) -> CellShape | None:
    if (regular := _configuration(grid, "regular")) is not None:
        return read_cell(regular.get("chunk_shape"), shape)
    rectilinear = _configuration(grid, "rectilinear")
    return None if rectilinear is None else read_cells(rectilinear, shape)


def codecs_of(configuration: dict[str, Any]) -> list[Any]:
    """Return the codecs that a document of format 3, or a sharding codec in it, lists."""
    codecs = configuration.get("codecs")
    return codecs if isinstance(codecs, list) else []


def _configuration(part: Any, name: str) -> dict[str, Any] | None:
    """Return the configuration of a named part of a document of format 3."""
    if not isinstance(part, dict) or part.get("name") != name:
        return None
    configuration = part.get("configuration")
    return configuration if isinstance(configuration, dict) else {}


def _names(value: Any, shape: Shape | None) -> tuple[str | None, ...] | None:
    if not isinstance(value, list) or shape is None or len(value) != len(shape):
        return None
    return tuple(name if isinstance(name, str) else None for name in value)


def _type_text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        return "structured"
    if not isinstance(value, str):
        return None
    if (found := _V2_TIME.fullmatch(value)) is not None:
        return ("datetime64" if found[1] == "M" else "timedelta64") + (found[2] or "")
    if value == "|O" or (found := _V2_TYPE.fullmatch(value)) is None:
        return "object" if value == "|O" else value
    return "bool" if found[1] == "b" else f"{_V2_WORDS[found[1]]}{8 * int(found[2])}"
