"""Hierarchies by whatever names them: which root is meant, and where its blocks are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from ipldstore.backends.memory.store import MappingCAStore
from ipldstore.basics.urls import show_url
from ipldstore.blockstore.abilities import KeepsPointers, ListsRoots
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, CIDLike, Link, as_link, codec_of, to_text
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    BlockStoreURLError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNodeError,
    RepositoryNotFoundError,
)
from ipldstore.names.naming import Name, fault_of, is_revision, is_root, read_name, root_within
from ipldstore.refs.commits import find_commit, root_in
from ipldstore.refs.states import DEFAULT_REPOSITORY, MAKERS, find_pointer, find_state
from ipldstore.registry import find_blocks, open_block_store
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.store.reader import Reader

HierarchyLike: TypeAlias = "Hierarchy | CIDLike | os.PathLike[str]"
"""A store, or what `ipldstore.open` takes."""

Blocks: TypeAlias = "ContentAddressableStore | str | os.PathLike[str]"
"""A block store, or what `ipldstore.open_block_store` takes."""


_MOST_NAMES = 1000


class Found(NamedTuple):
    """A hierarchy that was found, without a root if it begins now; `opened` is to be closed."""

    root: Link | None
    blocks: ContentAddressableStore
    opened: ContentAddressableStore | None


def find_hierarchy(
    what: CIDLike | os.PathLike[str],
    blocks: Blocks | None = None,
    *,
    path: str = "",
    create: bool = False,
    leads: bool = True,
    **options: Any,
) -> Found:
    """Find a hierarchy that is named; parameters and errors as in `ipldstore.open`.

    The CID of a commit or state leads to a root. Telling these from a root reads its block; without
    `leads`, they are returned as they are.
    """
    name = read_meant(what, blocks)
    path = "/".join(filter(None, (name.path.strip("/"), path.strip("/"))))
    if path and create:
        raise ValueError(f"path {path!r}: a part of a hierarchy is opened with read_only=True only")
    if name.is_in_blocks:
        found = find_blocks(blocks if name.blocks is None else name.blocks, **options)
    else:
        found = _open_place(what, name.place, create=create, **options)  # type: ignore[arg-type]
    opened = None if found is blocks else found
    try:
        if create and not name.is_in_blocks:
            _check_no_repository(found, show_url(os.fspath(what)))  # type: ignore[arg-type]
            return Found(None, found, opened)
        root = find_root(found, name, leads=leads or bool(path))
        return Found(*(find_group(found, root, path) if path else (root, found)), opened)
    except BaseException:
        if opened is not None:
            opened.close()
        raise


def read_meant(what: CIDLike | os.PathLike[str], blocks: Blocks | None) -> Name:
    """Read what names a hierarchy as `read_name`; with blocks=, text that is no root is a revision.

    Raises `TypeError` and `InvalidCIDError` if blocks= does not go with it.
    """
    name = read_name(what)
    if name.blocks is not None and blocks is not None:
        raise TypeError(
            f"blocks= came twice: {show_url(str(what))!r} names {show_url(name.blocks)!r}"
        )
    if name.is_in_blocks or blocks is None:
        return name
    assert isinstance(what, str | os.PathLike)
    _check_with_blocks(what, name, blocks)
    return name._replace(revision=os.fspath(what).strip(), path="")


def find_root(
    blocks: ContentAddressableStore,
    name: Name,
    *,
    leads: bool = True,
    repository: str = DEFAULT_REPOSITORY,
) -> Link:
    """Return the root that a name names in a block store; `leads` as in `find_hierarchy`.

    A revision is one of the repository that is named. Raises `InvalidCIDError` for text that may be
    meant as a root where there is no repository.
    """
    if name.root is not None:
        link = blocks.resolve(name.root)
        return lead_to_root(blocks, link) if leads else link
    if not name.revision:
        return lead_to_root(blocks, noted_root(blocks, name.place))
    if name.place and repository == DEFAULT_REPOSITORY and find_pointer(blocks) is None:
        raise InvalidCIDError(
            f"{fault_of(name.place)}, and it is no revision, as {blocks!r} has no repository, "
            f"which {MAKERS} would make"
        )
    return find_commit(blocks, name.revision, repository)[1].root


def lead_to_root(blocks: ContentAddressableStore, link: Link) -> Link:
    """Return the root that a CID leads to, which may be that of a commit or of a state.

    A block that cannot be had is left to who needs it: some only compare CIDs.
    """
    return read_root(blocks, link)[0]


def read_root(blocks: ContentAddressableStore, link: Link) -> tuple[Link, bytes | None]:
    """Return the root that a CID leads to, and its block if that is what was read to find out."""
    if codec_of(link) != DAG_CBOR:
        return link, None
    try:
        data = blocks.get_block(link)
    except (BackendError, BlockNotFoundError, CorruptBlockError, InvalidCIDError):
        return link, None
    root = root_in(blocks, link, data)
    return root, data if root == link else None


@contextmanager
def found_root(
    what: HierarchyLike, blocks: Blocks | None = None, *, leads: bool = True
) -> Iterator[tuple[Link, ContentAddressableStore]]:
    """Give the root that is meant and its block store, and close what was opened for it.

    A store is frozen for that; other parameters and errors are those of `find_hierarchy`.
    """
    if isinstance(what, Hierarchy):
        yield as_link(what.freeze()), what.blocks
        return
    root, found, opened = find_hierarchy(what, blocks, leads=leads)
    assert root is not None
    with nullcontext() if opened is None else closing(opened):
        yield root, found


@contextmanager
def found_store(what: HierarchyLike, blocks: Blocks | None = None) -> Iterator[Hierarchy]:
    """Give a store as it stands, or one that reads what is named; otherwise as `found_root`."""
    if isinstance(what, Hierarchy):
        yield what
        return
    with found_root(what, blocks) as (root, found):
        yield Hierarchy(found, root=root, read_only=True)


def share_blocks(
    sides: Sequence[HierarchyLike], blocks: Blocks | None, stack: ExitStack
) -> list[ContentAddressableStore | None]:
    """Return the block store that goes with each of several hierarchies that are looked at at once.

    Where roots have none, it is that of the first store among them; stores and CAR files have
    their own. What is opened for it, the stack closes.
    """
    if blocks is None:
        stores = (side.blocks for side in sides if isinstance(side, Hierarchy))
        shared = next(stores, None)
    elif isinstance(blocks, ContentAddressableStore):
        shared = blocks
    else:
        shared = stack.enter_context(closing(find_blocks(blocks)))
    return [
        None if isinstance(side, Hierarchy) or read_name(side).has_blocks else shared
        for side in sides
    ]


def _open_place(
    what: str | os.PathLike[str], place: str, **options: Any
) -> ContentAddressableStore:
    """Open the block store that is named in the place of a root."""
    text = os.fspath(what)
    may_be_made = options["create"] and not text.startswith(("http://", "https://"))
    is_meant = is_root(text.partition("/")[0]) or (not may_be_made and root_within(text))
    if is_meant and not os.path.exists(text):
        raise InvalidCIDError(fault_of(text))
    return open_block_store(place, **options)


def _check_with_blocks(what: str | os.PathLike[str], name: Name, blocks: object) -> None:
    """Refuse what is neither a root nor a revision, which blocks= could go with."""
    shown = show_url(os.fspath(what))
    if is_root(blocks):
        raise TypeError(f"expected open(ROOT, BLOCKS), not open({shown!r}, {str(blocks)!r})")
    if name.is_archive:
        raise TypeError(
            f"blocks= goes with a root; {shown!r} is a CAR file, which holds its own: open it "
            "without blocks=, or name the root"
        )
    if not is_revision(what):
        raise InvalidCIDError(fault_of(what))


def noted_root(blocks: ContentAddressableStore, what: str | os.PathLike[str]) -> Link:
    """Return the root that a block store notes by itself, as a CAR file does."""
    root = blocks.noted_root
    if root is not None:
        return root
    shown = show_url(os.fspath(what))
    if isinstance(blocks, ListsRoots):
        roots = blocks.read_roots()
        found = "no root" if not roots else f"{len(roots)} roots, the first of them {roots[0]}"
        raise BlockStoreURLError(
            f"{shown!r} is an archive with {found}, expected one: name a root that is in it, and "
            "the file as blocks= (of commands, --blocks)"
        )
    raise BlockStoreURLError(
        f"{shown!r} is a block store that notes no root: name one, open(ROOT, {shown!r}), "
        f"or {_say_others(blocks, shown)}"
    )


def _say_others(blocks: ContentAddressableStore, shown: str) -> str:
    """Say what else a block store can be opened for."""
    try:
        _, state = find_state(blocks)
    except RepositoryNotFoundError:
        return "begin an empty hierarchy in it with read_only=False"
    return f"a revision of its repository, open({state.default!r}, {shown!r})"


def _check_no_repository(blocks: ContentAddressableStore, shown: str) -> None:
    """Refuse to begin an empty hierarchy beside a repository, whose branches it would not be on."""
    for name in _list_repositories(blocks):
        try:
            _, state = find_state(blocks, name)
        except InvalidNodeError:  # a pointer of somebody else's
            continue
        named = "" if name == DEFAULT_REPOSITORY else f", {name!r}"
        raise BlockStoreURLError(
            f"{shown!r} is a block store with a repository: "
            f"Repository({shown!r}{named}).writable({state.default!r}) opens its branch to write"
            f"{_say_beside(blocks, shown)}"
        )


def _say_beside(blocks: ContentAddressableStore, shown: str) -> str:
    """Say how a hierarchy begins beside a repository; an archive has one thing at its top."""
    if blocks.noted_root is not None:
        return ""
    return f", and IPLDStore(open_block_store({shown!r})) begins an empty hierarchy beside it"


def _list_repositories(blocks: ContentAddressableStore) -> list[str]:
    """Return the names that may be those of repositories, some of many, the default one first."""
    if not isinstance(blocks, KeepsPointers):
        return []
    names = islice(blocks.iter_pointers(), _MOST_NAMES)
    return sorted(names, key=lambda name: (name != DEFAULT_REPOSITORY, name))


def find_group(
    blocks: ContentAddressableStore, root: Link, path: str
) -> tuple[Link, ContentAddressableStore]:
    """Return a group or array as a root, and a store that has its blocks.

    A small group stands within the block of its parent; the block that it would have by itself is
    put before the others.
    """
    from ipldstore.backends.layers.union import UnionCAStore  # which imports asyncio

    top, made = Reader(blocks, root).extract(path)
    if not made:
        return top, blocks
    own = MappingCAStore({to_text(link): data for link, data in made.items()})
    return top, UnionCAStore(own, blocks)
