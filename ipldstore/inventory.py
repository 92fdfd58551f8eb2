"""How much a root names: blocks, bytes, what is shared, and each array's chunks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import RAW, Link, codec_of, identity_data, to_text
from ipldstore.dag import iter_dag, links_of
from ipldstore.history.commit import decode_commit
from ipldstore.history.kinds import is_commit
from ipldstore.history.links import history_links_of
from ipldstore.history.state import State
from ipldstore.model.outline import make_outline
from ipldstore.model.values import remembering
from ipldstore.names.finding import Blocks, HierarchyLike, found_root
from ipldstore.store.deprecated import renamed
from ipldstore.store.expansion import check_held
from ipldstore.store.values import block_size, value_size
from ipldstore.tree.decode import decode_directory
from ipldstore.tree.documents import Document


@dataclass(frozen=True)
class ArrayInfo:
    """What is stored of one array.

    Attributes
    ----------
    chunks : int
        Its chunks, or shards, that are stored: all values under the array but metadata, and only
        those within its grid where the metadata says what that is.
    stored_bytes : int
        The sizes of all values under it but metadata as they are stored, such as compressed;
        equal ones count each.
    chunks_possible : int or None
        How many chunks, or shards, there can be. None where the metadata does not tell. Fewer may
        be stored, as chunks of fill values need not be.
    """

    chunks: int = 0
    stored_bytes: int = 0
    chunks_possible: int | None = None


@dataclass(frozen=True)
class Info:
    """What is stored under a root.

    Attributes
    ----------
    root : str
        The root's CID.
    blocks, bytes : int
        Distinct blocks, and their bytes.
    node_blocks, node_bytes : int
        Of these, the ones that lead to others: directories, documents and the inner blocks of
        large values; all but raw blocks.
    shared_bytes : int
        Bytes that need not be kept because equal blocks are one: the sizes of what all links in
        all distinct blocks lead to, and of the root, less the sizes of the distinct blocks.
    arrays : dict of str to ArrayInfo
        By the array's path, which is empty for an array that is the root itself.
    """

    root: str
    blocks: int
    bytes: int
    node_blocks: int
    node_bytes: int
    shared_bytes: int
    arrays: dict[str, ArrayInfo]


def info(
    what: HierarchyLike, blocks: Blocks | None = None, *, backend: Blocks | None = None
) -> Info:
    """Say how much is stored under a root.

    Loads every directory; values are not read where the block store knows their sizes.

    Parameters
    ----------
    what
        The hierarchy: a store, which is frozen, or what `ipldstore.open` takes: a root, a
        revision, a CAR file.
    blocks
        Where the blocks of a root are, as in `ipldstore.open`; a store has its own.
    backend
        The former name of `blocks`.

    Raises
    ------
    BlockNotFoundError, CorruptBlockError
        If a block cannot be had.
    InvalidNodeError
        If the root is not that of a hierarchy.
    LimitExceededError
        If it stands for more than ten million keys, as a few blocks can.

    Examples
    --------
    >>> from ipldstore import IPLDStore, info
    >>> store = IPLDStore()
    >>> store["a/.zarray"] = b'{"zarr_format": 2, "shape": [6], "chunks": [2]}'
    >>> store["a/0"] = store["a/1"] = b"chunk"
    >>> found = info(store)
    >>> found.blocks, found.bytes, found.shared_bytes, found.arrays
    (2, 134, 5, {'a': ArrayInfo(chunks=2, stored_bytes=10, chunks_possible=3)})
    """
    with found_root(what, renamed(blocks, backend)) as (root, found):
        return _take_stock(root, found)


def _take_stock(root: Link, blocks: ContentAddressableStore) -> Info:
    check_held(root, blocks.get_block)
    sizes: dict[Link, int] = {}
    nodes: list[int] = []
    referenced = 0
    for link, data in iter_dag(root, blocks.get_block, children_first=True):
        if data is None:
            sizes[link] = block_size(blocks, link)
        else:
            sizes[link] = len(data)
            nodes.append(len(data))
            referenced += sum(sizes[child] for child in _references(link, data))
    total = sum(sizes.values())
    return Info(
        root=to_text(root),
        blocks=len(sizes),
        bytes=total,
        node_blocks=len(nodes),
        node_bytes=sum(nodes),
        shared_bytes=referenced + sizes.get(root, 0) - total,
        arrays=_arrays(root, blocks, sizes),
    )


def _references(link: Link, data: bytes) -> Iterator[Link]:
    """Iterate the blocks that a block leads to, also through CIDs that carry their own data."""
    for child in links_of(link, data):
        inline = identity_data(child)
        if inline is None:
            yield child
        else:
            yield from _references(child, inline)


def _arrays(
    root: Link, blocks: ContentAddressableStore, sizes: Mapping[Link, int]
) -> dict[str, ArrayInfo]:
    """Count the chunks of each array."""

    def size_of(entry: Link | Document) -> int:
        size = sizes.get(entry) if isinstance(entry, Link) and codec_of(entry) == RAW else None
        return value_size(blocks, entry) if size is None else size

    top = decode_directory(root, blocks.get_block(root), root=True)
    outline = make_outline(top, blocks.get_block, remembering(size_of))
    arrays = sorted((node.path, node) for node in outline.walk() if node.kind == "array")
    return {
        path: ArrayInfo(node.chunks_present or 0, node.stored_bytes or 0, node.chunks_possible)
        for path, node in arrays
    }


@dataclass(frozen=True)
class HistoryInfo:
    """What is stored of a repository.

    Attributes
    ----------
    state : str
        The CID of the state that it is in.
    branches, tags : int
        How many there are.
    commits : int
        Versions that these lead to, as far as histories are kept.
    blocks, bytes : int
        Distinct blocks of all of them, the state's own among them, and their bytes.
    old_bytes : int
        Of these bytes, what no branch or tag is at: only earlier versions have it.
    """

    state: str
    branches: int
    tags: int
    commits: int
    blocks: int
    bytes: int
    old_bytes: int


def history_info(link: Link, state: State, blocks: ContentAddressableStore) -> HistoryInfo:
    """Say how much is stored of a repository in a state; see `Repository.info`."""
    tips = {*state.branches.values(), *state.tags.values()}
    present: set[Link] = {link}
    here = _tally(tips, blocks, present, tips)
    old = _tally(
        [parent for tip in tips for parent in _parents(tip, blocks, state.shallow)],
        blocks,
        present,
        state.shallow,
    )
    size = len(state.encode()) + here[1] + old[1]
    return HistoryInfo(
        to_text(link),
        len(state.branches),
        len(state.tags),
        here[2] + old[2],
        1 + here[0] + old[0],
        size,
        old[1],
    )


def _parents(tip: Link, blocks: ContentAddressableStore, shallow: Collection[Link]) -> list[Link]:
    return [] if tip in shallow else list(decode_commit(tip, blocks.get_block(tip)).parents)


def _tally(
    tops: Iterable[Link],
    blocks: ContentAddressableStore,
    seen: set[Link],
    shallow: Iterable[Link],
) -> tuple[int, int, int]:
    """Count the blocks, bytes and commits under some that were not seen yet."""
    number = size = commits = 0
    follow = partial(history_links_of, shallow=frozenset(shallow))
    for top in tops:
        for link, data in iter_dag(top, blocks.get_block, seen=seen, follow=follow):
            number += 1
            size += block_size(blocks, link) if data is None else len(data)
            commits += data is not None and is_commit(data)
    return number, size, commits
