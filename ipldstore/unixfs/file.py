"""UnixFS files: content cut into raw leaves, and the dag-pb blocks that join them.

Files are written in the ``unixfs-v1-2025`` profile (CIDv1, raw leaves of 1 MiB, balanced, at most
1024 links a node), so that their CIDs are those of ``ipfs add`` in that profile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ipldstore.cid import RAW, Link, codec_of, split, to_text
from ipldstore.errors import InvalidNodeError, LimitExceededError
from ipldstore.limits import (
    MAX_FILE_DEPTH,
    MAX_FILE_LEAVES,
    MAX_VALUE_BYTES,
    MAX_VALUE_NODE_BYTES,
    MAX_VALUE_PARTS,
)
from ipldstore.unixfs.nodes import (
    FILE_TYPE,
    RAW_TYPE,
    Node,
    Put,
    decode_node,
    encode_file,
    encode_link,
    encode_node,
)

CHUNK_BYTES = 1 << 20
MAX_LINKS = 1024

_BUFFER_BYTES = 16 << 20


class FilePart(NamedTuple):
    """A part of a file: its CID, its bytes of content, and the size of all blocks under it."""

    link: Link
    content: int
    blocks: int


class FileNode(NamedTuple):
    """A dag-pb block of a UnixFS file.

    `data` is content in the node itself, before that of its children, which are `links`; `sizes`
    are the bytes of content under each.
    """

    data: bytes
    links: list[Link]
    sizes: list[int]

    @property
    def size(self) -> int:
        """Bytes of content under the node."""
        return len(self.data) + sum(self.sizes)


def write_file(data: bytes | memoryview, put: Put) -> Link:
    """Cut content into blocks, keep them and return the file's CID; as `put_file`."""
    return put_file(data, put).link


def put_file(data: bytes | memoryview, put: Put) -> FilePart:
    """Cut content into blocks and keep them.

    A dag-pb file takes at least one byte more than fits in one chunk; less becomes one raw block.
    `put` keeps a block of a codec (``"raw"`` or ``"dag-pb"``) and returns its CID.
    """
    view = memoryview(data)
    level = [
        FilePart(put(piece, "raw"), len(piece), len(piece))  # type: ignore[arg-type]
        for start in range(0, max(len(view), 1), CHUNK_BYTES)
        for piece in (view[start : start + CHUNK_BYTES],)
    ]
    return _join(level, put)


def _join(level: Sequence[FilePart], put: Put) -> FilePart:
    while len(level) > 1:
        level = [
            _write_node(level[start : start + MAX_LINKS], put)
            for start in range(0, len(level), MAX_LINKS)
        ]
    return level[0]


def _write_node(children: Sequence[FilePart], put: Put) -> FilePart:
    content = sum(child.content for child in children)
    node = _encode_node(children, content)
    blocks = len(node) + sum(child.blocks for child in children)
    return FilePart(put(node, "dag-pb"), content, blocks)


def _encode_node(children: Sequence[FilePart], content: int) -> bytes:
    links = (encode_link(child.link, b"", child.blocks) for child in children)
    return encode_node(links, encode_file(content, (child.content for child in children)))


def measure_file(
    link: Link, file: FileNode, load: Callable[[Link], bytes], name: Put
) -> FilePart | None:
    """Return the sizes of a file of several blocks, if it is just as `write_file` writes it.

    Loads its inner nodes, and no content. `name` returns the CID that a block of a codec would
    have. Raises `LimitExceededError` if the file has more than 2^16 leaves, which are 64 GiB, and
    `InvalidNodeError` if a block is not of a UnixFS file.
    """
    leaves: list[FilePart] = []
    hash_code = split(link).hash_code
    for leaf in _iter_leaves(file, load, 1):
        if leaf is None or split(leaf.link).hash_code != hash_code:
            return None
        if leaves and leaves[-1].content != CHUNK_BYTES:
            return None
        if len(leaves) == MAX_FILE_LEAVES:
            raise LimitExceededError(f"file {to_text(link)} has more than {MAX_FILE_LEAVES} leaves")
        leaves.append(leaf)
    if not 0 < leaves[-1].content <= CHUNK_BYTES:
        return None
    whole = _join(leaves, name)
    return whole if whole.link == link else None


def _iter_leaves(
    file: FileNode, load: Callable[[Link], bytes], depth: int
) -> Iterator[FilePart | None]:
    """Iterate the raw leaves; None comes for what no file of ours has."""
    if file.data or not file.links or depth > MAX_FILE_DEPTH:
        yield None
        return
    for link, size in zip(file.links, file.sizes, strict=True):
        if codec_of(link) == RAW:
            yield FilePart(link, size, size)
        else:
            yield from _iter_leaves(decode_file(link, load(link)), load, depth + 1)


def read_content(
    node: FileNode,
    load: Callable[[Link], bytes],
    start: int,
    stop: int,
    fill: Callable[[Link, memoryview], bool] = lambda link, buffer: False,
) -> memoryview:
    """Return a range of a file's content, loading only the blocks that hold it.

    The range is in bytes from the file's start. `fill` reads a block of just the size of a buffer
    into it, if it can. Raises `InvalidNodeError` if a block is not of a UnixFS file, or holds
    another amount of content than announced, and `LimitExceededError` if the range has more than
    4 GiB, or is in more than 2^18 parts.
    """
    start, stop = max(start, 0), min(stop, node.size)
    check_range(start, stop)
    content = _Content(max(stop - start, 0))
    for offset, size, part in _iter_content(node, load, start, stop):
        if isinstance(part, Link):
            is_whole = offset >= start and offset + size <= stop
            if is_whole and content.take(size, partial(fill, part)):
                continue
            data = load(part)
            _check_size(part, len(data), size)
        else:
            data = part
        content.add(memoryview(data)[max(start - offset, 0) : stop - offset])
    return content.joined()


class _Content:
    """Content as it is put together: one buffer, or several, each made when the last one is full.

    So no more than the next buffer is taken for what is announced, and may not come.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._buffers: list[memoryview] = []
        self._free = memoryview(b"")

    def take(self, size: int, fill: Callable[[memoryview], bool]) -> bool:
        """Have the next bytes filled in, and return whether they were."""
        self._make_room()
        if size > len(self._free) or not fill(self._free[:size]):
            return False
        self._free = self._free[size:]
        return True

    def add(self, part: memoryview) -> None:
        """Copy the next bytes."""
        while part:
            self._make_room()
            size = min(len(part), len(self._free))
            self._free[:size] = part[:size]
            self._free, part = self._free[size:], part[size:]

    def _make_room(self) -> None:
        if self._free or not self._left:
            return
        size = min(self._left, _BUFFER_BYTES)
        # where arrays are read, numpy is there, whose buffers come without zeros
        empty = getattr(sys.modules.get("numpy"), "empty", None)
        self._free = memoryview(bytearray(size) if empty is None else empty(size, "u1"))
        self._buffers.append(self._free)
        self._left -= size

    def joined(self) -> memoryview:
        """Return all of it; `InvalidNodeError` if anything is missing."""
        if self._free or self._left:
            raise InvalidNodeError(f"{len(self._free) + self._left} bytes of a file are missing")
        if len(self._buffers) == 1:
            return self._buffers[0].toreadonly()
        return memoryview(b"".join(self._buffers))


def check_range(start: int, stop: int) -> None:
    """Raise `LimitExceededError` if a range of content is too long to be read at once."""
    if stop - start > MAX_VALUE_BYTES:
        raise LimitExceededError(
            f"{stop - start} bytes of a file, expected at most {MAX_VALUE_BYTES} at once: read "
            "shorter ranges"
        )


class Allowance:
    """How much of a file may be visited to read a range of it: a few blocks may repeat often."""

    def __init__(self) -> None:
        self._parts = MAX_VALUE_PARTS
        self._node_bytes = MAX_VALUE_NODE_BYTES

    def take(self, parts: int, node_bytes: int = 0) -> None:
        """Count parts, and bytes of blocks that are decoded.

        Raises `LimitExceededError` if it is too much.
        """
        self._parts -= parts
        self._node_bytes -= node_bytes
        if min(self._parts, self._node_bytes) < 0:
            raise LimitExceededError(
                f"content in more than {MAX_VALUE_PARTS} parts of a file, or in blocks that are "
                f"joined by others of more than {MAX_VALUE_NODE_BYTES} bytes"
            )


def links_within(node: FileNode, offset: int, start: int, stop: int) -> list[tuple[Link, int, int]]:
    """Return the links of a node that lead to a range of content, where each begins, and its size.

    `offset` is where the content of the node begins. It, the range and what is returned are in
    bytes from the file's start.
    """
    return [
        (content, begin, size)
        for begin, size, content in _iter_parts(node, offset)
        if isinstance(content, Link) and size and begin + size > start and begin < stop
    ]


def _iter_content(
    top: FileNode, load: Callable[[Link], bytes], start: int, stop: int
) -> Iterator[tuple[int, int, bytes | Link]]:
    """Iterate where content of a range begins, its size, and itself or the link of its leaf."""
    stack = [_iter_parts(top, 0)]
    allowance = Allowance()
    while stack:
        part = next(stack[-1], None)
        if part is None:
            stack.pop()
            continue
        offset, size, content = part
        # what is empty may lead to any number of blocks that are, too
        if not size or offset + size <= start or offset >= stop:
            continue
        if isinstance(content, Link):
            allowance.take(1)
            if len(stack) > MAX_FILE_DEPTH:
                raise InvalidNodeError(f"file nested more than {MAX_FILE_DEPTH} levels deep")
            if codec_of(content) != RAW:
                data = load(content)
                allowance.take(0, len(data))
                node = decode_file(content, data)
                _check_size(content, node.size, size)
                stack.append(_iter_parts(node, offset))
                continue
        yield offset, size, content


def _check_size(link: Link, found: int, announced: int) -> None:
    if found != announced:
        raise InvalidNodeError(
            f"block {to_text(link)}: {found} bytes of content, {announced} announced"
        )


def _iter_parts(node: FileNode, offset: int) -> Iterator[tuple[int, int, bytes | Link]]:
    yield offset, len(node.data), node.data
    offset += len(node.data)
    for link, size in zip(node.links, node.sizes, strict=True):
        yield offset, size, link
        offset += size


def decode_file(link: Link, data: bytes) -> FileNode:
    """Read a dag-pb block of a UnixFS file.

    Raises `InvalidNodeError` if it is none.
    """
    return as_file(link, decode_node(link, data))


def as_file(link: Link, node: Node) -> FileNode:
    """Take a decoded block as one of a file.

    Raises `InvalidNodeError` if it is none.
    """
    fault = f"block {to_text(link)} is not of a UnixFS file"
    if node.type not in (FILE_TYPE, RAW_TYPE):
        raise InvalidNodeError(f"{fault}: it is of a {node.kind}")
    file = FileNode(node.data, [child.link for child in node.links], node.block_sizes)
    if len(file.links) != len(file.sizes) or node.size not in (None, file.size):
        raise InvalidNodeError(f"{fault}: sizes of links and file do not agree")
    return file
