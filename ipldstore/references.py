"""References into a CAR file, so that readers without this package read it in place.

The form is version 1 of kerchunk's reference sets, which fsspec's protocol ``reference`` reads.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ipldstore.basics.urls import secrets_in, show_url, without_secrets
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, RAW, CIDLike, Link, as_link, codec_of, to_text
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    IPLDStoreError,
    LimitExceededError,
    ReadOnlyStoreError,
    raise_alone,
)
from ipldstore.formats.car import CarReader
from ipldstore.limits import MAX_ARCHIVE_NODE_BYTES, MAX_HELD_KEYS, MAX_INLINE_REFERENCE_BYTES
from ipldstore.registry import refuse_password
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.tree import Tree

DEFAULT_INLINE_BYTES = MAX_INLINE_REFERENCE_BYTES


def references(
    car: str | os.PathLike[str],
    root: CIDLike | None = None,
    *,
    url: str | None = None,
    inline_bytes: int = DEFAULT_INLINE_BYTES,
    **options: Any,
) -> dict[str, Any]:
    """Say where in a CAR file each key of a hierarchy is.

    Reads the whole archive once and verifies every block. Those who read by the references do not:
    they take the bytes that stand there.

    A value in one block becomes ``[url, offset, size]``. JSON documents, which the archive holds
    as DAG-CBOR, are written into the references. So are values of several blocks (more than
    1 MiB as stored), in base64, because a reference is one range and their blocks do not touch.

    Parameters
    ----------
    car
        Path or URL of the archive, CARv1 or CARv2.
    root
        The root of the hierarchy; the archive's only root if None.
    url
        Where the readers find the archive, if not at its absolute path or URL.
    inline_bytes
        How many bytes of values of several blocks may be written into the references.
    options
        For fsspec, to open the archive at a URL.

    Returns
    -------
    dict
        ``{"version": 1, "refs": {key: text or [url, offset, size]}}``, to be written by
        ``json.dump``.

    Raises
    ------
    CarFormatError
        If the archive is malformed, truncated, holds a block that does not match its CID, or
        has not one root and none is given.
    BlockNotFoundError
        If a block under the root is not in the archive.
    InvalidNodeError
        If the root is not that of a hierarchy.
    LimitExceededError
        If values of several blocks are more than `inline_bytes`, directories and documents more
        than 1 GiB, or keys more than ten million.
    OSError
        If the archive cannot be read, or what fsspec raises for that.
    BlockStoreURLError
        If there is a password in the URL, which the references would show.

    Examples
    --------
    >>> import ipldstore, tempfile
    >>> store = ipldstore.IPLDStore()
    >>> store["a/0"], store["a/.zarray"] = b"chunk", b"{}"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = store.to_car(f"{folder}/x.car")
    ...     references(f"{folder}/x.car", url="https://example.org/x.car")["refs"]
    {'a/0': ['https://example.org/x.car', 189, 5], 'a/.zarray': '{}'}
    """
    target = url or _absolute(car)
    refuse_password(target)
    if "{{" in target:
        raise ValueError(f"{target!r} holds '{{{{', which references take for a template")
    with _without_secrets(os.fspath(car)), _opened(car, options) as stream:
        blocks = _Archive(stream)
        refs = _make_refs(blocks, _choose_root(blocks.roots, root), target, inline_bytes)
    return {"version": 1, "refs": refs}


def car_reference_fs(
    car: str | os.PathLike[str],
    root: CIDLike | None = None,
    *,
    inline_bytes: int = DEFAULT_INLINE_BYTES,
    asynchronous: bool = False,
    **options: Any,
) -> Any:
    """Return an fsspec file system whose files are the keys of a hierarchy in a CAR file.

    Plain fsspec, xarray and zarr read the archive in place through it: in
    ``xarray.open_zarr(files.get_mapper(""))`` and ``zarr.open(files.get_mapper(""))``. It is
    fsspec's own reference file system over `references`, whose parameters, errors and limits hold;
    blocks are verified once, now.

    Parameters
    ----------
    car, root, inline_bytes, options
        As in `references`.
    asynchronous
        Whether the file system is for the caller's own event loop, as in fsspec. zarr-python 3
        asks for that where the archive is at a URL.

    Returns
    -------
    fsspec.implementations.reference.ReferenceFileSystem

    Examples
    --------
    >>> import ipldstore, tempfile
    >>> store = ipldstore.IPLDStore()
    >>> store["a/0"] = b"chunk"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = store.to_car(f"{folder}/x.car")
    ...     car_reference_fs(f"{folder}/x.car").cat("a/0")
    b'chunk'
    """
    fsspec = _import_fsspec()
    protocol, _ = fsspec.core.split_protocol(_absolute(car))
    return fsspec.filesystem(
        "reference",
        fo=references(car, root, inline_bytes=inline_bytes, **options),
        remote_protocol=protocol or "file",
        remote_options={**options, "asynchronous": asynchronous},
        asynchronous=asynchronous,
    )


class _Archive(ContentAddressableStore):
    """The blocks of an archive that was read through once: where each is, and those with links."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._nodes: dict[Link, bytes] = {}
        self.places: dict[Link, tuple[int, int]] = {}
        reader = CarReader(stream)
        self.roots = reader.roots
        left = MAX_ARCHIVE_NODE_BYTES
        for link, data in reader:
            self.places[link] = reader.offset - len(data), len(data)
            if codec_of(link) != RAW:
                self._nodes[link] = data
                left -= len(data)
                if left < 0:
                    raise LimitExceededError(
                        f"directories and documents of more than {MAX_ARCHIVE_NODE_BYTES} bytes in "
                        "the archive: open it with ipldstore.open"
                    )

    def __repr__(self) -> str:
        return "the archive"

    def get_raw(self, cid: Link) -> bytes:
        if (node := self._nodes.get(cid)) is not None:
            return node
        offset, size = self._place_of(cid)
        self._stream.seek(offset)
        return self._stream.read(size)

    def _place_of(self, cid: Link) -> tuple[int, int]:
        if cid not in self.places:
            raise BlockNotFoundError(f"no block {to_text(cid)} in the archive")
        return self.places[cid]

    def place_of_value(self, entry: Link | Document) -> tuple[int, int] | None:
        """Return offset and size of a value that stands in the archive as it is, in one piece."""
        if isinstance(entry, Document) or codec_of(entry) != RAW or self.size_of(entry) == 0:
            return None
        return self._place_of(entry)

    def size_of(self, cid: Link) -> int | None:
        size = super().size_of(cid)
        return self._place_of(cid)[1] if size is None else size

    def put_block(self, cid: Link, data: bytes) -> NoReturn:
        raise ReadOnlyStoreError("the archive is only read")


def _make_refs(blocks: _Archive, root: Link, target: str, inline_bytes: int) -> dict[str, Any]:
    refs: dict[str, Any] = {}
    inlined = 0
    for key, entry in Tree(blocks.get_block, root).iter_entries(max_keys=MAX_HELD_KEYS):
        place = blocks.place_of_value(entry)
        if place is not None:
            refs[key] = [target, *place]
            continue
        is_document = isinstance(entry, Document) or codec_of(entry) == DAG_CBOR
        if not is_document:
            inlined += value_size(blocks, entry)
        if inlined > inline_bytes:
            raise LimitExceededError(
                f"values of several blocks are {inlined} bytes up to key {key!r}, expected at most "
                f"{inline_bytes} to write into the references (inline_bytes=): store chunks of at "
                "most 1 MiB, or open the archive with ipldstore.open"
            )
        data = bytes(read_value(blocks, entry))
        refs[key] = data.decode() if is_document else f"base64:{base64.b64encode(data).decode()}"
    return refs


def _choose_root(roots: Sequence[Link], root: CIDLike | None) -> Link:
    if root is not None:
        return as_link(root)
    if len(roots) != 1:
        raise CarFormatError(f"archive with {len(roots)} roots, expected one: name one with root=")
    return roots[0]


def _absolute(car: str | os.PathLike[str]) -> str:
    text = os.fspath(car)
    return text if "://" in text else Path(os.path.abspath(text)).as_posix()


def _opened(
    car: str | os.PathLike[str], options: dict[str, Any]
) -> AbstractContextManager[BinaryIO]:
    if "://" not in os.fspath(car):
        if options:
            raise TypeError(f"{', '.join(options)}: options are for archives at a URL")
        return open(car, "rb")
    opened: AbstractContextManager[BinaryIO] = _import_fsspec().open(car, "rb", **options)
    return opened


@contextmanager
def _without_secrets(url: str) -> Iterator[None]:
    """Keep what is secret in a URL out of the errors of what reads from it."""
    try:
        yield
    except Exception as error:
        secrets = secrets_in(url)
        text = without_secrets(str(error), secrets)
        if not secrets:
            raise
        if isinstance(error, IPLDStoreError):
            raise_alone(error)
        if isinstance(error, FileNotFoundError):
            raise_alone(FileNotFoundError(text))
        why = f"cannot read {show_url(url)!r}: {type(error).__name__}: {text}"
        raise_alone(BackendError(why))


def _import_fsspec() -> Any:
    try:
        import fsspec  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "this needs fsspec: pip install 'ipldstore[fsspec]'", name="fsspec"
        ) from None
    return fsspec
