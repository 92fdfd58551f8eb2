"""CAR archives of a block store: export a DAG, load an archive."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ipldstore.car import CarReader, write_car
from ipldstore.cid import Link, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag, links_held
from ipldstore.errors import BlockNotFoundError, CarFormatError, InvalidKeyError
from ipldstore.tree.decode import decode_directory
from ipldstore.tree.encode import Encoder
from ipldstore.tree.keys import split_path
from ipldstore.tree.pages import Load
from ipldstore.tree.tree import Tree

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


def export(
    backend: ContentAddressableStore,
    root: Link,
    destination: str | os.PathLike[str] | BinaryIO | None,
    *,
    since: Link | None = None,
    path: str = "",
) -> bytes | int:
    """Write the DAG under a root as a CARv1 archive; see `Hierarchy.to_car`."""
    load: Load = backend.get_block
    if path.rstrip("/"):
        root, load = _extract(root, path, backend)
    held = set() if since is None else links_held(since, root, load)
    blocks = _iter_blocks(root, load, held)
    if destination is None:
        buffer = io.BytesIO()
        write_car(buffer, root, blocks)
        return buffer.getvalue()
    if isinstance(destination, str | os.PathLike):
        with _opened_for_writing(Path(destination)) as file:
            return write_car(file, root, blocks)
    return write_car(destination, root, blocks)


def _iter_blocks(root: Link, load: Load, held: set[Link]) -> Iterator[tuple[Link, bytes]]:
    for link, data in iter_dag(root, load, seen=held):
        yield link, load(link) if data is None else data


def _extract(root: Link, path: str, backend: ContentAddressableStore) -> tuple[Link, Load]:
    """Make a directory a root, and say how to load its blocks: some may be in no store yet."""
    segments = split_path(path)
    tree = Tree(backend.get_block, root)
    directory = tree.find_directory(segments)
    if directory is None:
        is_value = tree.find(segments) is not None
        raise InvalidKeyError(f"path {path!r} is {'a value' if is_value else 'not there'}")
    made: dict[Link, bytes] = {}

    def keep(data: bytes) -> Link:
        link = backend.make_cid(data, "dag-cbor")
        made[link] = data
        return link

    top = keep(Encoder(backend.get_block, keep).encode(directory)[0])
    return top, lambda link: made[link] if link in made else backend.get_block(link)


def _opened_for_writing(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open a path to write to; a pipe or a device must not be replaced by a file."""
    if path.exists() and not path.is_file():
        return open(path, "wb")
    return _appearing(path.resolve())


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name only when it was written to its end."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(backend: ContentAddressableStore, source: Source) -> Link:
    """Keep the blocks of an archive and return its root, under which nothing is missing.

    Errors as in `Hierarchy.import_car`.
    """
    with _opened(source) as stream:
        reader = CarReader(stream)
        if len(reader.roots) != 1:
            raise CarFormatError(f"archive with {len(reader.roots)} roots, expected one", offset=0)
        (root,) = reader.roots
        arrived: set[Link] = set()
        backend.put_many(_noted(reader, arrived))
    backend.flush()
    _check_complete(backend, root, arrived)
    decode_directory(root, backend.get_block(root), root=True)
    return root


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            yield file
    elif hasattr(source, "read"):
        yield source
    else:
        raise TypeError(f"expected bytes, a path or a binary stream, not {type(source).__name__}")


def _noted(reader: CarReader, arrived: set[Link]) -> Iterator[tuple[Link, bytes]]:
    for link, data in reader:
        arrived.add(link)
        yield link, data


def _check_complete(backend: ContentAddressableStore, root: Link, arrived: set[Link]) -> None:
    try:
        for link, data in iter_dag(root, backend.get_block):
            if data is None and link not in arrived and not backend.has(link):
                raise BlockNotFoundError(f"no block {to_text(link)}")
    except BlockNotFoundError as error:
        raise BlockNotFoundError(
            f"archive is incomplete under its root {to_text(root)}: {error}"
        ) from error
