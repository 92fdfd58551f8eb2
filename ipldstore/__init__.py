"""A content-addressed store for Zarr hierarchies: one root CID names, verifies and carries all.

Examples
--------
>>> import ipldstore
>>> store = ipldstore.IPLDStore()
>>> store["a/0"] = b"chunk"
>>> print(store.freeze())
bafyreieyzoqqgs3l3tinb3llbqke53v2i52plrc67tdqih2ddciwjaqrh4
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipldstore.backends.carfile.store import CARStore
    from ipldstore.backends.directory.store import DirectoryCAStore
    from ipldstore.backends.gateway.store import GatewayCAStore
    from ipldstore.backends.ipfs.store import IPFSStore
    from ipldstore.backends.layers.cache import CachingCAStore
    from ipldstore.backends.layers.union import UnionCAStore
    from ipldstore.backends.memory.store import MappingCAStore
    from ipldstore.backends.objects.store import ObjectCAStore
    from ipldstore.backends.sqlite.store import SQLiteCAStore
    from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock
    from ipldstore.cid import Link
    from ipldstore.comparing import MISSING, Comparison, NodeChange, compare
    from ipldstore.compression import CompressionCheck, check_compression
    from ipldstore.copying import copy
    from ipldstore.diffing import Change, diff
    from ipldstore.errors import (
        BackendError,
        BlockNotFoundError,
        BlockStoreNotFoundError,
        BlockStoreURLError,
        CarFormatError,
        CodecError,
        CommitConflictError,
        CorruptBlockError,
        DetachedStoreError,
        InvalidCIDError,
        InvalidKeyError,
        InvalidNameError,
        InvalidNodeError,
        IPLDStoreError,
        JournalError,
        LimitExceededError,
        MergeConflictError,
        NoChangesError,
        ReadOnlyStoreError,
        ReentrantCallError,
        RefError,
        RepositoryExistsError,
        RepositoryNotFoundError,
        RevisionError,
        SessionEndedError,
        UnfrozenChangesError,
        UnfrozenChangesWarning,
    )
    from ipldstore.faces import IPLDStore
    from ipldstore.faces.ipfs import get_ipfs_mapper
    from ipldstore.formats.cidobject import CID
    from ipldstore.inventory import info
    from ipldstore.model.merging import Conflict
    from ipldstore.opening import open  # noqa: A004
    from ipldstore.references import car_reference_fs
    from ipldstore.registry import open_block_store
    from ipldstore.repository.repository import Repository
    from ipldstore.repository.session import Session
    from ipldstore.transfer import copy_root
    from ipldstore.unnamed import Unnamed, find_roots
    from ipldstore.verifying import Problem, VerifyReport, verify

_HOMES = {
    "CID": "ipldstore.formats.cidobject",
    "Change": "ipldstore.diffing",
    "Comparison": "ipldstore.comparing",
    "CompressionCheck": "ipldstore.compression",
    "ContentAddressableStore": "ipldstore.blockstore.contract",
    "DirectoryCAStore": "ipldstore.backends.directory.store",
    "CARStore": "ipldstore.backends.carfile.store",
    "CachingCAStore": "ipldstore.backends.layers.cache",
    "GatewayCAStore": "ipldstore.backends.gateway.store",
    "IPFSStore": "ipldstore.backends.ipfs.store",
    "IPLDStore": "ipldstore.faces",
    "Link": "ipldstore.cid",
    "MISSING": "ipldstore.comparing",
    "MappingCAStore": "ipldstore.backends.memory.store",
    "NodeChange": "ipldstore.comparing",
    "ObjectCAStore": "ipldstore.backends.objects.store",
    "SQLiteCAStore": "ipldstore.backends.sqlite.store",
    "StoredBlock": "ipldstore.blockstore.contract",
    "UnionCAStore": "ipldstore.backends.layers.union",
    "car_reference_fs": "ipldstore.references",
    "check_compression": "ipldstore.compression",
    "compare": "ipldstore.comparing",
    "copy": "ipldstore.copying",
    "copy_root": "ipldstore.transfer",
    "diff": "ipldstore.diffing",
    "find_roots": "ipldstore.unnamed",
    "get_ipfs_mapper": "ipldstore.faces.ipfs",
    "info": "ipldstore.inventory",
    "open": "ipldstore.opening",
    "open_block_store": "ipldstore.registry",
    "Conflict": "ipldstore.model.merging",
    "Repository": "ipldstore.repository.repository",
    "Session": "ipldstore.repository.session",
    "Problem": "ipldstore.verifying",
    "Unnamed": "ipldstore.unnamed",
    "VerifyReport": "ipldstore.verifying",
    "verify": "ipldstore.verifying",
}
"""Modules of what is exported, but for the errors."""

__all__ = [
    "CID",
    "MISSING",
    "BackendError",
    "BlockNotFoundError",
    "BlockStoreNotFoundError",
    "BlockStoreURLError",
    "CARStore",
    "CachingCAStore",
    "CarFormatError",
    "Change",
    "CodecError",
    "CommitConflictError",
    "Comparison",
    "CompressionCheck",
    "Conflict",
    "ContentAddressableStore",
    "CorruptBlockError",
    "DetachedStoreError",
    "DirectoryCAStore",
    "GatewayCAStore",
    "IPFSStore",
    "IPLDStore",
    "IPLDStoreError",
    "InvalidCIDError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidNodeError",
    "JournalError",
    "LimitExceededError",
    "Link",
    "MappingCAStore",
    "MergeConflictError",
    "NoChangesError",
    "NodeChange",
    "ObjectCAStore",
    "Problem",
    "ReadOnlyStoreError",
    "ReentrantCallError",
    "RefError",
    "Repository",
    "RepositoryExistsError",
    "RepositoryNotFoundError",
    "RevisionError",
    "SQLiteCAStore",
    "Session",
    "SessionEndedError",
    "StoredBlock",
    "UnfrozenChangesError",
    "UnfrozenChangesWarning",
    "UnionCAStore",
    "Unnamed",
    "VerifyReport",
    "car_reference_fs",
    "check_compression",
    "compare",
    "copy",
    "copy_root",
    "diff",
    "find_roots",
    "get_ipfs_mapper",
    "info",
    "open",
    "open_block_store",
    "verify",
]


if not TYPE_CHECKING:  # type checkers would take any name for one of the package

    def __getattr__(name: str) -> Any:
        """Import what is asked for when it is asked for: zarr alone costs most of a second."""
        if name == "errors":
            return import_module("ipldstore.errors")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES.get(name, "ipldstore.errors")), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
