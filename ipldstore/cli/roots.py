"""The hierarchies that the commands read, by what names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from ipldstore.cid import Link, as_link, parse_text, to_text
from ipldstore.cli.blocks import open_blocks
from ipldstore.contentstore import ContentAddressableStore
from ipldstore.errors import InvalidCIDError
from ipldstore.opening import find_group, split_root
from ipldstore.store.mapping import HierarchyMapping
from ipldstore.tree.keys import split_path
from ipldstore.tree.tree import Tree
from ipldstore.urls import show_url

_NAMES = ("ipns://", "/ipns/")
_END_OF_FILE = re.compile(r"\.car(?=/|\Z)", re.IGNORECASE)


class Place(NamedTuple):
    """A place in a hierarchy: its block store, the root, and the path."""

    backend: ContentAddressableStore
    root: Link
    path: str


@contextmanager
def located(what: str, blocks: str) -> Iterator[Place]:
    """Open the block store of a hierarchy, and find its root.

    Parameters
    ----------
    what
        ``CID``, ``ipfs://CID``, ``ipns://NAME`` where a node knows names, or a CAR file; each also
        with a path after a slash.
    blocks
        Where the blocks of a root are, as in `open_blocks`.

    Raises
    ------
    InvalidCIDError
        If it is none of these, or a name where there is no node to resolve it.
    FileNotFoundError
        If there is no such file or block store.
    """
    named, path = split_root(what)
    if named is None:
        file, path = _split_file(what)
        with open_blocks(f"car:{file}", named_by="") as backend:
            yield Place(backend, _root_of(backend), path)
        return
    root = named if isinstance(named, str) and named.startswith(_NAMES) else as_link(named)
    with open_blocks(blocks) as backend:
        yield Place(backend, backend.resolve(root), path)


@contextmanager
def opened(what: str, blocks: str) -> Iterator[tuple[ContentAddressableStore, Link]]:
    """Open a hierarchy, or a group or array in one, as a block store and a root.

    Parameters and errors as in `located`.

    Raises
    ------
    FileNotFoundError
        Also if there is no group or array at the path.
    """
    with located(what, blocks) as (backend, root, path):
        segments = split_path(path)
        if not segments:
            yield backend, root
            return
        if Tree(backend.get_block, root).find_directory(segments) is None:
            raise FileNotFoundError(f"no group or array {path!r} under {to_text(root)}")
        top, more = find_group(backend, root, path)
        yield more, top


@contextmanager
def opened_mapping(what: str, blocks: str) -> Iterator[HierarchyMapping]:
    """Open a hierarchy as in `opened`, as a mapping to read from."""
    with opened(what, blocks) as (backend, root):
        yield HierarchyMapping(backend, root=root, read_only=True)


def name_root(what: str) -> str:
    """Return what names a root for a node: that of a CAR file in place of the file."""
    named, _ = split_root(what)
    if named is not None:
        return what
    with located(what, "") as (_, root, path):
        if path:
            raise InvalidCIDError(f"expected a root, not a place under one: {show_url(what)!r}")
        return to_text(root)


def _split_file(what: str) -> tuple[str, str]:
    """Split the name of a CAR file and the path in it."""
    text = what.removeprefix("car:")
    ends = [found.end() for found in _END_OF_FILE.finditer(text)]
    if what != text and not ends:
        return text, ""
    if not ends:
        _refuse(what)
    end = next((end for end in ends if Path(text[:end]).is_file()), ends[0])
    return text[:end], text[end + 1 :]


def _refuse(what: str) -> NoReturn:
    if os.path.isdir(what):
        raise InvalidCIDError(
            f"not a CID: {what!r} is a folder; one of blocks goes with --blocks, beside a root; "
            "`ipldstore put` makes a root of one with Zarr in it"
        )
    if os.path.isfile(what):
        raise InvalidCIDError(
            f"not a CID: {what!r} is a file; `ipldstore put` makes a root of a NetCDF file, and "
            f"a CAR file of another name is {'car:' + what!r}"
        )
    if "://" in what:
        raise InvalidCIDError(
            f"not a CID: {show_url(what)!r}; of a URL at a gateway, give the CID alone, and the "
            "gateway as --blocks gateway+https://HOST"
        )
    try:
        parse_text(what.partition("/")[0])
    except InvalidCIDError as error:
        error.add_note("expected CID[/PATH], ipfs://CID, ipns://NAME or FILE.car[/PATH]")
        raise
    raise AssertionError(what)


def _root_of(backend: ContentAddressableStore) -> Link:
    root = backend.noted_root
    if root is None:
        raise InvalidCIDError(f"{backend!r} has several roots or none, expected one")
    return root
