"""CAR archives of a block store: export a DAG, load an archive."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ipldstore.car import CarReader, write_car
from ipldstore.cid import Link, to_text
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.dag import iter_dag
from ipldstore.errors import BlockNotFoundError, CarFormatError
from ipldstore.tree.decode import decode_directory

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


def export(
    backend: ContentAddressableStore,
    root: Link,
    destination: str | os.PathLike[str] | BinaryIO | None,
) -> bytes | int:
    """Write the DAG under a root as a CARv1 archive; see `HierarchyMapping.to_car`."""
    if destination is None:
        buffer = io.BytesIO()
        write_car(buffer, root, _iter_blocks(backend, root))
        return buffer.getvalue()
    if isinstance(destination, str | os.PathLike):
        with _appearing(Path(destination)) as file:
            return write_car(file, root, _iter_blocks(backend, root))
    return write_car(destination, root, _iter_blocks(backend, root))


def _iter_blocks(backend: ContentAddressableStore, root: Link) -> Iterator[tuple[Link, bytes]]:
    for link, data in iter_dag(root, backend.get_block):
        yield link, backend.get_block(link) if data is None else data


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

    Errors as in `HierarchyMapping.import_car`.
    """
    with _opened(source) as stream:
        reader = CarReader(stream)
        if len(reader.roots) != 1:
            raise CarFormatError(f"archive with {len(reader.roots)} roots, expected one", offset=0)
        (root,) = reader.roots
        arrived: set[Link] = set()
        backend.put_many(_noted(reader, arrived))
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
