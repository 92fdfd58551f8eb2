"""Values over 1 MiB: UnixFS files of raw leaves, and the dag-pb blocks that join them.

Files are written in the ``unixfs-v1-2025`` profile (CIDv1, raw leaves of 1 MiB, balanced, at most
1024 links a node), so that their CIDs are those of ``ipfs add`` in that profile. The wire forms are
those of the DAG-PB and UnixFS specifications; field numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ipldstore.cid import (
    DAG_PB,
    RAW,
    Link,
    canonical,
    codec_of,
    decode_varint,
    encode_varint,
    parse_link,
    to_text,
)
from ipldstore.errors import CodecError, InvalidCIDError, InvalidNodeError

CHUNK_BYTES = 1 << 20
MAX_LINKS = 1024
MAX_DEPTH = 8

_VARINT, _LENGTH_DELIMITED = 0, 2
_NODE_DATA, _NODE_LINK = 1, 2
_LINK_HASH, _LINK_NAME, _LINK_SIZE = 1, 2, 3
_FILE_TYPE, _FILE_DATA, _FILE_SIZE, _FILE_BLOCK_SIZES = 1, 2, 3, 4
_TYPE_RAW, _TYPE_FILE = 0, 2


class _Child(NamedTuple):
    """A part of a file: its CID, its bytes of content, and the size of all blocks under it."""

    link: Link
    content: int
    blocks: int


class FileNode(NamedTuple):
    """A dag-pb block of a UnixFS file.

    Attributes
    ----------
    data : bytes
        Content in the node itself, before that of its children.
    links : list of Link
        Its children.
    sizes : list of int
        Bytes of content under each child.
    """

    data: bytes
    links: list[Link]
    sizes: list[int]

    @property
    def size(self) -> int:
        """Bytes of content under the node."""
        return len(self.data) + sum(self.sizes)


def write_file(data: bytes | memoryview, put: Callable[[bytes, str], Link]) -> Link:
    """Cut content into blocks and keep them.

    Parameters
    ----------
    data
        The content, at least one byte more than fits in one chunk for a dag-pb file; less becomes
        one raw block.
    put
        Keeps a block of a codec (``"raw"`` or ``"dag-pb"``) and returns its CID.

    Returns
    -------
    Link
        The file's CID.
    """
    view = memoryview(data)
    level = [
        _Child(put(piece, "raw"), len(piece), len(piece))  # type: ignore[arg-type]
        for start in range(0, max(len(view), 1), CHUNK_BYTES)
        for piece in (view[start : start + CHUNK_BYTES],)
    ]
    while len(level) > 1:
        level = [
            _write_node(level[start : start + MAX_LINKS], put)
            for start in range(0, len(level), MAX_LINKS)
        ]
    return level[0].link


def _write_node(children: Sequence[_Child], put: Callable[[bytes, str], Link]) -> _Child:
    content = sum(child.content for child in children)
    node = _encode_node(children, content)
    blocks = len(node) + sum(child.blocks for child in children)
    return _Child(put(node, "dag-pb"), content, blocks)


def _encode_node(children: Sequence[_Child], content: int) -> bytes:
    links = b"".join(
        _field(
            _NODE_LINK,
            _field(_LINK_HASH, child.link)
            + _field(_LINK_NAME, b"")
            + _number(_LINK_SIZE, child.blocks),
        )
        for child in children
    )
    sizes = b"".join(_number(_FILE_BLOCK_SIZES, child.content) for child in children)
    file = _number(_FILE_TYPE, _TYPE_FILE) + _number(_FILE_SIZE, content) + sizes
    return links + _field(_NODE_DATA, file)


def _field(number: int, value: bytes) -> bytes:
    return encode_varint(number << 3 | _LENGTH_DELIMITED) + encode_varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return encode_varint(number << 3 | _VARINT) + encode_varint(value)


def read_content(node: FileNode, load: Callable[[Link], bytes], start: int, stop: int) -> bytes:
    """Return a range of a file's content, loading only the blocks that hold it.

    Parameters
    ----------
    node
        The file's root node.
    load
        Returns the verified bytes of a block.
    start, stop
        The range wanted, in bytes from the file's start.

    Raises
    ------
    InvalidNodeError
        If a block is not of a UnixFS file, or holds another amount of content than announced.
    """
    return b"".join(_iter_content(node, load, start, stop))


def links_within(node: FileNode, offset: int, start: int, stop: int) -> list[tuple[Link, int]]:
    """Return the links of a node that lead to a range of content, and where each one's begins.

    Parameters
    ----------
    node
        A node of a file.
    offset
        Where its content begins, in bytes from the file's start.
    start, stop
        The range wanted, in bytes from the file's start.
    """
    return [
        (content, begin)
        for begin, size, content in _iter_parts(node, offset)
        if isinstance(content, Link) and begin + size > start and begin < stop
    ]


def _iter_content(
    top: FileNode, load: Callable[[Link], bytes], start: int, stop: int
) -> Iterator[bytes]:
    stack = [_iter_parts(top, 0)]
    while stack:
        part = next(stack[-1], None)
        if part is None:
            stack.pop()
            continue
        offset, size, content = part
        if offset + size <= start or offset >= stop:
            continue
        if isinstance(content, Link):
            data = load(content)
            node = (
                FileNode(data, [], []) if codec_of(content) == RAW else decode_file(content, data)
            )
            if node.size != size:
                raise InvalidNodeError(
                    f"block {to_text(content)}: {node.size} bytes of content, {size} announced"
                )
            if len(stack) > MAX_DEPTH:
                raise InvalidNodeError(f"file nested more than {MAX_DEPTH} levels deep")
            stack.append(_iter_parts(node, offset))
        else:
            yield content[max(0, start - offset) : stop - offset]


def _iter_parts(node: FileNode, offset: int) -> Iterator[tuple[int, int, bytes | Link]]:
    yield offset, len(node.data), node.data
    offset += len(node.data)
    for link, size in zip(node.links, node.sizes, strict=True):
        yield offset, size, link
        offset += size


def decode_file(link: Link, data: bytes) -> FileNode:
    """Read a dag-pb block of a UnixFS file.

    Raises
    ------
    InvalidNodeError
        If it is none.
    """
    try:
        if codec_of(link) != DAG_PB:
            raise CodecError("codec is not dag-pb")
        fields = list(_iter_fields(data))
        payloads = [value for number, value in fields if number == _NODE_DATA]
        if len(payloads) != 1 or not isinstance(payloads[0], bytes):
            raise CodecError("no UnixFS data")
        return _decode_payload(payloads[0], list(iter_pb_links(data)))
    except CodecError as error:
        raise InvalidNodeError(f"block {to_text(link)} is not of a UnixFS file: {error}") from error


def _decode_payload(payload: bytes, links: list[Link]) -> FileNode:
    content, sizes, kind, size = b"", [], None, None
    for number, value in _iter_fields(payload):
        if number == _FILE_TYPE:
            kind = value
        elif number == _FILE_DATA and isinstance(value, bytes):
            content = value
        elif number == _FILE_SIZE:
            size = value
        elif number == _FILE_BLOCK_SIZES and isinstance(value, int):
            sizes.append(value)
    if kind not in (_TYPE_FILE, _TYPE_RAW):
        raise CodecError(f"UnixFS type {kind!r}, expected a file")
    node = FileNode(content, links, sizes)
    if len(links) != len(sizes) or size not in (None, node.size):
        raise CodecError("sizes of links and file do not agree")
    return node


def iter_pb_links(data: bytes) -> Iterator[Link]:
    """Iterate the links of a dag-pb block as CIDv1, in order.

    Raises
    ------
    CodecError
        If the block is malformed.
    """
    for number, value in _iter_fields(data):
        if number == _NODE_LINK and isinstance(value, bytes):
            hashes = [field for inner, field in _iter_fields(value) if inner == _LINK_HASH]
            if len(hashes) != 1 or not isinstance(hashes[0], bytes):
                raise CodecError(f"dag-pb link with {len(hashes)} CIDs, expected one")
            try:
                yield canonical(parse_link(hashes[0]))
            except InvalidCIDError as error:
                raise CodecError(f"dag-pb link: {error}") from None


def _iter_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
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
