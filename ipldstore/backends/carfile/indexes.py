"""The index of a CARv2 archive: digests, and where in the payload their sections are said to be.

IndexSorted and MultihashIndexSorted are read, as the CARv2 specification describes them and go-car
writes them: where the specification has the number of entries, go-car has their size in bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from ipldstore.errors import CarFormatError
from ipldstore.limits import MAX_DIGEST_BYTES

_INDEX_SORTED = b"\x80\x08"
_MULTIHASH_INDEX_SORTED = b"\x81\x08"
_COUNT = struct.Struct("<i")
_CODE = struct.Struct("<Q")
_BUCKET = struct.Struct("<IQ")
_OFFSET_BYTES = 8
_ENTRIES_AT_ONCE = 4096


def iter_index(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Iterate the digests in an index, each with an offset from the start of the payload.

    The stream stands where the index begins, and ends where it ends. Raises `CarFormatError` if the
    index is of another format, malformed or cut short.
    """
    form = stream.read(len(_INDEX_SORTED))
    if form == _MULTIHASH_INDEX_SORTED:
        (count,) = _unpack(stream, _COUNT)
        for _ in range(count):
            _unpack(stream, _CODE)
            yield from _iter_buckets(stream)
    elif form == _INDEX_SORTED:
        yield from _iter_buckets(stream)
    else:
        raise CarFormatError(f"CARv2 index of an unknown format, it begins with {form!r}")


def _iter_buckets(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    (count,) = _unpack(stream, _COUNT)
    for _ in range(count):
        width, left = _unpack(stream, _BUCKET)
        if not _OFFSET_BYTES < width <= _OFFSET_BYTES + MAX_DIGEST_BYTES or left % width:
            raise CarFormatError(f"CARv2 index has {left} bytes of entries of {width} bytes")
        while left:
            size = min(left, width * _ENTRIES_AT_ONCE)
            entries = _read(stream, size)
            for at in range(0, size, width):
                digest = entries[at : at + width - _OFFSET_BYTES]
                offset = entries[at + width - _OFFSET_BYTES : at + width]
                yield digest, int.from_bytes(offset, "little")
            left -= size


def _unpack(stream: BinaryIO, form: struct.Struct) -> tuple[int, ...]:
    return form.unpack(_read(stream, form.size))


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise CarFormatError(f"CARv2 index ends {size - len(data)} bytes short")
    return data
