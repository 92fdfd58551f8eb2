"""``ipldstore ls``: what is in a hierarchy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

from ipldstore.basics.words import printable
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.tools.roots import located
from ipldstore.errors import IPLDStoreError
from ipldstore.formats.dagcbor import encode_link
from ipldstore.formats.jsontext import load_json
from ipldstore.model.values import remembering
from ipldstore.store.expansion import SizeTeller
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.decode import link_of
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_path
from ipldstore.tree.nodes import Entry, is_value
from ipldstore.tree.pages import iter_entries
from ipldstore.tree.tree import Tree

Listed: TypeAlias = "tuple[dict[str, Any], str]"
"""An entry, as facts and as a line."""


def iter_listing(what: str, where: str, *, long: bool, recursive: bool) -> Iterator[Listed]:
    """Iterate a listing, whose lines hold kind, size, with ``long`` the CID, and name."""
    with located(what, where) as (blocks, root, path):
        listing = _Listing(blocks, root, long)
        segments = split_path(path)
        entry = listing.tree.find(segments) if segments else None
        if entry is not None:
            yield listing.show(segments, entry, segments[-1])
        elif listing.tree.find_directory(segments) is None:
            raise FileNotFoundError(f"nothing at {path!r} under {to_text(root)}")
        else:
            yield from listing.iter_entries(segments, "", recursive)


class _Listing:
    """The tree under a root, and how its entries are shown."""

    def __init__(self, blocks: ContentAddressableStore, root: Link, long: bool) -> None:
        self.blocks = blocks
        self.tree = Tree(blocks.get_block, root)
        self.long = long
        self._size_of = remembering(partial(value_size, blocks))
        self._size_below = SizeTeller(blocks).size_of
        self._known: dict[bytes, tuple[str, int | None]] = {}

    def iter_entries(self, segments: list[str], prefix: str, recursive: bool) -> Iterator[Listed]:
        directory = self.tree.find_directory(segments)
        assert directory is not None
        for name, entry in iter_entries(directory, self.blocks.get_block):
            place = [*segments, name]
            yield self.show(place, entry, prefix + name)
            if recursive and not is_value(entry, name):
                yield from self.iter_entries(place, f"{prefix}{name}/", recursive)

    def show(self, segments: list[str], entry: Entry, name: str) -> Listed:
        size: int | None
        if is_value(entry, segments[-1]):
            kind = "document" if segments[-1] in METADATA_NAMES else "chunk"
            size = self._value_size("/".join(segments), entry)
        else:
            kind, size = self._look_at_directory(segments, entry)
        link = link_of(entry)
        cid = None if link is None else to_text(link)
        facts = {"name": name, "kind": kind, "bytes": size, "cid": cid}
        column = f" {cid or '-':59}" if self.long else ""
        return facts, f"{kind:9} {'-' if size is None else size:>12}{column} {printable(name)}"

    def _value_size(self, key: str, entry: Link | Document) -> int:
        try:
            return self._size_of(entry)
        except IPLDStoreError as error:
            error.add_note(f"the value of key {key!r}")
            raise

    def _look_at_directory(self, segments: list[str], entry: Entry) -> tuple[str, int | None]:
        """Return kind and, where that is shown, size; of equal directories, one is looked at."""
        assert not isinstance(entry, Document)
        stub = encode_link(entry) if isinstance(entry, Link) else entry.stub
        found = None if stub is None else self._known.get(stub)
        if found is None:
            size = self._directory_size(segments) if self.long else None
            found = self._directory_kind(segments), size
            if stub is not None:
                self._known[stub] = found
        return found

    def _directory_size(self, segments: list[str]) -> int:
        directory = self.tree.find_directory(segments)
        assert directory is not None
        try:
            return self._size_below(directory)
        except IPLDStoreError as error:
            error.add_note(f"a value below {'/'.join(segments)!r}")
            raise

    def _directory_kind(self, segments: list[str]) -> str:
        if self.tree.find([*segments, ".zarray"]) is not None:
            return "array"
        if self.tree.find([*segments, ".zgroup"]) is not None:
            return "group"
        document = self.tree.find([*segments, "zarr.json"])
        if document is None:
            return "directory"
        try:
            kind = load_json(bytes(read_value(self.blocks, document)))["node_type"]
        except (ValueError, TypeError, KeyError):
            return "directory"
        return kind if kind in ("array", "group") else "directory"
