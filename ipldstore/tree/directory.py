"""Directories: the nodes of the tree, read from blocks and written to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from ipldstore import dagcbor
from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, to_text
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.tree.documents import Document, make_document
from ipldstore.tree.keys import METADATA_NAMES, segments_fault

MAX_INLINE_BYTES = 8 << 10
MAX_INLINE_DEPTH = 32

Put: TypeAlias = Callable[[bytes], Link]


class Directory:
    """A directory that is loaded.

    Attributes
    ----------
    entries : dict of str to Link, Document or Directory
        By segment. A link of codec dag-cbor stands for a subdirectory that is not loaded or,
        under a metadata name, for a document in a block of its own; any other for a value.
    stub : bytes or None
        How the parent encodes this directory: the map itself, or the link to it. None when it
        has to be encoded anew.
    depth : int
        Levels of nesting in the stub.
    """

    __slots__ = ("depth", "entries", "stub")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.stub: bytes | None = None
        self.depth = 0


Entry: TypeAlias = Link | Document | Directory


def is_value(entry: Entry | None, segment: str) -> TypeGuard[Link | Document]:
    """Whether an entry is a value, and not a subdirectory or nothing."""
    if isinstance(entry, Link):
        return codec_of(entry) != DAG_CBOR or segment in METADATA_NAMES
    return isinstance(entry, Document)


def encode_directory(directory: Directory, put: Put) -> tuple[bytes, int]:
    """Encode a directory as a map, after what changed below it.

    Parameters
    ----------
    directory
        Where to begin; afterwards every directory below it has its stub.
    put
        Keeps a dag-cbor block and returns its CID; called for children before their parents.

    Returns
    -------
    tuple of bytes and int
        The map, and its levels of nesting.
    """
    pairs = []
    deepest = 0
    for segment, entry in directory.entries.items():
        if isinstance(entry, Link):
            encoded = dagcbor.encode_link(entry)
        elif isinstance(entry, Document):
            encoded, depth = _stub(entry.encoded, entry.depth, put)
            deepest = max(deepest, depth)
        else:
            if entry.stub is None:
                entry.stub, entry.depth = _stub(*encode_directory(entry, put), put)
            encoded = entry.stub
            deepest = max(deepest, entry.depth)
        pairs.append((dagcbor.encode_text(segment), encoded))
    pairs.sort()
    parts = [part for pair in pairs for part in pair]
    return dagcbor.encode_map_head(len(pairs)) + b"".join(parts), deepest + 1


def _stub(encoded: bytes, depth: int, put: Put) -> tuple[bytes, int]:
    if _is_inlined(encoded, depth):
        return encoded, depth
    return dagcbor.encode_link(put(encoded)), 0


def _is_inlined(encoded: bytes, depth: int) -> bool:
    return len(encoded) <= MAX_INLINE_BYTES and depth <= MAX_INLINE_DEPTH


def decode_directory(link: Link, data: bytes, *, root: bool = False) -> Directory:
    """Read the directory that a block holds.

    Parameters
    ----------
    link
        The block's CID.
    data
        Its verified bytes.
    root
        Whether it is the root, which may be small and may be empty.

    Returns
    -------
    Directory
        Without a stub where the block, or a directory in it, is not in the canonical form.

    Raises
    ------
    InvalidNodeError
        If the block holds no directory.
    """
    try:
        if codec_of(link) != DAG_CBOR:
            raise InvalidNodeError("codec is not dag-cbor")
        value = dagcbor.decode(data)
        directory = _directory(value, root=root)
    except (CodecError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} holds no directory: {error}") from error
    if _has_stubs(directory) and (root or not _is_inlined(data, dagcbor.nesting(value))):
        directory.stub = dagcbor.encode_link(link)
    return directory


def _directory(value: Any, *, root: bool = False) -> Directory:
    if isinstance(value, list):
        raise InvalidNodeError("paged directories are not supported yet")
    if not isinstance(value, dict):
        raise InvalidNodeError(f"expected a map, not {type(value).__name__}")
    if not value and not root:
        raise InvalidNodeError("empty directory")
    fault = segments_fault(value) or ("segment holds a slash" if "/" in "".join(value) else None)
    if fault is not None:
        raise InvalidNodeError(fault)
    directory = Directory()
    directory.entries = value
    for segment, item in value.items():
        if type(item) is Link:
            if codec_of(item) not in (RAW, DAG_CBOR, DAG_PB):
                raise InvalidNodeError(f"entry {segment!r} links to codec {codec_of(item):#x}")
        elif segment in METADATA_NAMES:
            value[segment] = _document(segment, item)
        else:
            value[segment] = _inlined(item)
    return directory


def _document(segment: str, value: Any) -> Document:
    if not isinstance(value, dict):
        raise InvalidNodeError(f"entry {segment!r} is neither a map nor a link")
    return make_document(value)


def _inlined(value: Any) -> Directory:
    depth = dagcbor.nesting(value)
    encoded = dagcbor.encode(value)
    directory = _directory(value)
    if _has_stubs(directory) and _is_inlined(encoded, depth):
        directory.stub, directory.depth = encoded, depth
    return directory


def _has_stubs(directory: Directory) -> bool:
    return all(
        len(entry.encoded) <= MAX_INLINE_BYTES
        if isinstance(entry, Document)
        else isinstance(entry, Link) or entry.stub is not None
        for entry in directory.entries.values()
    )


def decode_document(link: Link, data: bytes) -> Document:
    """Read the JSON document that a block holds.

    Raises
    ------
    InvalidNodeError
        If the block holds none.
    """
    try:
        value = dagcbor.decode(data)
        if not isinstance(value, dict):
            raise InvalidNodeError(f"expected a map, not {type(value).__name__}")
        return make_document(value)
    except (CodecError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} holds no document: {error}") from error
