"""Values as entries of the tree: kept in blocks or as documents, and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeGuard

from ipldstore.cid import DAG_CBOR, RAW, Link, as_link, codec_of, identity_data
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.tree.decode import decode_document
from ipldstore.tree.documents import Document, parse_json
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs import CHUNK_BYTES, decode_file, read_content, write_file

Cut: TypeAlias = Callable[[int], tuple[int, int]]
"""Which bytes of a value are wanted, given its size: from the first to before the second."""


def make_entry(
    backend: ContentAddressableStore, name: str, data: bytes | memoryview
) -> Link | Document:
    """Make the entry of a value, keeping its blocks.

    Parameters
    ----------
    backend
        Where the blocks go.
    name
        The last segment of the key.
    data
        The value.
    """
    if name in METADATA_NAMES and (document := parse_json(bytes(data))) is not None:
        return document

    def put(block: bytes, codec: str) -> Link:
        return as_link(backend.put_raw(block, codec))

    return put(data, "raw") if len(data) <= CHUNK_BYTES else write_file(data, put)  # type: ignore[arg-type]


def read_value(
    backend: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """Return a value, or a part of it, loading only the blocks that hold it.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had.
    InvalidNodeError
        If a block is not what its entry says.
    """
    if isinstance(entry, Document):
        return _part(entry.to_json(), cut)
    block = backend.get_block(entry)
    if is_file(entry):
        file = decode_file(entry, block)
        start, stop = (0, file.size) if cut is None else cut(file.size)
        return read_content(file, backend.get_block, start, stop)
    return content_of(entry, block, cut)


def is_file(entry: Link | Document) -> TypeGuard[Link]:
    """Whether a value is kept as a file of several blocks."""
    return isinstance(entry, Link) and codec_of(entry) not in (RAW, DAG_CBOR)


def content_of(entry: Link, block: bytes, cut: Cut | None) -> bytes | memoryview:
    """Return the value, or a part of it, that one block of codec raw or dag-cbor holds."""
    return _part(block if codec_of(entry) == RAW else decode_document(entry, block).to_json(), cut)


def _part(data: bytes, cut: Cut | None) -> bytes | memoryview:
    if cut is None:
        return data
    start, stop = cut(len(data))
    return memoryview(data)[start:stop]


def is_canonical(backend: ContentAddressableStore, name: str, entry: Link) -> bool:
    """Whether a value written anew is sure to have this very entry, told without reading it."""
    if name in METADATA_NAMES or codec_of(entry) != RAW or identity_data(entry) is not None:
        return False
    size = backend.size_of(entry)
    return size is not None and size <= CHUNK_BYTES


def value_size(backend: ContentAddressableStore, entry: Link | Document) -> int:
    """Return the size of a value in bytes, loading what that needs; errors as `read_value`."""
    if isinstance(entry, Link):
        if codec_of(entry) == RAW and (size := backend.size_of(entry)) is not None:
            return size
        if is_file(entry):
            return decode_file(entry, backend.get_block(entry)).size
    return len(read_value(backend, entry))
