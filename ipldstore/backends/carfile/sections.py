"""The parts of a CAR archive in a file, read by offset: its layout, and its sections' heads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ipldstore.cid import SHA2_256_MULTIHASH, Link, canonical, read_link
from ipldstore.errors import CarFormatError, InvalidCIDError
from ipldstore.formats.car import CarReader
from ipldstore.formats.varint import decode_varint
from ipldstore.limits import MAX_CAR_HEAD_BYTES, MAX_CAR_SECTION_BYTES, MAX_VARINT_BYTES

_WINDOW_BYTES = 16 << 10
_PIECE_BYTES = 1 << 20
_SECTOR_BYTES = 512


class Layout(NamedTuple):
    """Where the parts of an archive are, in bytes from the start of its file.

    `payload` is where the CARv1 header begins, `sections` where the first section does. `end` is
    where the payload ends, None where that is the end of the file; `index_start` is where a CARv2
    index begins, 0 if there is none.
    """

    version: int
    roots: list[Link]
    payload: int
    sections: int
    end: int | None
    index_start: int


class Section(NamedTuple):
    """A block in an archive.

    `offset` is where its length begins in the file; its bytes begin at `start` and end at `end`.
    """

    cid: Link
    offset: int
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def read_layout(descriptor: int) -> Layout:
    """Read the header of an archive, until it reads the same twice: it may be written meanwhile.

    Raises `CarFormatError` if it is malformed, or a CARv2 archive is shorter than it says.
    """
    layout = _read_layout(descriptor)
    while layout != (again := _read_layout(descriptor)):
        layout = again
    size = os.fstat(descriptor).st_size
    if layout.end is not None and layout.end > size:
        raise CarFormatError(
            f"CARv2 payload ends at byte {layout.end}, the file at byte {size}", offset=size
        )
    return layout


def _read_layout(descriptor: int) -> Layout:
    with open(descriptor, "rb", closefd=False) as stream:
        stream.seek(0)
        reader = CarReader(stream)
    return Layout(
        reader.version,
        reader.roots,
        reader.payload_start,
        reader.offset,
        reader.payload_end,
        reader.index_start,
    )


def read_section(descriptor: int, offset: int, end: int) -> Section | None:
    """Read the head of the section at an offset; see `parse_section`."""
    return parse_section(os.pread(descriptor, MAX_CAR_HEAD_BYTES, offset), 0, offset, end)


def iter_sections(descriptor: int, offset: int, end: int) -> Iterator[Section]:
    """Read the heads of all sections from an offset on, up to one that is cut short.

    One whose head was lost when the machine went down is that too: some file systems leave zeros in
    place of sectors that were not written yet. Raises `CarFormatError` if one is malformed.
    """
    window, window_start = b"", offset
    while offset < end:
        at = offset - window_start
        if at + MAX_CAR_HEAD_BYTES > len(window):
            window, window_start, at = os.pread(descriptor, _WINDOW_BYTES, offset), offset, 0
        try:
            section = parse_section(window, at, offset, end)
        except CarFormatError:
            if not is_lost(descriptor, offset, end):
                raise
            section = None
        if section is None:
            return
        yield section
        offset = section.end


def is_lost(descriptor: int, offset: int, end: int) -> bool:
    """Whether there are zeros where the head of a section should be, up to the end of a sector."""
    border = _SECTOR_BYTES - offset % _SECTOR_BYTES
    data = os.pread(descriptor, min(border + _SECTOR_BYTES, end - offset), offset)
    own, next_sector = data[:border], data[border:]
    is_within = border >= MAX_CAR_HEAD_BYTES or not next_sector
    return not own.strip(b"\0") or not (is_within or next_sector.strip(b"\0"))


def find_nonzero(descriptor: int, offset: int, end: int) -> int | None:
    """Return where the first byte is from an offset on that is not zero; None if there is none."""
    while piece := os.pread(descriptor, min(_PIECE_BYTES, end - offset), offset):
        if rest := piece.lstrip(b"\0"):
            return offset + len(piece) - len(rest)
        offset += len(piece)
    return None


def parse_section(window: bytes, at: int, offset: int, end: int) -> Section | None:
    """Read the head of a section.

    The window holds at least `MAX_CAR_HEAD_BYTES` from `at` on, or all that there are; `offset` is
    where the section begins in the file. What is said to go beyond `end`, where the archive ends in
    the file, is not believed. Returns None if the archive ends within the section, and raises
    `CarFormatError` if that is malformed.
    """
    if end - offset < MAX_VARINT_BYTES and all(byte > 0x7F for byte in window[at:]):
        return None
    try:
        length, start = decode_varint(window, at)
        if not 0 < length <= MAX_CAR_SECTION_BYTES:
            raise CarFormatError(f"section of {length} bytes at byte {offset}", offset=offset)
        section_end = offset + start - at + length
        if section_end > end:
            return None
        head = window[start : start + min(length, MAX_CAR_HEAD_BYTES)]
        if head[0] == 1 and head[1] < 0x80 and head[2:4] == SHA2_256_MULTIHASH and length >= 36:
            link, size = Link(head[:36]), 36
        else:
            link, size = read_link(head)
            link = canonical(link)
    except (InvalidCIDError, IndexError) as error:
        raise CarFormatError(f"section at byte {offset}: {error}", offset=offset) from error
    return Section(link, offset, offset + start - at + size, section_end)
