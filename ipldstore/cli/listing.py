"""``ipldstore ls``: what is in a hierarchy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ipldstore.cid import Link, to_text
from ipldstore.cli.blocks import opened
from ipldstore.cli.reporting import printable
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import IPLDStoreError
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.decode import decode_stub
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_path
from ipldstore.tree.nodes import Directory, Entry, is_value
from ipldstore.tree.pages import iter_entries
from ipldstore.tree.tree import Tree

_PLACE = re.compile(r"((?:ip[fn]s://|/ip[fn]s/)?[^/]*)/?(.*)", re.DOTALL)


def iter_lines(place: str, blocks: str, *, long: bool, recursive: bool) -> Iterator[str]:
    """Iterate the lines of a listing: kind, size, with ``long`` the CID, and name.

    Parameters
    ----------
    place
        ``CID`` or ``CID/path``, also as ``ipfs://CID/path`` or ``ipns://NAME/path``.
    blocks
        Where the blocks are, as in `open_blocks`.
    long
        Whether to sum up what directories hold, and to show CIDs.
    recursive
        Whether to go into directories.

    Raises
    ------
    FileNotFoundError
        If nothing is at the path.
    """
    parts = _PLACE.fullmatch(place)
    assert parts is not None
    cid, path = parts.groups()
    with opened(cid, blocks) as (backend, root):
        listing = _Listing(backend, root, long)
        segments = split_path(path)
        entry = listing.tree.find(segments) if segments else None
        if entry is not None:
            yield listing.line(segments, entry, segments[-1])
        elif listing.tree.find_directory(segments) is None:
            raise FileNotFoundError(f"nothing at {path!r} under {cid}")
        else:
            yield from listing.iter_lines(segments, "", recursive)


class _Listing:
    """The tree under a root, and how its entries are shown."""

    def __init__(self, backend: ContentAddressableStore, root: Link, long: bool) -> None:
        self.backend = backend
        self.tree = Tree(backend.get_block, root)
        self.long = long

    def iter_lines(self, segments: list[str], prefix: str, recursive: bool) -> Iterator[str]:
        directory = self.tree.find_directory(segments)
        assert directory is not None
        for name, entry in iter_entries(directory, self.backend.get_block):
            place = [*segments, name]
            yield self.line(place, entry, prefix + name)
            if recursive and not is_value(entry, name):
                yield from self.iter_lines(place, f"{prefix}{name}/", recursive)

    def line(self, segments: list[str], entry: Entry, name: str) -> str:
        if is_value(entry, segments[-1]):
            kind = "document" if segments[-1] in METADATA_NAMES else "chunk"
            size = str(self._value_size("/".join(segments), entry))
        else:
            kind = self._directory_kind(segments)
            size = str(self._directory_size(segments)) if self.long else "-"
        cid = f" {_cid_of(entry):59}" if self.long else ""
        return f"{kind:9} {size:>12}{cid} {printable(name)}"

    def _value_size(self, key: str, entry: Link | Document) -> int:
        try:
            return value_size(self.backend, entry)
        except IPLDStoreError as error:
            error.add_note(f"the value of key {key!r}")
            raise

    def _directory_size(self, segments: list[str]) -> int:
        path = "/".join(segments)
        return sum(
            self._value_size(f"{path}/{key}", entry)
            for key, entry in self.tree.iter_entries(segments)
        )

    def _directory_kind(self, segments: list[str]) -> str:
        if self.tree.find([*segments, ".zarray"]) is not None:
            return "array"
        if self.tree.find([*segments, ".zgroup"]) is not None:
            return "group"
        document = self.tree.find([*segments, "zarr.json"])
        if document is None:
            return "directory"
        try:
            kind = json.loads(bytes(read_value(self.backend, document)))["node_type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return "directory"
        return kind if kind in ("array", "group") else "directory"


def _cid_of(entry: Entry) -> str:
    """Return the text of an entry's CID, ``-`` where it is held in its parent's block."""
    link = entry if isinstance(entry, Link) else None
    if isinstance(entry, Directory) and entry.stub is not None:
        link = decode_stub(entry.stub)
    return "-" if link is None else to_text(link)
