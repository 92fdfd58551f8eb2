"""The fields of commits and states: which there may be, and of what type and size."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ipldstore.cid import DAG_CBOR, Link, codec_of, to_text
from ipldstore.errors import CodecError, InvalidCIDError, InvalidNameError, InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.history.kinds import Kind
from ipldstore.limits import MAX_TIME

VERSION = 1

_WORDS = {
    dict: "a map",
    list: "a list",
    str: "text",
    bytes: "bytes",
    Link: "a link",
    int: "an integer",
    float: "a float",
    bool: "a boolean",
    type(None): "null",
}


@contextmanager
def reading(link: Link, kind: Kind) -> Iterator[None]:
    """Say of a fault in which block it is."""
    try:
        yield
    except (CodecError, InvalidCIDError, InvalidNameError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} holds no {kind}: {error}") from error


def decode_map(link: Link, data: bytes, most: int) -> dict[str, Any]:
    """Decode a block of at most so many bytes that holds a map."""
    if codec_of(link) != DAG_CBOR:
        raise InvalidNodeError(
            f"its codec is {codec_of(link):#x}, expected {DAG_CBOR:#x} (dag-cbor)"
        )
    check_size("it", len(data), most)
    value = dagcbor.decode(data)
    check_type("it", value, dict)
    return value  # type: ignore[no-any-return]


def check_version(name: str, value: dict[str, Any]) -> None:
    """Refuse what a later version may have written, and what has no version."""
    _check_present(value, (name,))
    check_integer(name, value[name], VERSION, VERSION)


def check_names(
    value: dict[str, Any], required: Collection[str], optional: Collection[str] = ()
) -> None:
    """Refuse a map that lacks a field, or has another one; what is absent is never null."""
    _check_present(value, required)
    for name, item in value.items():
        if name not in required and name not in optional:
            raise InvalidNodeError(f"{name[:100]!r} is no field of it")
        if item is None:
            raise InvalidNodeError(f"{name} is null")


def _check_present(value: dict[str, Any], names: Collection[str]) -> None:
    for name in names:
        if name not in value:
            raise InvalidNodeError(f"{name} is missing")


def check_type(name: str, value: object, expected: type) -> None:
    """Refuse a value of another type, of a subclass too: a link is no byte string."""
    if type(value) is not expected:
        raise InvalidNodeError(f"{name} is {_word(type(value))}, expected {_word(expected)}")


def _word(kind: type) -> str:
    return _WORDS.get(kind, kind.__name__)


def check_integer(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is no integer between two."""
    check_type(name, value, int)
    assert isinstance(value, int)
    if not least <= value <= most:
        expected = least if least == most else f"{least} to {most}"
        raise InvalidNodeError(f"{name} is {value}, expected {expected}")


def check_time(name: str, value: object) -> None:
    """Refuse what is no time, in microseconds since 1970."""
    check_integer(name, value, 0, MAX_TIME)


def check_text(name: str, value: object, most: int, least: int = 0) -> None:
    """Refuse what is no text of at most so many bytes in UTF-8."""
    check_type(name, value, str)
    assert isinstance(value, str)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidNodeError(f"{name} holds a lone surrogate") from None
    check_size(name, size, most, least)


def check_size(name: str, size: int, most: int, least: int = 0) -> None:
    """Refuse what has too many bytes, or too few."""
    if size > most:
        raise InvalidNodeError(f"{name} has {size} bytes, at most {most}")
    if size < least:
        raise InvalidNodeError(f"{name} has {size} bytes, at least {least}")


def check_count(name: str, count: int, most: int) -> None:
    """Refuse too many of something."""
    if count > most:
        raise InvalidNodeError(f"{count} {name}, at most {most}")


def check_node(name: str, value: object) -> None:
    """Refuse what is no link, a CIDv1, to a block of codec dag-cbor."""
    check_type(name, value, Link)
    assert isinstance(value, Link)
    if value[0] != 1 or codec_of(value) != DAG_CBOR:
        raise InvalidNodeError(f"{name} is {value}, expected a CIDv1 of codec dag-cbor")
