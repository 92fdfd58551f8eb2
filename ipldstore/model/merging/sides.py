"""What each side of a merge made of the keys, and the trees in which that stands."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.errors import TAKE_A_PART, LimitExceededError
from ipldstore.formats import dagcbor
from ipldstore.limits import MAX_HELD_KEYS, MAX_MERGED_KEY_LENGTH
from ipldstore.model.differences import Difference, Source, iter_differences
from ipldstore.model.merging.conflicts import Side
from ipldstore.model.merging.documents import NO_ATTRIBUTES, Parts, split_document
from ipldstore.model.metadata import read_metadata
from ipldstore.tree.decode import decode_document
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.nodes import Directory
from ipldstore.tree.pages import Load
from ipldstore.tree.tree import Tree

Kind = tuple[int | None, str]
"""What a node is: the format of Zarr, and "array" or "group"."""

OTHER: dict[Side, Side] = {"ours": "theirs", "theirs": "ours"}

_UNKNOWN = Link(b"")


class Row(NamedTuple):
    """The CIDs that a key's value has in the bases and on both sides; None where it has none.

    `array` and `chunk` are as in `Difference`.
    """

    bases: tuple[Link | None, ...]
    ours: Link | None
    theirs: Link | None
    array: str | None
    chunk: tuple[int, ...] | None

    def of(self, side: Side) -> Link | None:
        return self.ours if side == "ours" else self.theirs

    def is_changed_by(self, side: Side) -> bool:
        """Whether a side has another value than a base, and than the other side."""
        return self.ours != self.theirs and self.was_changed_by(side)

    def was_changed_by(self, side: Side) -> bool:
        """Whether a side has another value than a base, also if the other side has the same."""
        return any(base != self.of(side) for base in self.bases)

    @property
    def was_there(self) -> bool:
        """Whether a base has the key."""
        return any(base is not None for base in self.bases)


class Version:
    """One of the trees that are merged: a base, or a side."""

    def __init__(self, root: Link | None, load: Load) -> None:
        self._tree = Tree(load, root)
        self._kinds: dict[str, Kind | None] = {}

    def entry(self, key: str) -> Link | Document | None:
        """Return what stands under a metadata name; a document also if it has its own block."""
        entry = self._tree.find(key.split("/"))
        if isinstance(entry, Link) and codec_of(entry) == DAG_CBOR:
            return decode_document(entry, self._tree.load(entry))
        return entry

    def value(self, key: str) -> dict[str, Any] | None:
        """Return the content of a document; None if there is none, or bytes stand there."""
        entry = self.entry(key)
        if not isinstance(entry, Document):
            return None
        value: dict[str, Any] = dagcbor.decode(entry.encoded)
        return value

    def parts(self, key: str) -> Parts | None:
        """Return the parts of a document that merge by themselves; None if it has none."""
        name = key.rpartition("/")[2]
        entry = self.entry(key)
        if entry is None and name == ".zattrs":
            return NO_ATTRIBUTES
        if not isinstance(entry, Document):
            return None
        return split_document(name, dagcbor.decode(entry.encoded))

    def attributes(self, key: str) -> dict[str, bytes] | None:
        """Return the attributes in a document, each as JSON, to be compared; None if unknown.

        JSON that is no IPLD data has some, too, as it does where an attribute is NaN.
        """
        entry = self.entry(key)
        if entry is None:
            return {}
        try:
            if isinstance(entry, Document):
                value = dagcbor.decode(entry.encoded)
            else:
                value = json.loads(self._tree.load(entry))
            if isinstance(value, dict) and key.rpartition("/")[2] != ".zattrs":
                value = value.get("attributes", {})
            if not isinstance(value, dict):
                return None
            return {name: json.dumps(item, sort_keys=True).encode() for name, item in value.items()}
        except (ValueError, TypeError, RecursionError):
            return None

    def body(self, key: str) -> bytes | None:
        """Return what of a document is one value: all of it, or its CID, where it has no parts."""
        parts = self.parts(key)
        if parts is not None:
            return parts.body
        entry = self.entry(key)
        return entry.encoded if isinstance(entry, Document) else entry

    def kind(self, path: str) -> Kind | None:
        """Return what the documents at a path make it; None if they do not."""
        if path not in self._kinds:
            found = read_metadata(self._directory(path) or Directory(), self._tree.load)
            is_node = found.kind != "directory"
            self._kinds[path] = (found.zarr_format, found.kind) if is_node else None
        return self._kinds[path]

    def has_directory(self, path: str) -> bool:
        return self._directory(path) is not None

    def _directory(self, path: str) -> Directory | None:
        return self._tree.find_directory(path.split("/") if path else [])


class Sides:
    """All that is merged: the versions, and for each key that is not the same in all, its row.

    `keys` are sorted, as are `documents`, those of them with a metadata name.
    """

    def __init__(
        self, bases: Sequence[Link | None], ours: Link | None, theirs: Link | None, source: Source
    ) -> None:
        self.bases = [Version(base, source.load) for base in bases]
        self.ours = Version(ours, source.load)
        self.theirs = Version(theirs, source.load)
        self.rows = _read_rows(bases, (ours, theirs), source)
        self.keys = sorted(self.rows)
        self.documents = [key for key in self.keys if key.rpartition("/")[2] in METADATA_NAMES]

    def version(self, side: Side) -> Version:
        return self.ours if side == "ours" else self.theirs

    def keys_below(self, path: str) -> Iterator[str]:
        """Iterate the keys at a path and below it."""
        return _iter_below(self.keys, path)

    def documents_below(self, path: str) -> Iterator[str]:
        """Iterate the keys of documents below a path."""
        return _iter_below(self.documents, path)

    def is_changed_by(self, side: Side, key: str) -> bool:
        """Whether a side changed more of a key than what is derived from other keys."""
        row = self.rows[key]
        return row.is_changed_by(side) and not self._is_derived(side, key)

    def is_filled_by(self, side: Side, key: str) -> bool:
        """Whether a side wrote the fill value to all of a chunk, which removes its key."""
        row = self.rows[key]
        if row.array is None or row.of(side) is not None or not row.was_there:
            return False
        kind = self.version(side).kind(row.array)
        return kind is not None and kind[1] == "array"

    def _is_derived(self, side: Side, key: str) -> bool:
        """Whether a side changed nothing but consolidated metadata in a key."""
        name = key.rpartition("/")[2]
        if name == ".zmetadata":
            return self.version(side).entry(key) is None or (
                self.version(side).parts(key) is not None
            )
        if name != "zarr.json" or (parts := self.version(side).parts(key)) is None:
            return False
        return all(base.parts(key) == parts for base in self.bases)


def _iter_below(keys: list[str], path: str) -> Iterator[str]:
    if not path:
        yield from keys
        return
    at = bisect_left(keys, path)
    if at < len(keys) and keys[at] == path:
        yield path
    # "0" is what follows "/"
    start, stop = bisect_left(keys, f"{path}/"), bisect_left(keys, f"{path}0")
    for index in range(start, stop):
        yield keys[index]


def _read_rows(
    bases: Sequence[Link | None], sides: Sequence[Link | None], source: Source
) -> dict[str, Row]:
    roots = [*bases, *sides]
    found: dict[str, list[Any]] = {}
    size = 0
    for base in range(len(bases)):
        for side in range(len(bases), len(roots)):
            for difference in _iter_between(roots[base], roots[side], source):
                key = difference.key
                values = found.get(key)
                if values is None:
                    size += len(key)
                    _check_size(len(found) + 1, size)
                    values = found[key] = [_UNKNOWN] * len(roots) + [None, None]
                values[base], values[side] = difference.old, difference.new
                if difference.chunk is not None:
                    values[-2:] = difference.array, difference.chunk
    return {key: _make_row(values, len(bases)) for key, values in found.items()}


def _iter_between(old: Link | None, new: Link | None, source: Source) -> Iterator[Difference]:
    if old == new:
        return iter(())
    before, after = (Directory() if root is None else root for root in (old, new))
    return iter_differences(before, after, (source, source))


def _check_size(count: int, size: int) -> None:
    if count > MAX_HELD_KEYS:
        raise LimitExceededError(f"more than {MAX_HELD_KEYS:,} keys changed; {TAKE_A_PART}")
    if size > MAX_MERGED_KEY_LENGTH:
        raise LimitExceededError(
            f"keys of more than {MAX_MERGED_KEY_LENGTH:,} characters changed; {TAKE_A_PART}"
        )


def _make_row(values: list[Any], bases: int) -> Row:
    """Make a row of what differences told: what they did not mention is the same in both."""
    *known, array, chunk = values
    base = next(value for value in known[:bases] if value is not _UNKNOWN)
    ours, theirs = [base if value is _UNKNOWN else value for value in known[bases:]]
    filled = [ours if value is _UNKNOWN else value for value in known[:bases]]
    return Row(tuple(filled), ours, theirs, array, chunk)
