"""The hierarchies that the commands read, by what names them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ipldstore.basics.urls import show_url
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.cli.frame.context import value_of
from ipldstore.cli.frame.options import BLOCKS, REPOSITORY
from ipldstore.cli.tools.blocks import open_blocks
from ipldstore.errors import BlockStoreURLError, InvalidCIDError
from ipldstore.names.finding import find_group, find_root
from ipldstore.names.naming import Name, fault_of, is_revision, is_root, read_name
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.tree.keys import split_path
from ipldstore.tree.tree import Tree


class Located(NamedTuple):
    """A place in a hierarchy: its block store, the root, and the path."""

    blocks: ContentAddressableStore
    root: Link
    path: str


@contextmanager
def located(what: str, where: str) -> Iterator[Located]:
    """Open the block store of a hierarchy, and find its root.

    A revision is one of the repository that ``--repository`` names.

    `what` is ``CID``, ``ipfs://CID``, ``ipns://NAME`` where a node knows names, ``ipld:///REVISION``
    or a CAR file, each also with a path after a slash; or a revision. `where` is where the blocks
    of a root or a revision are.
    """
    name = _read(what, where)
    place = name.blocks or where if name.is_in_blocks else name.place
    with _open_place(what, name, place) as blocks:
        yield Located(blocks, _root_of(blocks, name), name.path)


def _read(what: str, where: str) -> Name:
    """Read what is named; text that names nothing else, and no file, is a revision."""
    name = read_name(what)
    if name.is_in_blocks or name.is_archive:
        return name
    if not is_revision(what) or os.path.lexists(what):
        raise _not_a_root(what)
    return name._replace(revision=what.strip())


def _open_place(what: str, name: Name, place: str) -> ContentAddressableStore:
    if not name.is_in_blocks:
        return open_blocks(place, named_by="")
    try:
        return open_blocks(place)
    except FileNotFoundError:
        if name.place and place == BLOCKS:  # which nobody may have meant
            raise _not_a_root(what) from None
        raise


@contextmanager
def opened(what: str, where: str) -> Iterator[tuple[ContentAddressableStore, Link]]:
    """Open a hierarchy, or a group or array in one, as a block store and a root."""
    with located(what, where) as (blocks, root, path):
        segments = split_path(path)
        if not segments:
            yield blocks, root
            return
        if Tree(blocks.get_block, root).find_directory(segments) is None:
            raise FileNotFoundError(f"no group or array {path!r} under {to_text(root)}")
        top, more = find_group(blocks, root, path)
        yield more, top


@contextmanager
def opened_mapping(what: str, where: str) -> Iterator[Hierarchy]:
    """Open a hierarchy as in `opened`, as a mapping to read from."""
    with opened(what, where) as (blocks, root):
        yield Hierarchy(blocks, root=root, read_only=True)


def check_order(what: str, destination: str) -> None:
    """Raise `InvalidCIDError` if a root stands where the destination belongs.

    It is none where what stands first is a root, too.
    """
    if is_root(destination) and not is_root(what.strip().removeprefix("ipfs://").partition("/")[0]):
        raise InvalidCIDError(
            f"the root comes first, {destination!r}, and then {show_url(what)!r}, where it goes"
        )


def name_root(what: str) -> str:
    """Return what names a root for a node: that of a CAR file in place of the file."""
    name = read_name(what)
    if name.root is not None:
        return what
    if not name.is_archive:
        raise _not_a_root(what)
    with located(what, "") as (_, root, path):
        if path:
            raise InvalidCIDError(f"expected a root, not a place under one: {show_url(what)!r}")
        return to_text(root)


def _not_a_root(what: str) -> InvalidCIDError:
    fault = fault_of(what)
    text = fault if fault.startswith("not a CID") else f"not a CID: {fault}"
    return _expecting(InvalidCIDError(text), what)


def _expecting(error: InvalidCIDError, what: str) -> InvalidCIDError:
    if not os.path.lexists(what):
        error.add_note(
            "expected CID[/PATH], ipfs://CID, ipns://NAME, FILE.car[/PATH], or a revision such as "
            "main~2"
        )
    return error


def _root_of(blocks: ContentAddressableStore, name: Name) -> Link:
    try:
        return find_root(blocks, name, repository=value_of("--repository") or REPOSITORY)
    except BlockStoreURLError as error:
        raise InvalidCIDError(str(error)) from None
    except InvalidCIDError as error:
        raise _expecting(error, name.place) if name.place else error from None
