"""Hierarchies as UnixFS directories of plain files, and such directories as hierarchies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeAlias

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, Link, as_link, codec_of, identity_data, to_text
from ipldstore.errors import (
    InvalidKeyError,
    InvalidNodeError,
    IPLDStoreError,
    LimitExceededError,
)
from ipldstore.limits import MAX_COPIED_FILE_BYTES, MAX_HELD_KEYS
from ipldstore.store.expansion import measure
from ipldstore.store.values import make_entry, read_value
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_key
from ipldstore.tree.tree import Tree
from ipldstore.unixfs.directory import iter_directory, write_directory
from ipldstore.unixfs.file import (
    CHUNK_BYTES,
    FileNode,
    FilePart,
    as_file,
    decode_file,
    measure_file,
    put_file,
    read_content,
)
from ipldstore.unixfs.nodes import DIRECTORY_TYPE, SHARD_TYPE, Node, PBLink, decode_node

Item: TypeAlias = tuple[str, Link | Document]

_SIZES_AT_ONCE = 256
_WORKERS = 16


def write_plain(
    blocks: ContentAddressableStore,
    root: Link,
    *,
    max_files: int | None = None,
    max_bytes: int | None = None,
) -> Link:
    """Keep a hierarchy as a UnixFS directory; see `Hierarchy.to_unixfs`.

    Holds the names, CIDs and sizes in one directory at a time, and in those above it.
    """
    content = measure(blocks, root)
    content.check(max_files, max_bytes)
    with ThreadPoolExecutor(_WORKERS, "ipldstore-sizes") as pool:
        return _Writer(blocks, pool).write(Tree(blocks.get_block, root), content.files)


class _Writer:
    """Writes directories as the keys of a hierarchy come, each directory's in one run."""

    def __init__(self, blocks: ContentAddressableStore, pool: ThreadPoolExecutor) -> None:
        self._blocks = blocks
        self._pool = pool
        self._path: list[str] = []
        self._open: list[list[PBLink]] = [[]]

    def write(self, tree: Tree, count: int) -> Link:
        items = tree.iter_entries(max_keys=count)
        while batch := list(islice(items, _SIZES_AT_ONCE)):
            sizes = self._load_sizes(batch)
            for key, entry in batch:
                self._add(key, entry, sizes)
        self._go_to([])
        return write_directory(self._open[0], self._put)[0]

    def _go_to(self, path: list[str]) -> None:
        common = 0
        for old, new in zip(self._path, path, strict=False):
            if old != new:
                break
            common += 1
        while len(self._path) > common:
            link, size = write_directory(self._open.pop(), self._put)
            self._open[-1].append(PBLink(link, self._path.pop().encode(), size))
        for segment in path[common:]:
            self._path.append(segment)
            self._open.append([])

    def _load_sizes(self, batch: Iterable[Item]) -> dict[Link, int]:
        """Ask for the sizes of raw blocks, many at once, and load those that cannot be told."""
        leaves = {
            entry: None for _, entry in batch if isinstance(entry, Link) and codec_of(entry) == RAW
        }
        ask = map if self._blocks.is_local else self._pool.map
        told = zip(leaves, ask(self._blocks.size_of, leaves), strict=True)
        sizes = {leaf: size for leaf, size in told if size is not None}
        unknown = leaves.keys() - sizes.keys()
        return sizes | {leaf: len(data) for leaf, data in self._blocks.get_many(unknown)}

    def _add(self, key: str, entry: Link | Document, sizes: dict[Link, int]) -> None:
        *path, name = key.split("/")
        self._go_to(path)
        try:
            link, _, size = self._find(entry, sizes) or self._rewrite(entry)
        except IPLDStoreError as error:
            error.add_note(f"while reading key {key!r}")
            raise
        self._open[-1].append(PBLink(link, name.encode(), size))

    def _find(self, entry: Link | Document, sizes: dict[Link, int]) -> FilePart | None:
        """Return the value as it is kept, if that is how it would be written; else None."""
        if isinstance(entry, Document) or codec_of(entry) == DAG_CBOR:
            return None
        if codec_of(entry) == RAW:
            return _find_leaf(entry, sizes[entry])
        file = decode_file(entry, self._blocks.get_block(entry))
        return measure_file(entry, file, self._blocks.get_block, self._blocks.make_cid)

    def _rewrite(self, entry: Link | Document) -> FilePart:
        return put_file(read_value(self._blocks, entry), self._put)

    def _put(self, block: bytes, codec: str) -> Link:
        return as_link(self._blocks.put_raw(block, codec))


def _find_leaf(leaf: Link, size: int) -> FilePart | None:
    is_kept = size <= CHUNK_BYTES and identity_data(leaf) is None
    return FilePart(leaf, size, size) if is_kept else None


def read_plain(
    blocks: ContentAddressableStore, root: Link, tree: Tree, *, max_keys: int = MAX_HELD_KEYS
) -> None:
    """Insert the files below a UnixFS directory into a tree; see `Hierarchy.from_unixfs`."""
    _Reader(blocks, max_keys).read(root, tree)


class _Reader:
    """Reads one UnixFS directory and those below it."""

    def __init__(self, blocks: ContentAddressableStore, max_keys: int) -> None:
        self._blocks = blocks
        self._max_keys = max_keys
        self._count = 0

    def read(self, root: Link, tree: Tree) -> None:
        stack = [self._children("", root, self._node(root))]
        while stack:
            path, child = next(stack[-1], (None, None))
            if path is None or child is None:
                stack.pop()
                continue
            node = None if codec_of(child.link) == RAW else self._node(child.link, path)
            if node is not None and node.type in (DIRECTORY_TYPE, SHARD_TYPE):
                stack.append(self._children(path, child.link, node))
            else:
                tree.insert(split_key(path), self._entry(path, child, node))

    def _children(self, path: str, link: Link, node: Node) -> Iterator[tuple[str, PBLink]]:
        for child in iter_directory(link, node, self._load):
            self._note(link)
            try:
                name = child.name.decode()
            except UnicodeDecodeError:
                raise InvalidKeyError(f"name {child.name!r} in {path!r} is not UTF-8") from None
            if "/" in name:
                raise InvalidKeyError(f"name {name!r} in {path!r} holds a slash")
            inner = f"{path}/{name}" if path else name
            split_key(inner)
            yield inner, child

    def _load(self, link: Link) -> bytes:
        """Load a shard, and count it: what a few shards lead to may be without end."""
        self._note(link)
        return self._blocks.get_block(link)

    def _note(self, link: Link) -> None:
        self._count += 1
        if self._count > self._max_keys:
            raise LimitExceededError(
                f"UnixFS directory with more than {self._max_keys} files and directories, "
                f"met at block {to_text(link)}"
            )

    def _node(self, link: Link, path: str = "") -> Node:
        if codec_of(link) != DAG_PB:
            expected = "raw or dag-pb" if path else "that of a UnixFS directory, dag-pb"
            raise InvalidNodeError(
                f"path {path!r}: block {to_text(link)} has codec {codec_of(link):#x}, "
                f"expected {expected}"
            )
        try:
            return decode_node(link, self._blocks.get_block(link))
        except IPLDStoreError as error:
            error.add_note(f"while reading path {path!r}")
            raise

    def _entry(self, path: str, child: PBLink, node: Node | None) -> Link | Document:
        name = path.rpartition("/")[2]
        file = None if node is None else as_file(child.link, node)
        if name not in METADATA_NAMES and self._is_kept(child, file):
            return child.link
        if file is None:
            return make_entry(self._blocks, name, self._blocks.get_block(child.link))
        if file.size > MAX_COPIED_FILE_BYTES:
            raise LimitExceededError(
                f"file {path!r} of {file.size} bytes has to be cut anew, "
                f"expected at most {MAX_COPIED_FILE_BYTES}"
            )
        content = read_content(file, self._blocks.get_block, 0, file.size)
        return make_entry(self._blocks, name, content)

    def _is_kept(self, child: PBLink, file: FileNode | None) -> bool:
        blocks = self._blocks
        if file is None:
            size = child.size
            if size is None:
                size = len(blocks.get_block(child.link))
            return _find_leaf(child.link, size) is not None
        return measure_file(child.link, file, blocks.get_block, blocks.make_cid) is not None
