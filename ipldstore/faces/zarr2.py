"""The store for zarr-python 2.18: a mapping that is also a ``zarr.storage.Store``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numcodecs.compat import ensure_bytes
from zarr.storage import Store
from zarr.util import normalize_storage_path

from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError
from ipldstore.store.expansion import check_held
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.values import make_entry, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_if_path, split_key, split_path
from ipldstore.tree.tree import Tree


class IPLDStore(Hierarchy, Store):
    """A Zarr store and a mapping on content-addressed blocks.

    The same object goes into ``ds.to_zarr(store)``, ``xarray.open_zarr(store)`` and
    ``zarr.open(store)``, and takes and gives ``store[key]``. Parameters and methods are those of
    `Hierarchy`.
    """

    _copy_buffer = staticmethod(ensure_bytes)

    def _repr_html_(self) -> str:
        from ipldstore.views.html import to_html

        return to_html(self)

    def getitems(self, keys: Sequence[str], *, contexts: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the values of those keys that are there."""
        missing = object()
        found = ((key, self.get(key, missing)) for key in keys)
        return {key: value for key, value in found if value is not missing}

    def is_writeable(self) -> bool:
        return not self.read_only

    def is_erasable(self) -> bool:
        return not self.read_only

    def listdir(self, path: str | None = "") -> list[str]:
        """List the names in a directory."""
        return sorted(self._list_directory(_normalize(path)))

    def rmdir(self, path: str | None = "") -> None:
        """Remove a directory and all in it."""
        self._remove_directory(_normalize(path))

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move a value, or a directory and all in it, to where nothing is yet.

        Values are not read, but for one that becomes a metadata document or was one.
        """
        self._check_writable()
        source, destination = _normalize(src_path), _normalize(dst_path)
        goal = split_path(destination)
        self._writer.prepare_copy()
        with self._writer.lock():
            tree = self._writer.copy_tree()
            if tree.find_directory(goal) is not None or tree.find(goal) is not None:
                raise InvalidKeyError(f"cannot rename {source!r}: {destination!r} exists")
            moved = self._entries_at(tree, source)
            if not moved:
                raise KeyError(source)
            if "" in moved and _is_metadata(source) != _is_metadata(destination):
                data = self._writer.read(source, moved[""])
                moved[""] = make_entry(self.blocks, goal[-1], data)
            for rest, entry in moved.items():
                tree.insert(split_key(destination + rest), entry)
            for rest in moved:
                tree.remove(split_key(source + rest))
            gone = dict.fromkeys(source + rest for rest in moved)
            come = {destination + rest: entry for rest, entry in moved.items()}
            self._writer.adopt(tree, {**gone, **come})

    def _entries_at(self, tree: Tree, path: str) -> dict[str, Link | Document]:
        """Return the values at or below a path, by what comes after it in their keys."""
        segments = split_if_path(path)
        directory = None if segments is None else tree.find_directory(segments)
        if directory is not None:
            check_held(directory, self.blocks.get_block)
            return {f"/{key}": entry for key, entry in tree.iter_entries(segments)}
        entry = tree.find(segments) if segments else None
        return {} if entry is None else {"": entry}

    def getsize(self, path: str | None = "") -> int:
        """Return the size of a value, or of the values right in a directory, in bytes."""
        path = _normalize(path)
        if path in self:
            return self._size(path)
        return sum(self._size(f"{path}/{name}".lstrip("/")) for name in self._list_directory(path))

    def _size(self, key: str) -> int:
        entry = self._find(key)
        return 0 if entry is None else value_size(self.blocks, entry)


def _normalize(path: str | None) -> str:
    """Write a path as zarr does; one that zarr refuses is that of nothing."""
    try:
        return normalize_storage_path(path)
    except ValueError:
        return path


def _is_metadata(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES
