"""The mapping face of a store: keys to bytes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ipldstore.cid import Link
from ipldstore.errors import IPLDStoreError
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.store.expansion import measure
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.values import Cut, is_canonical, make_entry, read_value
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import split_if_key, split_if_path, split_key

if TYPE_CHECKING:
    from ipldstore.cidobject import CID


_MISSING: Final = object()
_HINTS: dict[type, str] = {
    str: "text.encode() gives bytes",
    type(None): "`del store[key]` removes a key",
    dict: "json.dumps(document).encode() gives bytes",
}


class HierarchyMapping(Hierarchy, MutableMapping[str, bytes]):
    """A hierarchy of keys and values on a content-addressed block store.

    It needs no zarr; `ipldstore.IPLDStore` is this and a Zarr store.

    Parameters
    ----------
    backend
        Where the blocks are kept; a `MappingCAStore` over a new ``dict`` if none is given.
    root
        CID of the hierarchy to open; an empty one if none is given.
    read_only
        Whether the store refuses to be written through.
    cache_bytes
        How many bytes of directory blocks may be loaded before those that did not change are
        dropped again; in memory they take about five times that.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError, InvalidNodeError, InvalidCIDError
        If the root cannot be opened.
    """

    def __getitem__(self, key: str) -> bytes:
        entry = self._find(key)
        if entry is None:
            raise KeyError(key)
        return bytes(self._read(key, entry))

    def __setitem__(self, key: str, value: bytes) -> None:
        self._check_writable()
        segments, data = split_key(key), self._to_bytes(key, value)
        self._insert(segments, make_entry(self.backend, segments[-1], data))

    def __delitem__(self, key: str) -> None:
        if not self._remove(key):
            raise KeyError(key)

    def setdefault(self, key: str, default: Any = None) -> bytes:
        """Return a key's value, or set it and return that if there is none.

        One step under threads: of several that set the key at once the first one wins.
        """
        entry = self._find(key)
        if entry is None:
            self._check_writable()
            segments, data = split_key(key), self._to_bytes(key, default)
            new = make_entry(self.backend, segments[-1], data)
            entry = self._state.insert_if_absent(segments, new)
            if entry is new and isinstance(new, Link):
                return data
        return bytes(self._read(key, entry))

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Remove a key and return its value, which is read first; one step under threads."""
        self._check_writable()
        while (entry := self._find(key)) is not None:
            value = bytes(self._read(key, entry))
            if self._remove(key, entry):
                return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __iter__(self) -> Iterator[str]:
        return self._iter_keys([])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return not self._is_empty("")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HierarchyMapping):
            return NotImplemented
        if self._state is other._state:
            return True
        if self.backend != other.backend:
            return False
        roots = self._state.root, other._state.root
        if None not in roots:
            return roots[0] == roots[1]
        return self._entries() == other._entries()

    __hash__ = object.__hash__

    def clear(self) -> None:
        """Remove every key, at once."""
        self._remove_directory("")

    def normalize(self, *, max_files: int | None = None, max_bytes: int | None = None) -> CID:
        """Rewrite every part of the hierarchy that is not in the canonical form, and freeze.

        Roots written by older software then get the CID that writing the same content anew
        would give. Loads every directory and metadata document, and every value whose link does
        not tell that it is canonical.
        """
        self._check_writable()
        with self._state.lock():
            tree = self._state.tree
            content = measure(self.backend, tree.top)
            content.check_held()
            content.check(max_files, max_bytes, parts="keys")
            others = [
                (key, entry)
                for key, entry in tree.iter_entries(max_keys=MAX_HELD_KEYS)
                if isinstance(entry, Link)
                and not is_canonical(self.backend, key.rpartition("/")[2], entry)
            ]
            for key, entry in others:
                segments = split_key(key)
                data = bytes(self._read(key, entry))
                tree.insert(segments, make_entry(self.backend, segments[-1], data))
            tree.touch_all()
        return self.freeze()

    def _to_bytes(self, key: str, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return self._copy_buffer(value)
        except (TypeError, ValueError, BufferError):
            hint = next((hint for kind, hint in _HINTS.items() if isinstance(value, kind)), None)
            raise TypeError(
                f"expected bytes for key {key!r}, or a buffer of them, not {type(value).__name__}; "
                f"{hint or 'zarr and xarray write arrays and numbers'}"
            ) from None

    @staticmethod
    def _copy_buffer(value: Any) -> bytes:
        view = memoryview(value)
        if "O" in view.format:
            raise TypeError("pointers to Python objects")
        return view.tobytes()

    def _find(self, key: object) -> Link | Document | None:
        segments = split_if_key(key)
        if segments is None:
            return None
        with self._state.lock():
            return self._state.tree.find(segments)

    def _remove(self, key: object, entry: Link | Document | None = None) -> bool:
        """Remove a value, if an entry is given only that one; False if it is not there."""
        self._check_writable()
        segments = split_if_key(key)
        return segments is not None and self._state.remove(segments, entry)

    def _insert(self, segments: list[str], entry: Link | Document) -> None:
        self._state.insert(segments, entry)

    def _read(self, key: str, entry: Link | Document, cut: Cut | None = None) -> bytes | memoryview:
        try:
            return read_value(self.backend, entry, cut)
        except IPLDStoreError as error:
            error.add_note(f"while reading key {key!r}")
            raise

    def _iter_keys(self, segments: Sequence[str]) -> Iterator[str]:
        tree = self._state.tree
        entries = tree.iter_entries(segments)
        while True:
            with self._state.lock():
                key = next(entries, (None, None))[0]
            if key is None:
                return
            yield key

    def _entries(self) -> dict[str, Link]:
        with self._state.lock():
            return {
                key: self.backend.make_cid(entry.encoded, "dag-cbor")
                if isinstance(entry, Document)
                else entry
                for key, entry in self._state.tree.iter_entries(max_keys=MAX_HELD_KEYS)
            }

    def _is_empty(self, path: str) -> bool:
        """Whether there is nothing below a path."""
        segments = split_if_path(path)
        if segments is None:
            return True
        with self._state.lock():
            tree = self._state.tree
            # but the root, no directory is empty
            return tree.find_directory(segments) is None if segments else tree.is_empty

    def _list_directory(self, path: str) -> list[str]:
        segments = split_if_path(path)
        if segments is None:
            return []
        with self._state.lock():
            return self._state.tree.list_directory(segments)

    def _remove_directory(self, path: str) -> None:
        self._check_writable()
        segments = split_if_path(path)
        if segments is not None:
            self._state.remove_directory(segments)
