"""DAG-CBOR for tree nodes: strict, iterative, and fast on maps of links.

One canonical form is written and no other is read, as the DAG-CBOR specification asks: minimal
integers and lengths, definite lengths, 64-bit floats, text keys in length-first order, tag 42 for
links. Links come out as `Link`, byte strings as ``bytes``. Nesting is bounded, and every length
is checked against the bytes that are left before anything is made of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from math import isfinite
from operator import itemgetter
from typing import Any

from ipldstore.cid import Link, canonical, parse_link
from ipldstore.errors import CodecError, InvalidCIDError
from ipldstore.limits import MAX_CBOR_BYTES, MAX_CBOR_ITEMS, MAX_NESTING

MAX_DEPTH = MAX_NESTING
MAX_INTEGER = 2**64 - 1
MIN_INTEGER = -(2**64)

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_CONTAINERS = (_ARRAY, _MAP)
_FALSE, _TRUE, _NULL, _FLOAT64 = 0xF4, 0xF5, 0xF6, 0xFB
_CONSTANTS = {_FALSE: False, _TRUE: True, _NULL: None}

LINK_HEAD = b"\xd8\x2a\x58\x25\x00"
"""Tag 42, a byte string of 37 bytes, the identity multibase: what comes before a 36-byte CID."""

_LINK_SIZE = len(LINK_HEAD) + 36
_COMMON_LINKS = frozenset(LINK_HEAD + bytes((1, codec, 0x12, 0x20)) for codec in (0x55, 0x70, 0x71))
_COMMON_SIZE = len(LINK_HEAD) + 4

SHORT_TEXT = tuple(bytes((0x60 + size,)) for size in range(24))
"""What comes before text of fewer than 24 bytes, by their number."""


def decode(data: bytes) -> Any:
    """Decode one canonical DAG-CBOR block, if it keeps to the limits."""
    end = len(data)
    if end > MAX_CBOR_BYTES:
        raise CodecError(f"{end} bytes of DAG-CBOR, at most {MAX_CBOR_BYTES}", offset=0)
    value, position, _ = decode_item(data, 0, MAX_CBOR_ITEMS)
    if position != end:
        raise CodecError(f"{end - position} trailing bytes at byte {position}", offset=position)
    return value


def decode_item(  # noqa: C901 - one loop, for speed
    data: bytes, position: int, items: int, depth: int = 0
) -> tuple[Any, int, int]:
    """Decode one item of a block.

    It may hold `items` more in its lists and maps, and has `depth` levels of these around it.
    Returns it, where it ends, and how many items may be left after it; errors are as in `decode`.
    """
    end = len(data)
    result: list[Any] = []
    stack: list[tuple[Any, int, bool, bytes]] = []
    container: Any = result
    remaining, in_map, previous, key = 1, False, b"", ""
    while True:
        while not remaining:
            if not stack:
                return result[0], position, items
            container, remaining, in_map, previous = stack.pop()
        remaining -= 1
        if in_map:
            start = position
            if start < end and 0x60 <= (head := data[start]) < 0x78:
                text, position = start + 1, start + head - 0x5F
            else:
                text, position = _decode_long_key(data, start, end)
            encoded_key = data[start:position]
            try:
                key = data[text:position].decode()
            except UnicodeDecodeError:
                raise CodecError(f"map key at byte {start} is not UTF-8", offset=start) from None
            if position > end:
                raise CodecError(f"map key at byte {start} is longer than the data", offset=start)
            if encoded_key <= previous:
                raise CodecError(
                    f"map key {key!r} at byte {start} repeated or out of order", offset=start
                )
            previous = encoded_key
            stop = position + _LINK_SIZE
            if data[position : position + _COMMON_SIZE] in _COMMON_LINKS and stop <= end:
                container[key] = Link(data[position + 5 : stop])
                position = stop
                continue
        start = position
        major, argument, position = decode_head(data, start, end)
        value: Any
        if major in _CONTAINERS:
            if argument << (major == _MAP) > end - position:
                raise CodecError(
                    f"{argument} items announced at byte {start}, {end - position} bytes left",
                    offset=start,
                )
            items -= argument
            if items < 0:
                raise CodecError(f"more than {MAX_CBOR_ITEMS} items at byte {start}", offset=start)
            value = {} if major == _MAP else []
        elif major == _UNSIGNED:
            value = argument
        elif major == _NEGATIVE:
            value = -1 - argument
        elif major == _TEXT:
            value, position = _decode_text(data, start, position, argument, end)
        elif major == _BYTES:
            value, position = _take(data, start, position, argument, end)
        elif major == _TAG:
            value, position = _decode_link(data, start, argument, position, end)
        else:
            value, position = _decode_simple(data, start, end)
        if in_map:
            container[key] = value
        else:
            container.append(value)
        if major in _CONTAINERS:
            stack.append((container, remaining, in_map, previous))
            if len(stack) + depth > MAX_DEPTH:
                raise CodecError(
                    f"nested more than {MAX_DEPTH} levels deep at byte {start}", offset=start
                )
            container, remaining, in_map, previous = value, argument, major == _MAP, b""


def _decode_long_key(data: bytes, start: int, end: int) -> tuple[int, int]:
    major, size, position = decode_head(data, start, end)
    if major != _TEXT:
        raise CodecError(f"map key at byte {start} is not text", offset=start)
    return position, position + size


def decode_head(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    """Return an item's major type, its argument, and where its head ends."""
    if start >= end:
        raise CodecError(f"data ends at byte {start}, expected an item", offset=start)
    major, argument = data[start] >> 5, data[start] & 0x1F
    if major == _SIMPLE or argument < 24:
        return major, argument, start + 1
    if argument > 27:
        raise CodecError(f"indefinite or reserved length at byte {start}", offset=start)
    size = 1 << (argument - 24)
    position = start + 1 + size
    if position > end:
        raise CodecError(f"data ends within the head at byte {start}", offset=start)
    argument = int.from_bytes(data[start + 1 : position], "big")
    if argument < (24 if size == 1 else 1 << (4 * size)):
        raise CodecError(f"integer or length at byte {start} is not minimal", offset=start)
    return major, argument, position


def _take(data: bytes, start: int, position: int, size: int, end: int) -> tuple[bytes, int]:
    stop = position + size
    if stop > end:
        raise CodecError(
            f"{size} bytes announced at byte {start}, {end - position} left", offset=start
        )
    return data[position:stop], stop


def _decode_text(data: bytes, start: int, position: int, size: int, end: int) -> tuple[str, int]:
    payload, stop = _take(data, start, position, size, end)
    try:
        return payload.decode(), stop
    except UnicodeDecodeError:
        raise CodecError(f"text at byte {start} is not UTF-8", offset=start) from None


def _decode_link(data: bytes, start: int, tag: int, position: int, end: int) -> tuple[Link, int]:
    if tag != 42:
        raise CodecError(f"tag {tag} at byte {start}, expected 42", offset=start)
    major, size, position = decode_head(data, position, end)
    if major != _BYTES:
        raise CodecError(f"link at byte {start} is not a byte string", offset=start)
    payload, stop = _take(data, start, position, size, end)
    if payload[:1] != b"\x00":
        raise CodecError(f"link at byte {start} lacks its leading zero byte", offset=start)
    try:
        return parse_link(payload[1:]), stop
    except InvalidCIDError as error:
        raise CodecError(f"link at byte {start}: {error}", offset=start) from None


def _decode_simple(data: bytes, start: int, end: int) -> tuple[bool | float | None, int]:
    head = data[start]
    if head in _CONSTANTS:
        return _CONSTANTS[head], start + 1
    if head != _FLOAT64:
        raise CodecError(
            f"simple value {head:#04x} at byte {start}, "
            "expected false, true, null or a 64-bit float",
            offset=start,
        )
    payload, stop = _take(data, start, start + 1, 8, end)
    number: float = struct.unpack(">d", payload)[0]
    if not isfinite(number):
        raise CodecError(f"float at byte {start} is not finite", offset=start)
    return number, stop


def encode(value: Any) -> bytes:
    """Encode a value of the types that `decode` returns as canonical DAG-CBOR."""
    out: list[bytes] = []
    _encode(value, out, 0)
    return b"".join(out)


def _encode(value: Any, out: list[bytes], depth: int) -> None:
    if isinstance(value, Link):
        out.append(encode_link(value))
    elif isinstance(value, str):
        out.append(encode_text(value))
    elif isinstance(value, dict):
        _check_depth(depth)
        out.append(encode_head(_MAP, len(value)))
        for key, item in sorted(
            [(encode_key(key), item) for key, item in value.items()], key=itemgetter(0)
        ):
            out.append(key)
            _encode(item, out, depth + 1)
    elif isinstance(value, list | tuple):
        _check_depth(depth)
        out.append(encode_head(_ARRAY, len(value)))
        for item in value:
            _encode(item, out, depth + 1)
    else:
        out.append(_encode_scalar(value))


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise CodecError(f"nested more than {MAX_DEPTH} levels deep")


def _encode_scalar(value: Any) -> bytes:
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise CodecError(f"integer {value:#x} needs more than 64 bits")
        return encode_head(_UNSIGNED, value) if value >= 0 else encode_head(_NEGATIVE, -1 - value)
    if isinstance(value, float):
        if not isfinite(value):
            raise CodecError(f"float {value} is not finite")
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return encode_head(_BYTES, len(value)) + value
    raise CodecError(f"DAG-CBOR has no form for {type(value).__name__}")


def encode_head(major: int, argument: int) -> bytes:
    """Write the head of an item: its major type (0 to 7) and a minimal argument."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    power = max(0, (argument.bit_length() - 1).bit_length() - 3)
    return bytes((major << 5 | 24 + power,)) + argument.to_bytes(1 << power, "big")


def encode_map_head(size: int) -> bytes:
    """Write the head of a map of ``size`` pairs."""
    return encode_head(_MAP, size)


def encode_list_head(size: int) -> bytes:
    """Write the head of a list of ``size`` items."""
    return encode_head(_ARRAY, size)


def encode_text(text: str) -> bytes:
    """Write a text string; as a map key, such bytes sort in DAG-CBOR order."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise CodecError(f"text {text!r} holds a lone surrogate") from None
    size = len(data)
    return (SHORT_TEXT[size] if size < 24 else encode_head(_TEXT, size)) + data


def encode_texts(texts: Iterable[str]) -> list[bytes]:
    """Write several text strings, each as `encode_text` does."""
    texts = list(texts)
    try:
        encoded = list(map(str.encode, texts))
        return [SHORT_TEXT[len(data)] + data for data in encoded]
    except (UnicodeEncodeError, IndexError):
        return list(map(encode_text, texts))


def encode_key(key: Any) -> bytes:
    """Write a map key, which must be text."""
    if not isinstance(key, str):
        raise CodecError(f"map key {key!r} is not text")
    return encode_text(key)


def encode_link(link: bytes) -> bytes:
    """Write a link."""
    if len(link) == 36:
        return LINK_HEAD + link
    return b"\xd8\x2a" + encode_head(_BYTES, len(link) + 1) + b"\x00" + link


def iter_links(value: Any) -> Iterator[Link]:
    """Iterate the links in a decoded value as CIDv1, in the order in which its block holds them."""
    stack = [iter((value,))]
    while stack:
        for item in stack[-1]:
            if type(item) is Link:
                yield canonical(item)
            elif isinstance(item, dict | list):
                stack.append(iter(item.values() if isinstance(item, dict) else item))
                break
        else:
            stack.pop()


def nesting(value: Any) -> int:
    """Count the levels of maps and lists in a value: 0 for a scalar, 1 for ``{}``."""
    deepest = 0
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, depth + 1)
            children = item.values() if isinstance(item, dict) else item
            stack.extend((child, depth + 1) for child in children)
    return deepest
