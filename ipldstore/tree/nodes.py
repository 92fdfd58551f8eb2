"""The nodes of the tree in memory."""

from __future__ import annotations

from collections.abc import ItemsView, Sequence
from typing import TypeAlias, TypeGuard

from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed

MAX_INLINE_BYTES = 8 << 10
MAX_INLINE_DEPTH = 32


class Directory:
    """A directory that is loaded: a map of entries or, when it is long, a list of pages.

    `content` is the entries by segment, packed as long as none changes, or the pages; one
    attribute, so that no interrupt can leave both. Among the entries a link of codec dag-cbor
    stands for a subdirectory that is not loaded or, under a metadata name, for a document in a
    block of its own; any other for a value. `stub` is the map or list itself, or the link to it;
    None when it has to be encoded anew. `depth` is the levels of nesting in the stub.
    """

    __slots__ = ("content", "depth", "stub")

    def __init__(self, content: Entries | PageList | None = None) -> None:
        self.content: Entries | PageList = {} if content is None else content
        self.stub: bytes | None = None
        self.depth = 0

    @property
    def entries(self) -> Entries:
        """The entries by segment; none where there are pages."""
        return {} if isinstance(self.content, PageList) else self.content

    def items(self) -> ItemsView[str, Entry]:
        """Return segments and entries as they stand, in any order; none where there are pages."""
        return self.entries.items()

    @property
    def pages(self) -> PageList | None:
        """The pages of a paged directory."""
        return self.content if isinstance(self.content, PageList) else None


class Page:
    """A run of the entries of a paged directory, loaded.

    `link` is the block it was loaded from, None when it changed since. `size` and `count` are the
    bytes and the number of its entries when it was loaded.
    """

    __slots__ = ("count", "entries", "link", "size")

    def __init__(self, entries: Entries, link: Link | None, size: int) -> None:
        self.entries: Entries = entries
        self.link = link
        self.size = size
        self.count = len(entries)

    def items(self) -> ItemsView[str, Entry]:
        """Return segments and entries, in any order."""
        return self.entries.items()


class PageList:
    """The pages of a directory, or lists of them, in natural order.

    `firsts` are the first segments of the children, `keys` the natural keys of these. Children are
    links where they are not loaded; the others are all of one kind. `link` is the block it was
    loaded from; None for the list of the directory itself.
    """

    __slots__ = ("children", "firsts", "keys", "link")

    def __init__(self, firsts: Sequence[str], children: Sequence[Link | Page | PageList]) -> None:
        self.firsts = list(firsts)
        self.keys = [natural_key(first) for first in firsts]
        self.children = list(children)
        self.link: Link | None = None


Entry: TypeAlias = Link | Document | Directory
Entries: TypeAlias = "dict[str, Entry] | Packed[Entry]"


def unpacked(entries: Entries) -> dict[str, Entry]:
    """Return entries that can be changed."""
    return entries if isinstance(entries, dict) else entries.unpacked()


def made_of(entries: Entries) -> dict[str, Entry]:
    """Return the entries that are objects, so all but links that are packed."""
    return entries if isinstance(entries, dict) else entries.others


def is_value(entry: Entry | None, segment: str) -> TypeGuard[Link | Document]:
    """Whether an entry is a value, and not a subdirectory or nothing."""
    if isinstance(entry, Link):
        return codec_of(entry) != DAG_CBOR or segment in METADATA_NAMES
    return isinstance(entry, Document)


def is_inlined(encoded: bytes, depth: int) -> bool:
    """Whether a map or list of this encoding and nesting stands within its parent's block."""
    return len(encoded) <= MAX_INLINE_BYTES and depth <= MAX_INLINE_DEPTH
