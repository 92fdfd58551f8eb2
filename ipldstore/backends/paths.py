"""Paths of folders and files that hold blocks."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import url2pathname

from ipldstore.basics.urls import is_url, show_url
from ipldstore.errors import BackendError, BlockStoreURLError
from ipldstore.formats.magic import CAR, SQLITE, kind_of
from ipldstore.tree.keys import METADATA_NAMES

SHARDING_NAME = "SHARDING"
"""The file that tells a folder of blocks."""

BLOCKS_OPTION = "blocks= (of commands, --blocks)"

_HEAD_BYTES = 512


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path on this machine; a URL, which would become a folder, is refused."""
    text = os.fspath(path)
    if isinstance(text, str) and is_url(text):
        raise BackendError(
            f"{show_url(text)!r} is a URL, expected a path on this machine: "
            "ipldstore.open_block_store takes URLs"
        )
    return Path(path).absolute()


def read_path(scheme: str, rest: str) -> tuple[str]:
    """Return the path in the rest of a URL, or a path itself after the scheme "path"."""
    if not rest.startswith("//") or scheme == "path":
        path = os.path.expanduser(rest)
    elif rest.startswith("///"):
        path = rest[2:]
    else:
        raise BlockStoreURLError(
            f"{show_url(f'{scheme}:{rest}')!r} names a host: expected {scheme}:PATH or "
            f"{scheme}:///PATH, a path on this machine"
        )
    if not path or "\0" in path:
        raise BlockStoreURLError(f"'{scheme}:' without a path, expected {scheme}:PATH")
    return (path,)


def path_of_file_url(url: str) -> str:
    """Return the path on this machine that a ``file:`` URL names."""
    rest = url.partition(":")[2].replace("//localhost/", "///", 1)
    (path,) = read_path("file", rest)
    if not path.startswith("/"):
        raise BlockStoreURLError(f"'file:{path}' is no absolute path: expected file:///PATH")
    return url2pathname(path)


def describe(path: str | os.PathLike[str]) -> str | None:
    """Say what is at a path, and what to do with it in place of what was done; None for nothing."""
    try:
        if os.path.isdir(path):
            return _describe_folder(set(os.listdir(path)))
        if os.path.isfile(path):
            return _describe_file(path)
        return "neither a file nor a folder" if os.path.lexists(path) else None
    except (OSError, ValueError) as error:
        return f"there, and cannot be looked into ({error})"


def _describe_folder(names: set[str]) -> str:
    if not names:
        return "an empty folder"
    if SHARDING_NAME in names:
        return f"a folder of blocks: name a root in it, and the folder as {BLOCKS_OPTION}"
    if METADATA_NAMES & names:
        return "a Zarr folder: `ipldstore put` makes a root of it"
    return "a folder, neither of blocks nor with Zarr in it"


def _describe_file(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = kind_of(head)
    if not head:
        return "an empty file"
    if kind == CAR:
        return f"a CAR archive: name it car:{show_url(os.fspath(path))}"
    if kind == SQLITE:
        place = f"sqlite:{show_url(os.fspath(path))}"
        return f"an SQLite database: one of blocks is {place}, which goes as {BLOCKS_OPTION}"
    if kind is None:
        return "a file, and no CAR archive"
    return f"{kind.text}: {kind.advice}" if kind.advice else kind.text
