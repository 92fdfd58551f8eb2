"""What each block store says of itself, so that its URLs can be read without importing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """One kind of block store.

    The folders say theirs in `kind` modules, by the scheme of their URLs, and `ipldstore.registry`
    lists these. `read` takes the scheme and the rest of a URL, and returns what the class takes
    first; it raises `BlockStoreURLError` if that names no such store. `home` is module and class,
    as in an entry point, and `noun` what a message calls a file or folder that is not there. Of a
    local one the path is what is read. `takes_passwords` says whether a URL may hold user and
    password, and the scheme be followed by that of HTTP; `is_marked` whether the class takes
    `create`, and then marks how blocks are laid out; `extra` which extra of the package it needs.
    """

    read: Callable[[str, str], tuple[Any, ...]]
    home: str
    noun: str = ""
    is_local: bool = False
    takes_passwords: bool = False
    is_marked: bool = False
    extra: str | None = None
