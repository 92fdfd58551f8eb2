"""The store for zarr-python 2.18: a mapping that is also a ``zarr.storage.Store``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numcodecs.compat import ensure_bytes
from zarr.storage import Store
from zarr.util import normalize_storage_path

from ipldstore.errors import InvalidKeyError
from ipldstore.store.expansion import check_held
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.store.values import value_size
from ipldstore.tree.keys import split_key, split_path


class IPLDStore(HierarchyMapping, Store):
    """A Zarr store and a mapping on content-addressed blocks.

    The same object goes into ``ds.to_zarr(store)``, ``xarray.open_zarr(store)`` and
    ``zarr.open(store)``, and takes and gives ``store[key]``. Parameters and methods are those of
    `HierarchyMapping`.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, ensure_bytes(value))

    def getitems(self, keys: Sequence[str], *, contexts: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the values of those keys that are there."""
        missing = object()
        found = ((key, self.get(key, missing)) for key in keys)
        return {key: value for key, value in found if value is not missing}

    def is_writeable(self) -> bool:
        return not self.read_only

    def is_erasable(self) -> bool:
        return not self.read_only

    def listdir(self, path: str = "") -> list[str]:
        """List the names in a directory."""
        return sorted(self._list_directory(path))

    def rmdir(self, path: str = "") -> None:
        """Remove a directory and all in it."""
        self._check_writable()
        self._remove_directory(path)

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move a directory and all in it to where nothing is yet, without reading the values."""
        self._check_writable()
        source, destination = normalize_storage_path(src_path), normalize_storage_path(dst_path)
        with self._state.lock():
            tree = self._state.copy_tree()
            if tree.find_directory(split_path(destination)) is not None:
                raise InvalidKeyError(f"cannot rename {source!r}: {destination!r} exists")
            directory = tree.find_directory(split_path(source))
            if directory is None:
                raise KeyError(source)
            check_held(directory, self.backend.get_block)
            moved = list(tree.iter_entries(split_path(source)))
            for key, entry in moved:
                tree.insert(split_key(f"{destination}/{key}"), entry)
            for key, _ in moved:
                tree.remove(split_key(f"{source}/{key}"))
            self._state.adopt(tree, {f"{destination}/{key}": entry for key, entry in moved})

    def getsize(self, path: str = "") -> int:
        """Return the size of a value, or of the values right in a directory, in bytes."""
        if path and path in self:
            return self._size(path)
        names = self._list_directory(path)
        keys = [f"{path}/{name}" if path else name for name in names]
        return sum(self._size(key) for key in keys)

    def _size(self, key: str) -> int:
        entry = self._find(key)
        return 0 if entry is None else value_size(self.backend, entry)
