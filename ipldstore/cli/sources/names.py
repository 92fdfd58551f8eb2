"""What a source is called, and where it is: a path on this machine, or a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ipldstore.backends.paths import path_of_file_url
from ipldstore.basics.urls import is_url, show_url
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.errors import BlockStoreURLError

DEMO_PREFIX = "demo:"
WEB = ("http", "https")
BUCKETS = ("s3", "gs", "az")

_ENDINGS = re.compile(r"(?<=.)(\.ome)?\.(zarr\.zip|[A-Za-z][0-9A-Za-z]*)\Z")


class Named(NamedTuple):
    """A source by what names it.

    `shown` is without what could be secret. `stem` is the name of the group that it becomes where
    there are several. It has either a path on this machine or a URL.
    """

    shown: str
    stem: str
    path: Path | None = None
    url: str | None = None


def name_source(text: str) -> Named:
    """Find out what is meant by a path, which may begin with ``~``, a URL, or ``demo:NAME``."""
    if text == "-":
        raise CommandError(
            "a dataset does not come through standard input: name a file or a Zarr folder; "
            "archives do, with: ipldstore import -"
        )
    if text.startswith(DEMO_PREFIX):
        path = demo_file(text.removeprefix(DEMO_PREFIX))
        return Named(text, path.stem, path)
    if is_url(text) and not _is_file_url(text):
        return _name_url(text)
    path = local_path(text)
    return Named(show_url(text), stem_of(path.name or path.absolute().name), path)


def local_path(text: str) -> Path:
    """Return the path that text means, which may be a ``file://`` URL or begin with ``~``."""
    if not _is_file_url(text):
        return Path(os.path.expanduser(text))
    try:
        return Path(path_of_file_url(text))
    except BlockStoreURLError as error:
        raise CommandError(str(error)) from None


def _is_file_url(text: str) -> bool:
    return text[:5].lower() == "file:" and not os.path.lexists(text)


def _name_url(url: str) -> Named:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CommandError(f"{show_url(url)!r} is no URL: {error}") from None
    if parts.scheme.lower() not in (*WEB, *BUCKETS):
        raise CommandError(
            f"{show_url(url)!r} names no source: expected a path, file://, http://, https://, "
            "s3://, gs:// or az://"
        )
    name = PurePosixPath(unquote(parts.path)).name or parts.netloc
    return Named(show_url(url), stem_of(name), url=url)


def stem_of(name: str) -> str:
    """Return a name without the suffix that says what kind of file it is.

    Examples
    --------
    >>> [stem_of(name) for name in ("a.nc", "2026.01.nc", "x.zarr.zip", "v1.2", ".nc")]
    ['a', '2026.01', 'x', 'v1.2', '.nc']
    """
    return _ENDINGS.sub("", name)


def demo_file(name: str) -> Path:
    """Return the path of a NetCDF file of iris-sample-data by its name without ``.nc``."""
    try:
        import iris_sample_data
    except ImportError:
        raise CommandError("no demo data: pip install 'ipldstore[demo]'") from None
    folder = Path(iris_sample_data.path)
    files = {path.stem: path for path in sorted(folder.glob("**/*.nc"))}
    if name not in files:
        raise FileNotFoundError(f"no demo data {name!r}, there is: {', '.join(files)}")
    return files[name]
