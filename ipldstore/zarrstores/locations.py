"""Paths and URLs of Zarr stores."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ipldstore.backends.paths import SHARDING_NAME, path_of_file_url
from ipldstore.basics.urls import show_url
from ipldstore.errors import LimitExceededError
from ipldstore.limits import MAX_VALUE_BYTES
from ipldstore.registry import local_place
from ipldstore.zarrstores import suffixes


class Location(NamedTuple):
    """Where a Zarr store is: a path if it is on this machine, else a URL."""

    path: Path | None
    url: str = ""

    @property
    def is_zip(self) -> bool:
        """Whether it is a zip file, by what it holds, or by its name if it is to be made."""
        if self.path is None or self.path.is_dir():
            return False
        return self.path.suffix.lower() == ".zip" or zipfile.is_zipfile(self.path)

    @property
    def scheme(self) -> str:
        """That of the URL, in lower case."""
        return self.url.partition(":")[0].lower()

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        return repr(str(self.path) if self.path is not None else show_url(self.url))


def find_location(what: str | os.PathLike[str]) -> Location:
    """Return the location that a path or URL names, if it is not that of a block store."""
    text = os.fspath(what)
    is_path = isinstance(what, os.PathLike)
    if not is_path and text[:5].lower() == "file:":
        return Location(Path(path_of_file_url(text)))
    if not is_path and "://" in text:
        return Location(None, text)
    local = local_place(os.path.join(os.curdir, text) if is_path else text)
    if local is None or local[0] == "car":
        raise _block_store(text)
    return Location(Path(text).expanduser())


def _block_store(text: str) -> TypeError:
    return TypeError(
        f"expected a Zarr store, not the folder of blocks or CAR file {show_url(text)!r}: "
        "open_block_store(URL) opens that"
    )


def check_source(location: Location) -> None:
    """Refuse to read a path that is not there, or a zip file with a value that is too large."""
    if location.path is None:
        return
    if not location.path.exists():
        raise FileNotFoundError(f"no folder or zip file {location.shown} of a Zarr store")
    if location.is_zip:
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(location.path) as archive:
            _check_members(archive, location.shown)


def _check_members(archive: zipfile.ZipFile, shown: str) -> None:
    """Refuse a member that would fill the memory; few bytes in a file can stand for any number."""
    for member in archive.infolist():
        if member.file_size > MAX_VALUE_BYTES:
            raise LimitExceededError(
                f"{shown}: {member.filename!r} has {member.file_size} bytes, expected at most "
                f"{MAX_VALUE_BYTES}"
            )


@contextmanager
def made(location: Location) -> Iterator[Location]:
    """Give a location that is to be written; a zip file is complete before it has its name."""
    path = location.path
    if path is None or path.is_dir():
        if path is not None and (path / SHARDING_NAME).exists():
            raise _block_store(str(path))
        yield location
        return
    if path.suffix.lower() in suffixes.FILES - {suffixes.ZIP}:
        raise ValueError(
            f"{location.shown} is named as a file of another kind: a Zarr store is a folder "
            "(.zarr, or no suffix) or a zip file (.zip); `ipldstore get` writes NetCDF"
        )
    if os.path.lexists(path):
        raise FileExistsError(f"{location.shown} exists and is not written over")
    if not location.is_zip:
        yield location
        return
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder to put {location.shown} in")
    temporary = path.with_name(f".ipldstore-{secrets.token_hex(8)}.zip")
    try:
        yield Location(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
