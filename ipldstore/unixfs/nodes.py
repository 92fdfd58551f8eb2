"""The dag-pb blocks of UnixFS: their wire form, read and written.

The wire forms are those of the DAG-PB and UnixFS specifications; field numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from ipldstore.cid import (
    DAG_PB,
    Link,
    canonical,
    codec_of,
    parse_link,
    to_text,
)
from ipldstore.errors import CodecError, InvalidCIDError, InvalidNodeError
from ipldstore.formats.varint import decode_varint, encode_varint
from ipldstore.limits import MAX_PB_BYTES

RAW_TYPE, DIRECTORY_TYPE, FILE_TYPE, _, _, SHARD_TYPE = range(6)
_TYPE_NAMES = ("raw", "directory", "file", "metadata", "symlink", "HAMT shard")

_VARINT, _LENGTH_DELIMITED = 0, 2
_NODE_DATA, _NODE_LINK = 1, 2
_LINK_HASH, _LINK_NAME, _LINK_SIZE = 1, 2, 3
_LINK_KINDS = {_LINK_HASH: bytes, _LINK_NAME: bytes, _LINK_SIZE: int}
_TYPE, _DATA, _SIZE, _BLOCK_SIZES, _HASH_TYPE, _FANOUT = 1, 2, 3, 4, 5, 6

Put: TypeAlias = Callable[[bytes, str], Link]
"""Keeps a block of a codec, ``"raw"`` or ``"dag-pb"``, and returns its CID."""


class PBLink(NamedTuple):
    """A link of a dag-pb block.

    `link` is a CIDv1, and `name` in UTF-8 if the block is sound. `size`, the ``Tsize``, is that of
    all blocks under it, each counted as often as it is linked to.
    """

    link: Link
    name: bytes
    size: int | None


class Node(NamedTuple):
    """A dag-pb block of UnixFS.

    `type` is what it is part of: `FILE_TYPE` and so on. `data` is content of a file, or the bit
    field of a HAMT shard. Of a file, `size` is the bytes of content, and `block_sizes` those under
    each link. Of a HAMT shard, `hash_type` is the code of its hash function, and `fanout` the
    places in it. Links are in the order of the block.
    """

    type: int
    data: bytes
    size: int | None
    block_sizes: list[int]
    hash_type: int | None
    fanout: int | None
    links: list[PBLink]

    @property
    def kind(self) -> str:
        """The type in words."""
        known = self.type < len(_TYPE_NAMES)
        return _TYPE_NAMES[self.type] if known else f"type {self.type}"


def encode_field(number: int, value: bytes) -> bytes:
    """Write a field of bytes."""
    return encode_varint(number << 3 | _LENGTH_DELIMITED) + encode_varint(len(value)) + value


def encode_number(number: int, value: int) -> bytes:
    """Write a field that is a number."""
    return encode_varint(number << 3 | _VARINT) + encode_varint(value)


def encode_link(link: Link, name: bytes, size: int) -> bytes:
    """Write a link as it stands in a dag-pb block."""
    return encode_field(
        _NODE_LINK,
        encode_field(_LINK_HASH, link)
        + encode_field(_LINK_NAME, name)
        + encode_number(_LINK_SIZE, size),
    )


def encode_node(links: Iterable[bytes], payload: bytes) -> bytes:
    """Write a dag-pb block of encoded links and UnixFS data."""
    return b"".join(links) + encode_field(_NODE_DATA, payload)


def encode_file(size: int, block_sizes: Iterable[int]) -> bytes:
    """Write the UnixFS data of a file whose content is in its links."""
    sizes = b"".join(encode_number(_BLOCK_SIZES, size) for size in block_sizes)
    return encode_number(_TYPE, FILE_TYPE) + encode_number(_SIZE, size) + sizes


def encode_directory() -> bytes:
    """Write the UnixFS data of a directory in one block."""
    return encode_number(_TYPE, DIRECTORY_TYPE)


def encode_shard(bits: bytes, hash_type: int, fanout: int) -> bytes:
    """Write the UnixFS data of a HAMT shard."""
    return (
        encode_number(_TYPE, SHARD_TYPE)
        + encode_field(_DATA, bits)
        + encode_number(_HASH_TYPE, hash_type)
        + encode_number(_FANOUT, fanout)
    )


def decode_node(link: Link, data: bytes) -> Node:
    """Read a dag-pb block of UnixFS."""
    try:
        if codec_of(link) != DAG_PB:
            raise CodecError("codec is not dag-pb")
        links, payload = _split_node(data)
        if payload is None:
            raise CodecError("no UnixFS data")
        return _decode_payload(payload, list(map(_decode_link, links)))
    except CodecError as error:
        raise InvalidNodeError(f"block {to_text(link)} is not of UnixFS: {error}") from error


def _decode_payload(payload: bytes, links: list[PBLink]) -> Node:
    content, sizes = b"", []
    numbers: dict[int, int] = {}
    for number, value in _iter_fields(payload):
        if number == _DATA and isinstance(value, bytes):
            content = value
        elif number == _BLOCK_SIZES and isinstance(value, int):
            sizes.append(value)
        elif isinstance(value, int):
            numbers[number] = value
    if _TYPE not in numbers:
        raise CodecError("UnixFS data without a type")
    return Node(
        numbers[_TYPE],
        content,
        numbers.get(_SIZE),
        sizes,
        numbers.get(_HASH_TYPE),
        numbers.get(_FANOUT),
        links,
    )


def iter_pb_links(data: bytes) -> Iterator[Link]:
    """Iterate the CIDs in the links of a dag-pb block, in order."""
    return (_decode_link(link).link for link in _split_node(data)[0])


def _split_node(data: bytes) -> tuple[list[bytes], bytes | None]:
    """Return the encoded links of a block, and its data, which comes before or after all of them.

    Raises `CodecError` if anything else is in the block, or data stands between links or twice: it
    would be a second form of the same content.
    """
    links: list[bytes] = []
    payload = None
    last = None
    for number, value in _iter_fields(data):
        if number not in (_NODE_DATA, _NODE_LINK) or not isinstance(value, bytes):
            raise CodecError(f"dag-pb: field {number} is neither a link nor data")
        if number == _NODE_DATA and payload is not None:
            raise CodecError("dag-pb: data twice")
        if number == _NODE_LINK and links and last == _NODE_DATA:
            raise CodecError("dag-pb: data between links")
        if number == _NODE_LINK:
            links.append(value)
        else:
            payload = value
        last = number
    return links, payload


def _decode_link(value: bytes) -> PBLink:
    fields: dict[int, int | bytes] = {}
    for number, field in _iter_fields(value):
        kind = _LINK_KINDS.get(number, type(None))
        if number <= max(fields, default=0) or not isinstance(field, kind):
            raise CodecError(f"dag-pb link: field {number}, expected CID, name and size in order")
        fields[number] = field
    cid, name, size = map(fields.get, _LINK_KINDS)
    if not isinstance(cid, bytes):
        raise CodecError("dag-pb link without a CID")
    try:
        return PBLink(canonical(parse_link(cid)), name or b"", size)  # type: ignore[arg-type]
    except InvalidCIDError as error:
        raise CodecError(f"dag-pb link: {error}") from None


def _iter_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    if len(data) > MAX_PB_BYTES:
        raise CodecError(f"dag-pb: {len(data)} bytes, at most {MAX_PB_BYTES}", offset=0)
    position = 0
    while position < len(data):
        start = position
        try:
            tag, position = decode_varint(data, position)
            value, position = decode_varint(data, position)
        except InvalidCIDError as error:
            raise CodecError(f"dag-pb: {error}", offset=start) from None
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            yield number, value
        elif wire_type == _LENGTH_DELIMITED and position + value <= len(data):
            yield number, data[position : position + value]
            position += value
        else:
            raise CodecError(f"dag-pb: malformed field at byte {start}", offset=start)
