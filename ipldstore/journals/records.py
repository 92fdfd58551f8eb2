"""The records of a journal: what a process changed in a hierarchy, as bytes that others read."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

from ipldstore.cid import Link
from ipldstore.errors import CodecError, InvalidNodeError, IPLDStoreError
from ipldstore.formats import dagcbor
from ipldstore.history.fields import check_count, check_integer, check_text, check_time, check_type
from ipldstore.limits import (
    MAX_JOURNAL_BYTES,
    MAX_JOURNALS,
    MAX_POINTER_NAME_LENGTH,
)
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_key

_SIZES = struct.Struct(">II")
_HEAD = struct.Struct(">III")
_FIELDS = 3


class Change(NamedTuple):
    """A key that was given a value, or was deleted (None)."""

    key: str
    entry: Link | Document | None


class Removal(NamedTuple):
    """A directory that was deleted with all below it; of the root the path is empty."""

    path: str


Record: TypeAlias = Change | Removal


class Frame(NamedTuple):
    """What was appended to a journal at once.

    `start` and `stop` say where it is in the journal. `time` is in microseconds since 1970. `seen`
    says of how many bytes of other journals the writer knew since this one, where that is more than
    before.
    """

    start: int
    stop: int
    time: int
    seen: Mapping[str, int]
    records: Sequence[Record]


def encode_frame(records: Sequence[Record], seen: Mapping[str, int]) -> bytes:
    """Write what is appended to a journal at once."""
    now = time.time_ns() // 1000
    first = records[0]
    if len(records) == 1 and not seen and type(first) is Change and type(first.entry) is Link:
        payload = _encode_link(now, first.key, first.entry)
    else:
        payload = dagcbor.encode([now, dict(seen), [_to_value(record) for record in records]])
    sizes = _SIZES.pack(len(payload), crc32(payload))
    return b"%b%b%b" % (sizes, crc32(sizes).to_bytes(4, "big"), payload)


def _encode_link(now: int, key: str, link: Link) -> bytes:
    """Encode the record that most are: of one key, which is given a link."""
    moment = dagcbor.encode_head(0, now)
    return b"\x83%b\xa0\x81\x82%b%b" % (
        moment,
        dagcbor.encode_text(key),
        dagcbor.encode_link(link),
    )


def _to_value(record: Record) -> list[Any]:
    if isinstance(record, Removal):
        return [record.path]
    entry = record.entry
    return [record.key, entry.encoded if isinstance(entry, Document) else entry]


def iter_frames(data: bytes, offset: int = 0) -> Iterator[Frame]:
    """Iterate the frames in a journal's bytes from an offset on.

    It ends before a frame that is not whole, as of a writer that is about to append it, or died.
    Raises `InvalidNodeError` if a whole one is damaged, or breaks a rule.
    """
    position = 0
    while len(data) - position >= _HEAD.size:
        where = offset + position
        size, checksum, checked = _HEAD.unpack_from(data, position)
        if checked != crc32(data[position : position + _SIZES.size]):
            if data.count(0, position) == len(data) - position:
                return  # which a power cut leaves of what was not forced to the disk
            raise InvalidNodeError(f"record at byte {where} of a journal is damaged")
        stop = position + _HEAD.size + size
        if stop > len(data):
            return
        payload = data[position + _HEAD.size : stop]
        if crc32(payload) != checksum:
            raise InvalidNodeError(f"record at byte {where} of a journal is damaged")
        try:
            yield _read(payload, where, offset + stop)
        except (CodecError, IPLDStoreError) as error:
            raise InvalidNodeError(f"record at byte {where} of a journal: {error}") from error
        position = stop


def _read(payload: bytes, start: int, stop: int) -> Frame:
    value = dagcbor.decode(payload)
    check_type("it", value, list)
    check_count("fields", len(value), _FIELDS)
    if len(value) < _FIELDS:
        raise InvalidNodeError(f"{len(value)} fields, expected {_FIELDS}")
    moment, seen, records = value
    check_time("its time", moment)
    check_type("what was seen", seen, dict)
    check_count("journals", len(seen), MAX_JOURNALS)
    for name, position in seen.items():
        check_text("name of a journal", name, MAX_POINTER_NAME_LENGTH, 1)
        check_integer(f"position in journal {name!r}", position, 1, MAX_JOURNAL_BYTES)
    check_type("changes", records, list)
    return Frame(start, stop, moment, seen, [_to_record(record) for record in records])


def _to_record(value: Any) -> Record:
    check_type("a change", value, list)
    if not 1 <= len(value) <= 2:
        raise InvalidNodeError(f"a change of {len(value)} items, expected 1 or 2")
    check_type("a key", value[0], str)
    if len(value) == 1:
        if value[0]:
            split_key(value[0])
        return Removal(value[0])
    key, entry = value
    split_key(key)
    if isinstance(entry, bytes) and not isinstance(entry, Link):
        entry = _to_document(entry)
    elif not (entry is None or isinstance(entry, Link)):
        raise InvalidNodeError(f"key {key!r} is given {type(entry).__name__}, expected a link")
    return Change(key, entry)


def _to_document(encoded: bytes) -> Document:
    value = dagcbor.decode(encoded)
    check_type("a document", value, dict)
    return Document(encoded, dagcbor.nesting(value))
