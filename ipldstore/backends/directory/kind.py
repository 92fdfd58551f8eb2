"""Folders of blocks, named by a path or by a ``file:`` URL."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.backends.paths import read_path

KINDS = {
    "path": Kind(
        read_path,
        "ipldstore.backends.directory.store:DirectoryCAStore",
        "folder of blocks",
        is_local=True,
    )
}
