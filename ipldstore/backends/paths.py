"""Paths of folders and files that hold blocks."""

from __future__ import annotations

import os
from pathlib import Path

from ipldstore.errors import BackendError
from ipldstore.urls import is_url, show_url


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of what is on this machine.

    Raises
    ------
    BackendError
        If it is a URL, which would become a folder of that name; what is secret in it is not shown.
    """
    text = os.fspath(path)
    if isinstance(text, str) and is_url(text):
        raise BackendError(
            f"{show_url(text)!r} is a URL, expected a path on this machine: "
            "ipldstore.open_block_store takes URLs"
        )
    return Path(path).absolute()
