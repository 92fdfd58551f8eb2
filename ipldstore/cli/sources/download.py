"""Files at URLs, fetched into a temporary folder."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

from ipldstore.backends.http.answers import Stream, check_busy
from ipldstore.backends.http.client import HTTPClient
from ipldstore.backends.retries import Retries
from ipldstore.basics.urls import show_url
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.sources.names import WEB
from ipldstore.cli.sources.scratch import check_room, scratch_folder
from ipldstore.cli.tools.progress import progress
from ipldstore.errors import BackendError, raise_alone
from ipldstore.limits import REQUEST_SECONDS

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

_PIECE_BYTES = 4 << 20
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_DENIED = (401, 403, 407)
_GONE = (404, 410)
_LONGEST_NAME = 100
_NUMBER = "[0-9]{1,18}"
_TOP_DOCUMENTS = ("zarr.json", ".zgroup", ".zarray")


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Fetch the file at a URL, and remove it at the end."""
    shown = show_url(url)
    with scratch_folder() as folder:
        path = folder / _name_of(url)
        try:
            with open(path, "xb") as file:
                if urlsplit(url).scheme.lower() in WEB:
                    _fetch_page(url, file, shown)
                else:
                    _fetch_object(url, file, shown)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise CommandError(
                f"no room left for {shown!r} in {str(folder.parent)!r}: make some, or name "
                "another folder in TMPDIR"
            ) from None
        try:
            yield path
        except Exception as error:
            if str(folder) in str(error):
                error.add_note(f"fetched from {shown}")
            raise


def has_zarr(url: str) -> bool:
    """Whether a web server has Zarr metadata at a URL; some deny what they do not have."""
    client = HTTPClient(timeout=REQUEST_SECONDS, use_proxies=True)
    denied: Stream | None = None
    try:
        for name in _TOP_DOCUMENTS:
            parts = urlsplit(url)
            place = parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()
            with client.stream("GET", place) as reply:
                if reply.status == 200:
                    # some servers answer anything with a page
                    if next(reply.pieces, b"").lstrip().startswith(b"{"):
                        return True
                elif reply.status in _DENIED:
                    denied = reply
                elif reply.status not in (*_GONE, *_REDIRECTS):
                    _check_status(reply, show_url(url))
    finally:
        client.close()
    if denied is not None:
        _check_status(denied, show_url(url))
    return False


def _name_of(url: str) -> str:
    """Return a name for the file that tells people in errors which one it is."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name.replace("\0", "")
    return os.fsencode(name)[-_LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "source"


def _fetch_page(url: str, file: BinaryIO, shown: str) -> None:
    client = HTTPClient(timeout=REQUEST_SECONDS, use_proxies=True)
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            target = Retries().run(partial(_try, client, url, file, shown))
            if target is None:
                return
            url = target
    finally:
        client.close()
    raise CommandError(f"{shown!r} leads from one URL to another, {_MOST_REDIRECTS} times")


def _try(client: HTTPClient, url: str, file: BinaryIO, shown: str) -> str | None:
    """Fetch a file from its beginning, or return where it is said to be instead."""
    file.seek(0)
    file.truncate()
    with client.stream("GET", url) as reply:
        if reply.status in _REDIRECTS and (location := reply.headers.get("Location")):
            return _redirected(url, location, shown)
        _check_status(reply, shown)
        length = reply.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(_NUMBER, length) else None
        if total is not None:
            check_room(total, Path(file.name).parent, shown)
        with progress("fetching", total) as advance:
            try:
                for piece in reply.pieces:
                    file.write(piece)
                    advance(len(piece))
            except BackendError as error:
                error.add_note(f"{file.tell():,} bytes came" + (f" of {total:,}" if total else ""))
                raise
    return None


def _redirected(url: str, location: str, shown: str) -> str:
    target = urljoin(url, location)
    schemes = WEB if urlsplit(url).scheme.lower() == "http" else ("https",)
    if urlsplit(target).scheme.lower() not in schemes:
        raise CommandError(f"{shown!r} leads to {show_url(target)!r}, which is not followed")
    return target


def _check_status(reply: Stream, shown: str) -> None:
    status = reply.status
    if status == 200:
        return
    check_busy(reply, repr(shown))
    text = f"{shown!r}: the server answers with HTTP status {status}"
    if status in _GONE:
        raise FileNotFoundError(f"{text}, there is no such file")
    if status in _DENIED:
        raise CommandError(f"{text}: it wants credentials, or does not give the file to everybody")
    raise BackendError(text)


def _fetch_object(url: str, file: BinaryIO, shown: str) -> None:
    from ipldstore.backends.objects.address import open_store

    parts = urlsplit(url)
    key = parts.path.lstrip("/")
    store = open_store(f"{parts.scheme.lower()}://{parts.netloc}", timeout=REQUEST_SECONDS)
    if not key:
        raise CommandError(f"{shown!r} names a bucket, expected the URL of a file or Zarr store")
    with _errors_of(store, shown):
        meta = store.head(key)
    check_room(meta["size"], Path(file.name).parent, shown)
    with progress("fetching", meta["size"]) as advance:
        while (start := file.tell()) < meta["size"]:
            end = min(start + _PIECE_BYTES, meta["size"])
            with _errors_of(store, shown):
                options: GetOptions = {"range": (start, end), "if_match": meta["e_tag"]}
                piece = store.get(key, options=options).bytes()
            advance(file.write(piece))


@contextmanager
def _errors_of(store: ObjectStore, shown: str) -> Iterator[None]:
    from ipldstore.backends.objects.address import secrets_of
    from ipldstore.backends.objects.faults import backend_error

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"no object {shown!r}") from None
    except Exception as error:
        raise_alone(backend_error(f"cannot read {shown!r}", error, secrets_of(store)))
