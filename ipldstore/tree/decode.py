"""Blocks to nodes of the tree, refusing what the format does not allow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, codec_of, to_text
from ipldstore.errors import CodecError, InvalidNodeError
from ipldstore.formats import dagcbor
from ipldstore.history.kinds import kind_of
from ipldstore.limits import MAX_DOCUMENT_BYTES
from ipldstore.tree.cut import MAX_PAGE_BYTES, head_size
from ipldstore.tree.documents import Document, make_document
from ipldstore.tree.keys import METADATA_NAMES, segments_fault
from ipldstore.tree.nodes import (
    MAX_INLINE_BYTES,
    MAX_INLINE_DEPTH,
    Directory,
    Entries,
    Entry,
    Page,
    PageList,
    is_inlined,
    made_of,
)
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed, pack

_ENTRY_CODECS = frozenset((RAW, DAG_PB, DAG_CBOR))
_LIBP2P_KEY = 0x72


def decode_directory(link: Link, data: bytes, *, root: bool = False) -> Directory:
    """Read the directory that a block holds.

    The root may be small and may be empty. There is no stub where the block, or a directory in it,
    is not in the canonical form. Raises `InvalidNodeError` if the block holds no directory.
    """
    try:
        value = _decode_node(link, data)
        _check_kind(value)
        directory = _directory(value, root=root)
    except (CodecError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} holds no directory: {error}") from error
    is_placed = root or len(data) > MAX_INLINE_BYTES or _depth_of(directory) > MAX_INLINE_DEPTH
    if is_placed and len(data) <= MAX_PAGE_BYTES and _has_stubs(directory.entries):
        directory.stub = dagcbor.encode_link(link)
    return directory


def _decode_node(link: Link, data: bytes) -> Any:
    if codec_of(link) != DAG_CBOR:
        raise InvalidNodeError(codec_fault(link))
    packed = pack(data)
    return dagcbor.decode(data) if packed is None else packed


def _check_kind(value: Any) -> None:
    """Refuse what has another name than a malformed directory."""
    if not isinstance(value, dict | Packed):
        return
    others = made_of(value)
    if (kind := kind_of(others)) == "commit":
        raise InvalidNodeError(f"it is a commit, of the hierarchy {others['root']}")
    if kind == "state":
        raise InvalidNodeError("it is the state of a repository, whose branches lead to commits")


def _depth_of(directory: Directory) -> int:
    """Count the levels of maps and lists in a directory, given those of what stands in it."""
    if directory.pages is not None:
        return 2
    inlined = (made for made in made_of(directory.entries).values() if not isinstance(made, Link))
    return 1 + max((made.depth for made in inlined), default=0)


def codec_fault(link: Link) -> str:
    """Say what a CID whose codec is not dag-cbor names instead of a directory."""
    codec = codec_of(link)
    hint = {
        DAG_PB: "; a UnixFS directory of Zarr files becomes a hierarchy by "
        "`ipldstore unixfs --read` or IPLDStore.from_unixfs",
        RAW: "; it is a chunk or another file",
        _LIBP2P_KEY: "; it is the key of an IPNS name, which is written ipns://NAME",
    }
    return f"its codec is {codec:#x}, expected {DAG_CBOR:#x} (dag-cbor){hint.get(codec, '')}"


def _directory(value: Any, *, root: bool = False) -> Directory:
    if isinstance(value, list):
        return Directory(_page_list(value))
    if not isinstance(value, dict | Packed):
        raise InvalidNodeError(f"expected a map or a list, not {type(value).__name__}")
    if not value and not root:
        raise InvalidNodeError("empty directory")
    _make_entries(made_of(value))
    return Directory(value)


def _make_entries(value: dict[str, Any]) -> None:
    """Make entries of what a map holds, in its place."""
    if (fault := segments_fault(value)) is not None:
        raise InvalidNodeError(fault)
    for segment, item in value.items():
        if type(item) is Link:
            if item[1] not in _ENTRY_CODECS or item[0] != 1:
                raise InvalidNodeError(f"entry {segment!r} links to {item}, of no codec for it")
        elif segment in METADATA_NAMES:
            value[segment] = _document(segment, item)
        else:
            value[segment] = _inlined(item)


def _document(segment: str, value: Any) -> Document:
    if not isinstance(value, dict):
        raise InvalidNodeError(f"entry {segment!r} is neither a map nor a link")
    return make_document(value)


def _inlined(value: Any) -> Directory:
    directory = _directory(dict(value) if isinstance(value, dict) else value)
    directory.depth = _depth_of(directory)
    # what holds something too large to be inlined is not encoded, or each level would be once more
    if _has_stubs(directory.entries):
        encoded = value.encoded if isinstance(value, Packed) else dagcbor.encode(value)
        if is_inlined(encoded, directory.depth):
            directory.stub = encoded
    return directory


def _has_stubs(entries: Entries) -> bool:
    return all(
        isinstance(entry, Link)
        or (
            len(entry.encoded) <= MAX_INLINE_BYTES
            if isinstance(entry, Document)
            else entry.stub is not None
        )
        for entry in made_of(entries).values()
    )


def _page_list(value: list[Any]) -> PageList:
    if not value:
        raise InvalidNodeError("empty list of pages")
    for pair in value:
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and type(pair[1]) is Link
            and codec_of(pair[1]) == DAG_CBOR
        ):
            raise InvalidNodeError("list of pages holds something else than [segment, link]")
    pages = PageList([pair[0] for pair in value], [pair[1] for pair in value])
    for before, after in pairwise(pages.keys):
        if before >= after:
            raise InvalidNodeError("pages repeated or out of order")
    return pages


def decode_pages(link: Link, data: bytes, first: str, end: str | None) -> Page | PageList:
    """Read a page, or a list of pages, and check that it is what its list says.

    The list announces the `first` segment; `end` is the natural key that all in it come before,
    None at the end of the directory. Raises `InvalidNodeError` if the block is neither a page nor a
    list of pages, or holds other segments.
    """
    try:
        value = _decode_node(link, data)
        if isinstance(value, list):
            pages = _page_list(value)
            least, greatest = pages.keys[0], pages.keys[-1]
        elif isinstance(value, Packed):
            least, greatest = value.natural_bounds()
        elif isinstance(value, dict) and value:
            keys = [natural_key(segment) for segment in value]
            least, greatest = min(keys), max(keys)
        else:
            raise InvalidNodeError("neither a page nor a list of pages")
        if least != natural_key(first):
            raise InvalidNodeError(f"does not begin with segment {first!r}")
        if end is not None and greatest >= end:
            raise InvalidNodeError("holds segments of the next page")
        if isinstance(value, list):
            pages.link = link
            return pages
        _make_entries(made_of(value))
    except (CodecError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} is no such page: {error}") from error
    return Page(value, link if _has_stubs(value) else None, len(data) - head_size(len(value)))


def link_of(entry: Entry) -> Link | None:
    """Return the block of an entry; None where it stands in the one above, or is to be encoded."""
    if isinstance(entry, Directory):
        stub = entry.stub or b""
        return dagcbor.decode(stub) if stub[:2] == dagcbor.LINK_HEAD[:2] else None
    return entry if isinstance(entry, Link) else None


def open_directory(entry: object, load: Callable[[Link], bytes]) -> Directory:
    """Return the directory that an entry stands for, not keeping it if it is loaded for this."""
    if isinstance(entry, Directory):
        return entry
    assert isinstance(entry, Link)
    return decode_directory(entry, load(entry))


def decode_document(link: Link, data: bytes) -> Document:
    """Read the JSON document that a block holds.

    Raises `InvalidNodeError` if the block holds none.
    """
    try:
        if len(data) > MAX_DOCUMENT_BYTES:
            raise InvalidNodeError(f"{len(data)} bytes, at most {MAX_DOCUMENT_BYTES}")
        value = dagcbor.decode(data)
        if not isinstance(value, dict):
            raise InvalidNodeError(f"expected a map, not {type(value).__name__}")
        return make_document(value)
    except (CodecError, InvalidNodeError) as error:
        raise InvalidNodeError(f"block {to_text(link)} holds no document: {error}") from error
