"""Unsigned varints, as the specification of multiformats has them."""

from __future__ import annotations

from ipldstore.errors import InvalidCIDError
from ipldstore.limits import MAX_VARINT_BYTES


def encode_varint(number: int) -> bytes:
    """Write a non-negative integer as an unsigned varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_varint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Read an unsigned varint and say where it ends."""
    number = 0
    for index, byte in enumerate(data[offset : offset + MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index:
                raise InvalidCIDError(f"varint at byte {offset} is not minimal")
            return number, offset + index + 1
    if len(data) - offset >= MAX_VARINT_BYTES:
        raise InvalidCIDError(f"varint at byte {offset} is longer than {MAX_VARINT_BYTES} bytes")
    raise InvalidCIDError(f"varint at byte {offset} is cut short")
