"""The files of a Zarr folder, without what systems leave beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ipldstore.cli.frame.reporting import CommandError

_LEFT_BY_SYSTEMS = frozenset(
    {
        ".ds_store",
        ".localized",
        ".spotlight-v100",
        ".trashes",
        ".fseventsd",
        ".appledouble",
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        ".directory",
        ".ipynb_checkpoints",
    }
)
"""Names of files and folders that are no part of any dataset, in lower case."""


class Notes(NamedTuple):
    """What is worth a word about a source.

    `left_out` are keys of what systems left there; of a folder, that of the folder alone.
    `followed` are those of symbolic links that lead out of the folder.
    """

    left_out: list[str]
    followed: list[str]


def is_left_by_a_system(name: str) -> bool:
    """Whether a file or folder of a name is what a system or a notebook leaves behind."""
    return name.startswith("._") or name.lower() in _LEFT_BY_SYSTEMS


def iter_files(folder: Path, notes: Notes) -> Iterator[tuple[str, str]]:
    """Iterate the files below a folder, symbolic links followed: their keys and their paths."""
    top = os.path.realpath(folder)
    stack: list[tuple[str, str, tuple[str, ...]]] = [("", os.fspath(folder), (top,))]
    while stack:
        prefix, place, entered = stack.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                key, within = prefix + entry.name, entered
                if is_left_by_a_system(entry.name):
                    notes.left_out.append(key)
                    continue
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if not _is_below(target, top):
                        notes.followed.append(key)
                    if target in entered or _is_below(os.path.realpath(place), target):
                        raise CommandError(f"{entry.path!r} is a link to a folder that it is in")
                    within = (*entered, target)
                if entry.is_dir():
                    stack.append((f"{key}/", entry.path, within))
                elif entry.is_file() or not os.path.exists(entry.path):
                    yield key, entry.path
                else:
                    raise CommandError(f"{entry.path!r} is neither a file nor a folder")


def _is_below(path: str, top: str) -> bool:
    return os.path.commonpath([path, top]) == top
