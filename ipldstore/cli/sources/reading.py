"""Sources that are opened: as datasets for xarray, or as keys and values of a Zarr store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from ipldstore.cli.sources.download import fetched, has_zarr
from ipldstore.cli.sources.folders import Notes
from ipldstore.cli.sources.kinds import Kind, kind_of_path
from ipldstore.cli.sources.names import WEB, Named
from ipldstore.cli.sources.zarrs import Values, open_folder, open_url, open_zip
from ipldstore.errors import InvalidKeyError
from ipldstore.zarrstores import suffixes

if TYPE_CHECKING:
    from ipldstore.cli.tools.netcdf import Groups

Content: TypeAlias = "Groups | Values"


class Opened(NamedTuple):
    """A source that is open.

    Its content is datasets by the paths of their groups, or keys and values. `size` is the bytes of
    the file; 0 for keys and values, which are counted as they come.
    """

    named: Named
    content: Content
    notes: Notes
    size: int = 0


@contextmanager
def open_source(named: Named) -> Iterator[Opened]:
    """Open what is named."""
    notes = Notes([], [])
    with ExitStack() as stack:
        if named.path is not None:
            path = named.path
        else:
            assert named.url is not None
            values = _find_store(stack, named.url, named.shown, notes)
            if values is not None:
                yield Opened(named, values, notes)
                return
            path = stack.enter_context(fetched(named.url))
        kind = kind_of_path(path, named.shown)
        if kind == "folder":
            yield Opened(named, open_folder(path, notes), notes)
        elif kind == "zip":
            yield Opened(named, stack.enter_context(open_zip(path, named.shown, notes)), notes)
        else:
            groups = stack.enter_context(_open_groups(kind, path, named.shown))
            yield Opened(named, groups, notes, path.stat().st_size)


def _find_store(stack: ExitStack, url: str, shown: str, notes: Notes) -> Values | None:
    """Open the Zarr store at a URL; None if there is none and the URL may be that of a file."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    if suffix in suffixes.FILES:
        return None
    try:
        if urlsplit(url).scheme.lower() in WEB and not has_zarr(url):
            raise FileNotFoundError(f"no Zarr metadata at {shown!r}")
        return stack.enter_context(open_url(url, shown, notes))
    except (FileNotFoundError, InvalidKeyError):
        if suffix == suffixes.ZARR:
            raise
        return None


def _open_groups(kind: Kind, path: Path, shown: str) -> AbstractContextManager[Groups]:
    if kind == "netcdf":
        from ipldstore.cli.tools.netcdf import open_netcdf

        return open_netcdf(path)
    if kind == "tiff":
        from ipldstore.cli.sources.tiff import open_tiff

        return open_tiff(path, shown)
    from ipldstore.cli.sources.arrays import open_npy, open_npz

    return (open_npy if kind == "npy" else open_npz)(path, shown)
