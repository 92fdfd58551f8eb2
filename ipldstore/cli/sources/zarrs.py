"""Zarr stores as sources: their keys and values, as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.folders import Notes, is_left_by_a_system, iter_files
from ipldstore.errors import BackendError
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.zarrstores import PlainStore, open_zarr_store


class Values(NamedTuple):
    """Keys and values of a Zarr store, and their size where it is known before."""

    iter_items: Callable[[], Iterator[tuple[str, bytes]]]
    size: int | None
    zarr_format: int


def open_folder(folder: Path, notes: Notes) -> Values:
    """Open a Zarr folder; see `iter_files` for errors."""
    size = sum(Path(path).stat().st_size for _, path in iter_files(folder, notes))
    noted = Notes([], [])
    return Values(
        lambda: ((key, Path(path).read_bytes()) for key, path in iter_files(folder, noted)),
        size,
        3 if (folder / "zarr.json").is_file() else 2,
    )


@contextmanager
def open_zip(path: Path, shown: str, notes: Notes) -> Iterator[Values]:
    """Open a zip file of a Zarr store, which may be in a folder within it."""
    with open_zarr_store(path) as plain:
        keys = _without_left(plain.list_keys(), notes)
        top = _top_of(keys, shown)
        notes.left_out.extend(key for key in keys if not key.startswith(top))
        keys = [key.removeprefix(top) for key in keys if key.startswith(top)]
        yield _values_of(_explained(plain.below(top.rstrip("/")), shown), keys, shown)


def _explained(plain: PlainStore, shown: str) -> PlainStore:
    """Return a store of a file that may be damaged, which is no fault of a server."""

    def get(key: str) -> bytes | None:
        try:
            return plain.get(key)
        except BackendError as error:
            why = error.__cause__ or error
            raise CommandError(f"{shown!r}: {key!r} cannot be read: {why}") from None

    return replace(plain, get=get)


@contextmanager
def open_url(url: str, shown: str, notes: Notes) -> Iterator[Values]:
    """Open a Zarr store at a URL."""
    with open_zarr_store(url) as plain:
        yield _values_of(plain, _without_left(plain.list_keys(), notes), shown)


def _without_left(keys: Iterable[str], notes: Notes) -> list[str]:
    found = []
    for key in keys:
        if any(map(is_left_by_a_system, key.split("/"))):
            notes.left_out.append(key)
        else:
            found.append(key)
    return found


def _values_of(plain: PlainStore, keys: list[str], shown: str) -> Values:
    def iter_items() -> Iterator[tuple[str, bytes]]:
        for key in keys:
            data = plain.get(key)
            if data is not None:
                yield key, data
            elif plain.is_exact:
                raise BackendError(f"{shown!r}: {key!r} disappeared meanwhile", retryable=True)

    return Values(iter_items, None, 3 if "zarr.json" in keys else 2)


def _top_of(names: Iterable[str], shown: str) -> str:
    """Return the folder within a zip file that the store is in, with a slash at its end."""
    folders = {
        name[: -len(last)] for name in names if (last := name.rpartition("/")[2]) in METADATA_NAMES
    }
    top = min(sorted(folders), key=len, default="")
    if others := sorted(folder for folder in folders if not folder.startswith(top)):
        raise CommandError(
            f"{shown!r} holds several Zarr stores, {top!r} and {others[0]!r}: unpack it, and put "
            "the folders"
        )
    return top
