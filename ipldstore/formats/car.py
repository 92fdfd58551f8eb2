"""CAR archives: write CARv1, read CARv1 and the CARv1 payload of CARv2.

An archive is a header that names the roots, then sections: a length, a CID and a block's bytes.
Both directions are streams that hold one block at a time. The forms are those of the CARv1 and
CARv2 specifications of IPLD.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ipldstore.cid import Link, canonical, parse_link, read_link, verify_block
from ipldstore.errors import CarFormatError, CodecError, CorruptBlockError, InvalidCIDError
from ipldstore.formats import dagcbor
from ipldstore.formats.magic import CAR, kind_of
from ipldstore.formats.varint import encode_varint
from ipldstore.limits import MAX_CAR_HEADER_BYTES, MAX_CAR_SECTION_BYTES, MAX_VARINT_BYTES

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 512
_USUAL_LINK_BYTES = 36
_V2_HEADER = struct.Struct("<16xQQQ")
_V2_PRAGMA_BYTES = 11
_V2_PAYLOAD_START = _V2_PRAGMA_BYTES + _V2_HEADER.size


def write_car(stream: BinaryIO, root: Link, blocks: Iterable[tuple[Link, bytes]]) -> int:
    """Write a CARv1 archive with one root, and blocks in their order, and return its size."""
    written = _write(stream, encode_header(root))
    for link, data in blocks:
        written += _write(stream, encode_section_head(link, len(data)))
        written += _write(stream, data)
    return written


def encode_header(root: Link) -> bytes:
    """Write what a CARv1 archive with one root begins with."""
    header = dagcbor.encode({"roots": [root], "version": 1})
    return encode_varint(len(header)) + header


def encode_section_head(link: Link, size: int) -> bytes:
    """Write what stands before a block of so many bytes."""
    return encode_varint(len(link) + size) + link


def _write(stream: BinaryIO, data: bytes) -> int:
    view = memoryview(data)
    while view:
        count = stream.write(view)
        if count is None:
            raise BlockingIOError("cannot write an archive to a stream in non-blocking mode")
        view = view[count:]
    return len(data)


class CarReader:
    """A CAR archive, read from its beginning to its end, once.

    Iterating it gives pairs of CID and bytes, each block verified against the CID that the
    archive declares for it.

    The stream need not be seekable. `max_section_bytes` is how long a block and its CID may be
    together; with `allow_padding`, zeros may follow the last section, and nothing after them.
    `payload_start` and `payload_end` are where the CARv1 archive within a CARv2 one begins and
    ends, in bytes from the start of the stream; 0 and None in a CARv1 archive. `index_start` is
    where the index of a CARv2 archive begins; 0 if there is none. Raises `CarFormatError`, here and
    while iterating, if the archive is malformed or truncated, or a block does not hash to its CID.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        max_section_bytes: int = MAX_CAR_SECTION_BYTES,
        allow_padding: bool = False,
    ) -> None:
        self._input = _Input(stream)
        self._max_section_bytes = max_section_bytes
        self._allow_padding = allow_padding
        self.payload_start = self.index_start = 0
        try:
            self.version, self.roots = self._read_header(allow_v2=True)
        except CarFormatError as error:
            kind = kind_of(self._input.finish_head())
            if kind in (None, CAR):
                raise
            raise CarFormatError(
                f"no CAR archive: it looks like {kind}", offset=error.offset
            ) from error
        self._input.finish_head()

    @property
    def offset(self) -> int:
        """How many bytes of the stream were read: at first, where the first section begins."""
        return self._input.offset

    @property
    def payload_end(self) -> int | None:
        return self._input.end

    def __iter__(self) -> Iterator[tuple[Link, bytes]]:
        while (size := self._read_length(self._max_section_bytes, "section")) is not None:
            start = self._input.offset
            if not size:
                self._skip_padding(start - 1)
                return
            head = self._input.read(min(size, _USUAL_LINK_BYTES))
            data = self._input.read(size - len(head))
            try:
                link, data = _split_section(head, data)
                verify_block(link, data)
            except (InvalidCIDError, CorruptBlockError) as error:
                raise CarFormatError(f"section at byte {start}: {error}", offset=start) from error
            yield link, data

    def _read_header(self, *, allow_v2: bool) -> tuple[int, list[Link]]:
        size = self._read_length(MAX_CAR_HEADER_BYTES, "header")
        if size is None:
            raise CarFormatError("an empty file, expected a CAR archive", offset=self._input.offset)
        start = self._input.offset
        data = self._input.read(size)
        try:
            header = dagcbor.decode(data)
        except CodecError as error:
            raise CarFormatError(
                f"not a CAR archive, where its header should be is {data[:20]!r}: {error}",
                offset=start,
            ) from error
        if allow_v2 and _is_v2(header):
            self._enter_payload()
            _, roots = self._read_header(allow_v2=False)
            return 2, roots
        if not isinstance(header, dict) or header.keys() != {"roots", "version"}:
            raise CarFormatError("CAR header is not a map of roots and version", offset=start)
        version, roots = header["version"], header["roots"]
        if type(version) is not int or version != 1:
            raise CarFormatError(f"CAR version {version!r}, expected 1", offset=start)
        if not isinstance(roots, list) or any(type(root) is not Link for root in roots):
            raise CarFormatError("CAR roots are not a list of links", offset=start)
        return 1, [canonical(root) for root in roots]

    def _enter_payload(self) -> None:
        start = self._input.offset
        data_offset, data_size, index_offset = _V2_HEADER.unpack(self._input.read(_V2_HEADER.size))
        if data_offset < _V2_PAYLOAD_START:
            raise CarFormatError(
                f"CARv2 payload at byte {data_offset}, within the header", offset=start
            )
        self._input.skip(data_offset - self._input.offset)
        self._input.end = data_offset + data_size
        self.payload_start, self.index_start = data_offset, index_offset

    def _read_length(self, limit: int, what: str) -> int | None:
        """Read the varint before a header or section; None at the clean end of the archive."""
        start = self._input.offset
        number = shift = 0
        while byte := self._input.read_some(1):
            number |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
            if shift >= 7 * MAX_VARINT_BYTES:
                raise CarFormatError(f"length at byte {start} is no varint", offset=start)
        if not shift:
            if self._input.end not in (None, start):
                raise CarFormatError(f"archive ends at byte {start} of its payload", offset=start)
            return None
        if not byte:
            raise CarFormatError(f"archive ends within the length at byte {start}", offset=start)
        if byte == b"\0" and (shift > 7 or what == "header"):
            raise CarFormatError(f"length at byte {start} is zero or not minimal", offset=start)
        if number > limit:
            raise CarFormatError(
                f"{what} of {number} bytes at byte {start}, at most {limit}", offset=start
            )
        return number

    def _skip_padding(self, start: int) -> None:
        if not self._allow_padding:
            raise CarFormatError(zeros_text(start), offset=start)
        while piece := self._input.read_some(_PIECE_BYTES):
            if rest := piece.lstrip(b"\0"):
                at = self._input.offset - len(rest)
                raise CarFormatError(after_padding_text(start, at), offset=at)
        if self._input.end not in (None, self._input.offset):
            at = self._input.offset
            raise CarFormatError(f"archive ends at byte {at} of its payload", offset=at)


def zeros_text(start: int) -> str:
    """Say that zeros begin where a section should, and how an archive is read that ends so."""
    return (
        f"zeros at byte {start}, expected a section or the end: an archive that is padded with "
        "zeros is read with --allow-padding, in Python with allow_padding=True"
    )


def after_padding_text(start: int, at: int) -> str:
    """Say that not all is zero that should be padding."""
    return f"byte {at} is not zero, after zeros from byte {start} on: only zeros are padding"


def _split_section(head: bytes, rest: bytes) -> tuple[Link, bytes]:
    """Take a section apart; without a copy of its data where the CID is a usual one."""
    try:
        return canonical(parse_link(head)), rest
    except InvalidCIDError:
        section = head + rest
        link, end = read_link(section)
        return canonical(link), section[end:]


def _is_v2(header: object) -> bool:
    return (
        isinstance(header, dict) and type(header.get("version")) is int and header == {"version": 2}
    )


class _Input:
    """A stream read forward, with its offset and, for CARv2, the end of the payload."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.offset = 0
        self.end: int | None = None
        self._head: bytearray | None = bytearray()

    def finish_head(self) -> bytes:
        """Return what was read first, and note no more of it."""
        head, self._head = bytes(self._head or b""), None
        return head

    def read_some(self, size: int) -> bytes:
        if self.end is not None:
            size = min(size, self.end - self.offset)
        data = self._stream.read(size)
        if data is None:
            raise BlockingIOError("cannot read an archive from a stream in non-blocking mode")
        self.offset += len(data)
        if self._head is not None:
            self._head += data[:_HEAD_BYTES]
        return data

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes, in pieces, so that a lying length allocates nothing."""
        pieces = []
        left = size
        while left:
            piece = self.read_some(min(left, _PIECE_BYTES))
            if not piece:
                raise CarFormatError(
                    f"archive ends at byte {self.offset}, {left} bytes missing", offset=self.offset
                )
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, size: int) -> None:
        while size:
            piece = self.read_some(min(size, _PIECE_BYTES))
            if not piece:
                raise CarFormatError(f"archive ends at byte {self.offset}", offset=self.offset)
            size -= len(piece)
