"""Values as entries of the tree: kept in blocks or as documents, and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, as_link, codec_of, identity_data
from ipldstore.tree.decode import decode_document
from ipldstore.tree.documents import Document, parse_json
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.unixfs.file import CHUNK_BYTES, decode_file, read_content, write_file

_HINTS: dict[type, str] = {
    str: "text.encode() gives bytes",
    type(None): "`del store[key]` removes a key",
    dict: "json.dumps(document).encode() gives bytes",
}

Cut: TypeAlias = Callable[[int], tuple[int, int]]
"""Which bytes of a value are wanted, given its size: from the first to before the second."""


def to_bytes(key: str, value: Any) -> bytes:
    """Return what a user gave as the value of a key, as bytes of which nobody changes any.

    Raises `TypeError` if it is no buffer of bytes.
    """
    if isinstance(value, bytes):
        return value
    try:
        view = memoryview(value)
        if "O" in view.format:
            raise TypeError("pointers to Python objects")
        return view.tobytes()
    except (TypeError, ValueError, BufferError):
        hint = next((hint for kind, hint in _HINTS.items() if isinstance(value, kind)), None)
        raise TypeError(
            f"expected bytes for key {key!r}, or a buffer of them, not {type(value).__name__}; "
            f"{hint or 'zarr and xarray write arrays and numbers'}"
        ) from None


def make_entry(
    blocks: ContentAddressableStore, name: str, data: bytes | memoryview
) -> Link | Document:
    """Make the entry of a value, keeping its blocks.

    `name` is the last segment of the key.
    """
    if name in METADATA_NAMES and (document := parse_json(bytes(data))) is not None:
        return document

    def put(block: bytes, codec: str) -> Link:
        return as_link(blocks.put_raw(block, codec))

    return put(data, "raw") if len(data) <= CHUNK_BYTES else write_file(data, put)  # type: ignore[arg-type]


def is_entry_of(blocks: ContentAddressableStore, entry: Link, data: bytes | memoryview) -> bool:
    """Whether a value would have this very entry, told by hashing it, and putting nothing."""
    if codec_of(entry) == RAW:
        return len(data) <= CHUNK_BYTES and blocks.make_cid(data, "raw") == entry  # type: ignore[arg-type]
    is_file = codec_of(entry) == DAG_PB and len(data) > CHUNK_BYTES
    return is_file and write_file(data, blocks.make_cid) == entry


def read_value(
    blocks: ContentAddressableStore, entry: Link | Document, cut: Cut | None = None
) -> bytes | memoryview:
    """Return a value, or a part of it, loading only the blocks that hold it.

    Raises `BlockNotFoundError` or `CorruptBlockError` if a block cannot be had, and
    `InvalidNodeError` if it is not what its entry says.
    """
    if isinstance(entry, Document):
        return _part(entry.to_json(), cut)
    block = blocks.get_block(entry)
    if is_file(entry):
        file = decode_file(entry, block)
        start, stop = (0, file.size) if cut is None else cut(file.size)
        return read_content(file, blocks.get_block, start, stop, blocks.fill_block)
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


def is_canonical(blocks: ContentAddressableStore, name: str, entry: Link) -> bool:
    """Whether a value written anew is sure to have this very entry, told without reading it."""
    if name in METADATA_NAMES or codec_of(entry) != RAW or identity_data(entry) is not None:
        return False
    size = blocks.size_of(entry)
    return size is not None and size <= CHUNK_BYTES


def block_size(blocks: ContentAddressableStore, link: Link) -> int:
    """Return the size of a block in bytes, loading it where the block store does not tell."""
    size = blocks.size_of(link)
    return len(blocks.get_block(link)) if size is None else size


def value_size(blocks: ContentAddressableStore, entry: Link | Document) -> int:
    """Return the size of a value in bytes, loading what that needs; errors as `read_value`."""
    if isinstance(entry, Link):
        if codec_of(entry) == RAW and (size := blocks.size_of(entry)) is not None:
            return size
        if is_file(entry):
            return decode_file(entry, blocks.get_block(entry)).size
    return len(read_value(blocks, entry))
