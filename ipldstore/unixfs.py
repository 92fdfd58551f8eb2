"""dag-pb blocks, as far as they carry the links of UnixFS files.

The wire form is that of the DAG-PB specification: a protocol-buffers message whose field 2 is a
link, of which field 1 is the CID.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipldstore.cid import Link, canonical, decode_varint, parse_link
from ipldstore.errors import CodecError, InvalidCIDError

_LENGTH_DELIMITED = 2
_VARINT = 0


def iter_pb_links(data: bytes) -> Iterator[Link]:
    """Iterate the links of a dag-pb block as CIDv1, in order.

    Raises
    ------
    CodecError
        If the block is malformed.
    """
    for number, value in _iter_fields(data):
        if number == 2:
            hashes = [field for inner, field in _iter_fields(value) if inner == 1]
            if len(hashes) != 1:
                raise CodecError(f"dag-pb link with {len(hashes)} CIDs, expected one")
            try:
                yield canonical(parse_link(hashes[0]))
            except InvalidCIDError as error:
                raise CodecError(f"dag-pb link: {error}") from None


def _iter_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        start = position
        try:
            tag, position = decode_varint(data, position)
            size, position = decode_varint(data, position)
        except InvalidCIDError as error:
            raise CodecError(f"dag-pb: {error}", offset=start) from None
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            continue
        if wire_type != _LENGTH_DELIMITED or position + size > len(data):
            raise CodecError(f"dag-pb: malformed field at byte {start}", offset=start)
        yield number, data[position : position + size]
        position += size
