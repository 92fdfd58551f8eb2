"""``ipldstore cat``: the value of one key."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import typer

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, Link, codec_of, to_text
from ipldstore.cli.frame.output import is_json, show
from ipldstore.cli.frame.reporting import CommandError
from ipldstore.cli.tools.roots import located
from ipldstore.store.values import read_value, value_size
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_path
from ipldstore.tree.tree import Tree

_PIECE = 16 << 20
"""Bytes of a value that are in memory at once."""


class _Value(NamedTuple):
    """A value, not yet read."""

    blocks: ContentAddressableStore
    key: str
    entry: Link | Document

    def iter_pieces(self) -> Iterator[bytes]:
        size = value_size(self.blocks, self.entry)
        for start in range(0, size, _PIECE):
            part = start, min(size, start + _PIECE)
            yield bytes(read_value(self.blocks, self.entry, partial(_same, part)))

    def read(self) -> bytes:
        return bytes(read_value(self.blocks, self.entry))


def write_value(what: str, where: str) -> None:
    """Write the value of a key to standard output, byte for byte.

    Raises `FileNotFoundError` if there is no such key, and `typer.BadParameter` if the value is not
    plain text and would go to a terminal, which it could steer.
    """
    with _found(what, where) as value:
        if is_json():
            show(_describe(value))
        elif sys.stdout.isatty():
            print(_text_of(value))
        else:
            for piece in value.iter_pieces():
                _write(piece)
            sys.stdout.buffer.flush()


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # without a buffer, as Python is told to work at times, a part may be written
        rest = rest[sys.stdout.buffer.write(rest) :]


@contextmanager
def _found(what: str, where: str) -> Iterator[_Value]:
    with located(what, where) as (blocks, root, path):
        segments = split_path(path)
        tree = Tree(blocks.get_block, root)
        entry = tree.find(segments) if segments else None
        if entry is not None:
            yield _Value(blocks, path, entry)
        elif tree.find_directory(segments) is not None:
            raise CommandError(f"{path!r} is a directory, expected the key of a value: see ls")
        else:
            raise FileNotFoundError(f"nothing at {path!r} under {to_text(root)}")


def _describe(value: _Value) -> dict[str, Any]:
    data = value.read()
    facts = {"key": value.key, "bytes": len(data)}
    if _is_document(value):
        return {**facts, "document": json.loads(data)}
    return {**facts, "base64": base64.b64encode(data).decode()}


def _is_document(value: _Value) -> bool:
    """Whether a value is held as JSON data, and so is surely JSON."""
    entry, name = value.entry, value.key.rpartition("/")[2]
    return isinstance(entry, Document) or (name in METADATA_NAMES and codec_of(entry) == DAG_CBOR)


def _same(part: tuple[int, int], size: int) -> tuple[int, int]:
    return part


def _text_of(value: _Value) -> str:
    data = value.read()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(char.isprintable() or char in "\n\t" for char in text):
        raise typer.BadParameter(
            f"{len(data):,} bytes that are not plain text do not go to a terminal: send them to a "
            "file or a pipe"
        )
    return text.removesuffix("\n")
