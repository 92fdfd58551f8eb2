"""Paths and URLs of Zarr stores."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ipldstore.registry import local_place
from ipldstore.urls import show_url


class Place(NamedTuple):
    """Where a Zarr store is.

    Attributes
    ----------
    path : Path or None
        The path, if it is on this machine.
    url : str
        The URL, if it is not.
    """

    path: Path | None
    url: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is a path."""
        return self.path is not None

    @property
    def is_zip(self) -> bool:
        """Whether it is a zip file, by its name."""
        return self.path is not None and self.path.suffix.lower() == ".zip"

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        return str(self.path) if self.path is not None else show_url(self.url)


def find_place(what: str | os.PathLike[str]) -> Place:
    """Return the place that a path or URL names.

    Raises
    ------
    TypeError
        If it is a CAR file or the URL of a block store.
    """
    text = os.fspath(what)
    if "://" not in text or isinstance(what, os.PathLike):
        if (local := local_place(text)) is None or local[0] == "car":
            raise TypeError(
                f"expected a Zarr store, not str; open_block_store(URL) opens {show_url(text)!r}"
            )
        return Place(Path(text).expanduser())
    parts = urlsplit(text)
    if parts.scheme.lower() == "file":
        return Place(Path(url2pathname(parts.path)))
    return Place(None, text)


@contextmanager
def check_path(place: Place) -> Iterator[Place]:
    """Give a place that is to be read.

    Raises
    ------
    FileNotFoundError
        If there is no such path.
    """
    if place.path is not None and not place.path.exists():
        raise FileNotFoundError(f"no folder or zip file {place.shown!r} of a Zarr store")
    yield place


@contextmanager
def made_anew(place: Place) -> Iterator[Place]:
    """Give a place that is to be written; a zip file is complete before it has its name.

    Raises
    ------
    FileExistsError
        If a zip file exists.
    """
    path = place.path
    if path is None or not place.is_zip:
        yield place
        return
    if path.exists():
        raise FileExistsError(f"{place.shown!r} exists and is not written over")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.zip")
    try:
        yield Place(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
