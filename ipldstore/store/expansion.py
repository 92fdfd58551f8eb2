"""What a root stands for: counted block by block, however often blocks repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

from ipldstore.basics.words import number_text, size_text
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import DAG_CBOR, RAW, CIDLike, Link, as_link, codec_of, identity_data
from ipldstore.errors import TAKE_A_PART, InvalidNodeError, LimitExceededError
from ipldstore.limits import (
    MAX_EXPANSION,
    MAX_HELD_KEYS,
    MAX_LIST_DEPTH,
    MAX_SEGMENTS,
    MAX_WRITTEN_BYTES,
    MAX_WRITTEN_FILES,
)
from ipldstore.store.values import block_size
from ipldstore.tree.decode import decode_directory, decode_document, decode_pages
from ipldstore.tree.documents import Document
from ipldstore.tree.nodes import Directory, Page, PageList, is_value
from ipldstore.tree.pages import Load, end_of
from ipldstore.unixfs.file import decode_file

_WORKERS = 16
_MAX_LEVELS = MAX_SEGMENTS * (MAX_LIST_DEPTH + 1)


class Content(NamedTuple):
    """What a hierarchy stands for, and what there is of it.

    `files` are its keys, each of which becomes a file where it is written out, and `bytes` those of
    all their values, equal ones counted each time. `entries` are the keys that stand in its
    distinct `blocks`, and `stored` the bytes of these. Where sizes are asked for over a network,
    values that stand for at most `MAX_EXPANSION` keys are left out of `bytes` and `stored`; then it
    is not exact.
    """

    files: int
    bytes: int
    entries: int
    blocks: int
    stored: int
    is_exact: bool

    def check_held(self) -> None:
        """Raise `LimitExceededError` if there are more than `MAX_HELD_KEYS` keys."""
        _check_keys(self.files, _counted(self.blocks, "blocks"))

    def check(
        self, max_files: int | None = None, max_bytes: int | None = None, *, parts: str = "files"
    ) -> None:
        """Raise `LimitExceededError` where a few blocks would be written out as far more.

        There may be `max_files` keys, and `max_bytes` of all values; if None, `MAX_WRITTEN_FILES`
        and `MAX_WRITTEN_BYTES`. More of either is no fault where it is at most `MAX_EXPANSION`
        times what the distinct blocks hold. `parts` is what the files are called.
        """
        most_files = MAX_WRITTEN_FILES if max_files is None else max_files
        most_bytes = MAX_WRITTEN_BYTES if max_bytes is None else max_bytes
        passed = {}
        if self.files > max(most_files, MAX_EXPANSION * self.entries):
            passed["max_files"] = _counted(most_files, parts)
        if self.bytes > max(most_bytes, MAX_EXPANSION * self.stored):
            passed["max_bytes"] = _counted(most_bytes, "bytes")
        if passed:
            raise self._too_much(parts, passed)

    def _too_much(self, parts: str, passed: Mapping[str, str]) -> LimitExceededError:
        options = [f"--{name.replace('_', '-')}" for name in passed]
        return LimitExceededError(
            f"{_counted(self.blocks, 'blocks')} of {size_text(self.stored)} stand for "
            f"{_counted(self.files, parts)} of {'' if self.is_exact else 'at least '}"
            f"{_counted(self.bytes, 'bytes')} in all, expected at most "
            f"{' and '.join(passed.values())}, unless the blocks themselves hold a "
            f"{MAX_EXPANSION}th of that: if it is meant, raise the limit with "
            f"{' and '.join(passed)} (of commands, {' and '.join(options)}), or take a part of "
            "it, such as ROOT/GROUP"
        )


def _counted(count: int, noun: str) -> str:
    """Say how many there are of what a noun in the plural names."""
    text = f"{count:,}" if count < 10**15 else number_text(count)
    return f"{text} {noun.removesuffix('s') if count == 1 else noun}"


def measure(blocks: ContentAddressableStore, top: CIDLike | Directory) -> Content:
    """Count what a hierarchy stands for, exactly and in time by its distinct blocks.

    Loads every directory and every inner block of large values. Of values in single blocks, a block
    store on this machine tells all sizes; another one is asked for those that stand for more than
    `MAX_EXPANSION` keys each. `top` is the root, or the root directory as it is loaded, changed or
    not. Raises `BlockNotFoundError` or `CorruptBlockError` if a block cannot be had, and
    `InvalidNodeError` if a block is no part of a hierarchy, or it nests deeper than keys can.

    Examples
    --------
    >>> from ipldstore import IPLDStore
    >>> store = IPLDStore()
    >>> store["a/0"] = store["a/1"] = b"chunk"
    >>> measure(store.blocks, store.freeze())[:2]
    (2, 10)
    """
    walk = _Walk(blocks.get_block)
    walk.visit(top)
    times = walk.count_ways()
    often = [leaf for leaf in walk.leaves if is_local(blocks) or times[leaf] > MAX_EXPANSION]
    sizes = _sizes_of(often, blocks)
    files = _Files(walk.load)
    counted = {name: files.size_of(name) for name in walk.others}
    held = {name: node.values for name, node in walk.nodes.items()}
    stored = files.leaves | sizes | walk.sizes
    return Content(
        files=sum(times[name] * values for name, values in held.items()),
        bytes=sum(times[name] * node.inline for name, node in walk.nodes.items())
        + sum(times[name] * size for name, size in counted.items())
        + sum(times[leaf] * size for leaf, size in sizes.items()),
        entries=sum(held.values()),
        blocks=len(stored.keys() | walk.leaves),
        stored=sum(stored.values()),
        is_exact=len(often) == len(walk.leaves),
    )


def check_held(top: CIDLike | Directory, load: Load) -> None:
    """Refuse what has more keys than can be held or shown one by one, by its directories alone."""
    walk = _Walk(load)
    walk.visit(top)
    times = walk.count_ways()
    keys = sum(times[name] * node.values for name, node in walk.nodes.items())
    _check_keys(keys, f"directories in {_counted(len(walk.sizes), 'blocks')}")


def _check_keys(keys: int, where: str) -> None:
    if keys > MAX_HELD_KEYS:
        raise LimitExceededError(
            f"{where} stand for {_counted(keys, 'keys')}, expected at most {MAX_HELD_KEYS:,}; "
            f"{TAKE_A_PART}"
        )


class SizeTeller:
    """Tells how many bytes the values below directories have, equal ones counted each time.

    Each block is looked into once for all directories that are asked for, however often they lead
    to it.
    """

    def __init__(self, blocks: ContentAddressableStore) -> None:
        self._blocks = blocks
        self._walk = _Walk(blocks.get_block)
        self._files = _Files(blocks.get_block)
        self._known: dict[_Name, int] = {}
        self._nodes = 0

    def size_of(self, directory: Directory) -> int:
        """Return the bytes below a directory; errors as `measure`."""
        walk, known = self._walk, self._known
        walk.visit(directory)
        for leaf, size in _sizes_of(walk.leaves - known.keys(), self._blocks).items():
            known[leaf] = size
        known.update({name: self._files.size_of(name) for name in walk.others - known.keys()})
        walk.leaves.clear()
        walk.others.clear()
        for name in islice(walk.nodes, self._nodes, None):
            node = walk.nodes[name]
            known[name] = node.inline + sum(known[child] for child in node.children)
        del walk.nodes[None]
        self._nodes = len(walk.nodes)
        return known.pop(None)


def is_local(blocks: ContentAddressableStore) -> bool:
    """Whether blocks are on this machine, so that the size of each can be asked for."""
    if blocks.is_local:
        return True
    from ipldstore.backends.layers.union import UnionCAStore

    return isinstance(blocks, UnionCAStore) and all(map(is_local, blocks.stores))


def _sizes_of(leaves: Collection[Link], blocks: ContentAddressableStore) -> dict[Link, int]:
    size_of = partial(block_size, blocks)
    if is_local(blocks):
        return {leaf: size_of(leaf) for leaf in leaves}
    with ThreadPoolExecutor(_WORKERS, "ipldstore-sizes") as pool:
        return dict(zip(leaves, pool.map(size_of, leaves), strict=True))


class _Ref(NamedTuple):
    """A directory or page that is not loaded.

    `level` is how many directories and lists of pages it is below the node that leads to it.
    `first` and `end` are of a page, or a list of them: the segment that it begins with, and the
    natural key that all in it come before.
    """

    link: Link
    level: int
    first: str | None = None
    end: str | None = None


class _Node(NamedTuple):
    """What a block leads to; directories that stand within it are a part of it.

    `values` are the keys in it, `inline` the bytes of values that stand in it. `children` are the
    names of what it leads to, each as often as it does.
    """

    values: int
    inline: int
    children: list[_Name]


_Name: TypeAlias = "Link | tuple[Link] | None"
"""What is counted: a block, as a document in a tuple, or what began the walk."""


class _Walk:
    """Visits each block of directories once, children before what leads to them.

    `nodes` are the blocks, and what each leads to, in this order; what began the walk is the last.
    `sizes` are the bytes of each block that was loaded. Values are `leaves`, which are raw blocks,
    and `others`, documents and files of several blocks.
    """

    def __init__(self, load: Load) -> None:
        self._load_block = load
        self._heights: dict[_Name, int] = {}
        self.nodes: dict[_Name, _Node] = {}
        self.sizes: dict[Link, int] = {}
        self.leaves: set[Link] = set()
        self.others: set[_Name] = set()

    def visit(self, top: CIDLike | Directory) -> None:
        if not isinstance(top, Directory):
            root = as_link(top)
            top = decode_directory(root, self.load(root), root=True)
        stack: list[tuple[_Name, _Node, list[_Ref]]] = [(None, *self._open(top))]
        todo = [iter(stack[0][2])]
        while stack:
            ref = next(todo[-1], None)
            if ref is not None:
                if ref.link not in self.nodes:
                    node, refs = self._open(*self._decode(ref))
                    stack.append((ref.link, node, refs))
                    todo.append(iter(refs))
                continue
            todo.pop()
            name, node, refs = stack.pop()
            self.nodes[name] = node
            height = max((ref.level + self._heights[ref.link] for ref in refs), default=0)
            self._heights[name] = _check_height(height)

    def count_ways(self) -> Counter[_Name]:
        """Return on how many ways each block is reached."""
        times: Counter[_Name] = Counter({None: 1})
        for name in reversed(self.nodes):
            ways = times[name]
            for child in self.nodes[name].children:
                times[child] += ways
        return times

    def load(self, link: Link) -> bytes:
        data = self._load_block(link)
        if identity_data(link) is None:
            self.sizes[link] = len(data)
        return data

    def _decode(self, ref: _Ref) -> tuple[Directory | Page | PageList, str | None]:
        data = self.load(ref.link)
        if ref.first is None:
            return decode_directory(ref.link, data), None
        return decode_pages(ref.link, data, ref.first, ref.end), ref.end

    def _open(
        self, part: Directory | Page | PageList, end: str | None = None
    ) -> tuple[_Node, list[_Ref]]:
        """Return a block as a node, and the blocks below it that are no values."""
        refs: list[_Ref] = []
        children: list[_Name] = []
        values = inline = 0
        parts = [(part, end, 1)]
        while parts:
            part, end, level = parts.pop()
            pages = part if isinstance(part, PageList) else getattr(part, "pages", None)
            if pages is not None:
                for child in _iter_pages(pages, end, level):
                    (refs if isinstance(child, _Ref) else parts).append(child)  # type: ignore[arg-type]
                continue
            assert not isinstance(part, PageList)
            for segment, entry in part.items():
                if is_value(entry, segment):
                    values += 1
                    inline += self._add_value(entry, children)
                elif isinstance(entry, Directory):
                    parts.append((entry, None, level + 1))
                else:
                    refs.append(_Ref(entry, level))  # type: ignore[arg-type]
        children += [ref.link for ref in refs]
        return _Node(values, inline, children), refs

    def _add_value(self, entry: Link | Document, children: list[_Name]) -> int:
        """Note a value, and return its size if it stands in the node itself."""
        if isinstance(entry, Document):
            return len(entry.to_json())
        codec = codec_of(entry)
        if codec == RAW:
            data = identity_data(entry)
            if data is not None:
                return len(data)
            self.leaves.add(entry)
            children.append(entry)
            return 0
        name: _Name = (entry,) if codec == DAG_CBOR else entry
        self.others.add(name)
        children.append(name)
        return 0


class _Files:
    """The sizes of documents, and of files of several blocks, whose leaves are not loaded.

    `leaves` are the bytes of each leaf as its file says; one that is of another size is refused
    when it is read.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._seen: set[Link] = set()
        self.leaves: dict[Link, int] = {}

    def size_of(self, name: _Name) -> int:
        if isinstance(name, tuple):
            return len(decode_document(name[0], self._load(name[0])).to_json())
        assert name is not None
        file = decode_file(name, self._load(name))
        parts = list(zip(file.links, file.sizes, strict=True))
        while parts:
            link, size = parts.pop()
            if not size or link in self._seen:  # of what is empty, nothing is read
                continue
            self._seen.add(link)
            if codec_of(link) == RAW:
                self.leaves[link] = size
            else:
                inner = decode_file(link, self._load(link))
                parts += zip(inner.links, inner.sizes, strict=True)
        return file.size


def _iter_pages(
    pages: PageList, end: str | None, level: int
) -> Iterator[_Ref | tuple[Page | PageList, str | None, int]]:
    for index, child in enumerate(pages.children):
        stop = end_of(pages, index, end)
        if isinstance(child, Link):
            yield _Ref(child, level, pages.firsts[index], stop)
        else:
            yield child, stop, level


def _check_height(height: int) -> int:
    if height > _MAX_LEVELS:
        raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels deep")
    return height
