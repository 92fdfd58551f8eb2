"""CAR archives of a block store: export a DAG, load an archive."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ipldstore.backends.paths import local_path
from ipldstore.basics.urls import show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.dag import iter_dag, links_held
from ipldstore.errors import BlockNotFoundError, CarFormatError
from ipldstore.formats.car import CarReader, write_car
from ipldstore.store.reader import Reader
from ipldstore.tree.decode import decode_directory
from ipldstore.tree.pages import Load

_DESCRIPTOR = re.compile(r"(?:/dev|/proc/self)/fd/(\d+)|/dev/(stdin|stdout|stderr)")

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


def export(
    blocks: ContentAddressableStore,
    root: Link,
    destination: str | os.PathLike[str] | BinaryIO | None,
    *,
    since: Link | None = None,
    path: str = "",
    overwrite: bool = False,
) -> bytes | int:
    """Write the DAG under a root as a CARv1 archive; see `Hierarchy.to_car`."""
    load: Load = blocks.get_block
    if path.rstrip("/"):
        root, made = Reader(blocks, root).extract(path)
        load = lambda link: made.get(link) or blocks.get_block(link)  # noqa: E731
    held = set() if since is None else links_held(since, root, load)
    archived = _iter_blocks(root, load, held)
    if destination is None:
        buffer = io.BytesIO()
        write_car(buffer, root, archived)
        return buffer.getvalue()
    if isinstance(destination, str | os.PathLike):
        with _opened_for_writing(destination, overwrite=overwrite) as file:
            return write_car(file, root, archived)
    _check_stream(destination, "write", "wb")
    return write_car(destination, root, archived)


def _check_stream(stream: object, method: str, mode: str) -> None:
    if isinstance(stream, io.TextIOBase):
        raise TypeError(f"expected a binary stream, not one of text: open it with mode={mode!r}")
    if not hasattr(stream, method):
        raise TypeError(f"expected a path or a binary stream, not {type(stream).__name__}")


def _iter_blocks(root: Link, load: Load, held: set[Link]) -> Iterator[tuple[Link, bytes]]:
    for link, data in iter_dag(root, load, seen=held):
        yield link, load(link) if data is None else data


def _opened_for_writing(
    destination: str | os.PathLike[str], *, overwrite: bool
) -> AbstractContextManager[BinaryIO]:
    local_path(destination)
    return open_stream(destination) or _appearing(Path(destination).resolve(), overwrite=overwrite)


def open_stream(path: str | os.PathLike[str]) -> BinaryIO | None:
    """Open a pipe or a device to write to, or what is open already, such as ``/dev/stdout``.

    None for a path of anything else. A stream must not be replaced by a file.
    """
    name = os.fspath(path)
    if (found := _DESCRIPTOR.fullmatch(name)) is not None:
        number = found[1] or ("stdin", "stdout", "stderr").index(found[2])
        return open(os.dup(int(number)), "wb")
    if os.path.exists(name) and not os.path.isfile(name) and not os.path.isdir(name):
        return open(name, "wb")
    return None


@contextmanager
def _appearing(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file that gets its name only when it was written to its end."""
    check_place(path, overwrite=overwrite)
    temporary = path.with_name(f".ipldstore-{secrets.token_hex(8)}")
    try:
        with _made(temporary, path) as file:
            yield file
        check_place(path, overwrite=overwrite)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_place(path: Path, *, overwrite: bool) -> None:
    """Raise the `OSError` that says why no file can be made, or written over, at a path."""
    shown, folder = repr(show_url(str(path))), repr(show_url(str(path.parent)))
    if path.is_dir():
        raise IsADirectoryError(f"{shown} is a folder, expected the name of a file")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"{shown} exists, and is written over with overwrite=True (of commands, --overwrite)"
        )
    if not path.absolute().parent.is_dir():
        if os.path.lexists(path.parent):
            raise NotADirectoryError(f"no folder to put {shown} in: {folder} is none")
        raise FileNotFoundError(f"no folder to put {shown} in: {folder} is not there")


def _made(temporary: Path, path: Path) -> BinaryIO:
    try:
        return open(temporary, "xb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def load(blocks: ContentAddressableStore, source: Source, *, allow_padding: bool = False) -> Link:
    """Keep the blocks of an archive and return its root, under which nothing is missing."""
    with _opened(source) as stream:
        reader = CarReader(stream, allow_padding=allow_padding)
        if len(reader.roots) != 1:
            raise CarFormatError(f"archive with {len(reader.roots)} roots, expected one", offset=0)
        (root,) = reader.roots
        arrived: set[Link] = set()
        blocks.put_many(_noted(reader, arrived))
    blocks.flush()
    _check_complete(blocks, root, arrived)
    decode_directory(root, blocks.get_block(root), root=True)
    return root


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        local_path(source)
        with open(source, "rb") as file:
            try:
                yield file
            except CarFormatError as error:
                error.add_note(f"in {os.fspath(source)!r}")
                raise
    else:
        _check_stream(source, "read", "rb")
        yield source


def _noted(reader: CarReader, arrived: set[Link]) -> Iterator[tuple[Link, bytes]]:
    for link, data in reader:
        arrived.add(link)
        yield link, data


def _check_complete(blocks: ContentAddressableStore, root: Link, arrived: set[Link]) -> None:
    try:
        for link, data in iter_dag(root, blocks.get_block):
            if data is None and link not in arrived and not blocks.has(link):
                raise BlockNotFoundError(f"no block {to_text(link)}")
    except BlockNotFoundError as error:
        raise BlockNotFoundError(
            f"archive is incomplete under its root {to_text(root)}: {error}"
        ) from error
