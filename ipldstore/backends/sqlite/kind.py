"""SQLite databases, named by ``sqlite:PATH``."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.backends.paths import read_path

KINDS = {
    "sqlite": Kind(
        read_path,
        "ipldstore.backends.sqlite.store:SQLiteCAStore",
        "database of blocks",
        is_local=True,
    )
}
