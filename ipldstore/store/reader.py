"""A hierarchy as it is read: a root on a block store, looked into by any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import RAW, Link, codec_of
from ipldstore.errors import (
    BlockNotFoundError,
    CorruptBlockError,
    InvalidKeyError,
    IPLDStoreError,
)
from ipldstore.limits import MAX_HELD_KEYS, MAX_SEGMENTS
from ipldstore.store.expansion import check_held
from ipldstore.store.values import Cut, read_value
from ipldstore.tree.decode import decode_directory, link_of
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Encoder
from ipldstore.tree.keys import split_path
from ipldstore.tree.nodes import Directory, Entry
from ipldstore.tree.pages import iter_entries
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

if TYPE_CHECKING:
    from ipldstore.store.recent import RecentBlocks

Result = TypeVar("Result")

_MOST_NODES = 2 * MAX_SEGMENTS
"""How many blocks are loaded for a path, one after another, before the lock is taken after all."""


class Reader:
    """A hierarchy on a block store, of which only what was needed is in memory.

    The root is not loaded before it is needed; None is an empty hierarchy. `lock` is around the
    tree; `waits` says whether the block store is on a network. `source` is what nodes and parts of
    values are read from: the block store or, where it is on a network, what was just read from
    there, or is under way; several readers may share it.
    """

    def __init__(
        self,
        blocks: ContentAddressableStore,
        root: Link | None = None,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        source: ContentAddressableStore | None = None,
    ) -> None:
        self.blocks = blocks
        self.cache_bytes = cache_bytes
        self.lock = Guard()
        self.waits = not blocks.is_local
        self.source = read_from(blocks) if source is None else source
        self.tree = self._make_tree(root)
        self._under_way: set[Link] = set()

    @property
    def recent(self) -> RecentBlocks | None:
        """What was just read, where the block store is on a network."""
        from ipldstore.store.recent import RecentBlocks  # which imports asyncio

        return self.source if isinstance(self.source, RecentBlocks) else None

    def _make_tree(self, root: Link | None) -> Tree:
        return Tree(self.blocks.get_block, root, cache_bytes=self.cache_bytes)

    @property
    def root(self) -> Link | None:
        """The root; None while changes are not frozen."""
        return self.tree.root

    @property
    def standing(self) -> Link | Directory:
        """The root, or the root directory while changes are not frozen."""
        self.refresh()
        with self.lock():
            return self.tree.root or self.tree.top

    def look(self, look: Callable[[Directory, Link | None], Result]) -> Result:
        """Return what a function makes of the hierarchy as it stands, while nobody changes it.

        It is called with the root directory and the root, None while it is not frozen. A hierarchy
        that is frozen is read beside what is loaded here, so that others need not wait; else the
        function must not call this.
        """
        self.refresh()
        with self.lock():
            root = self.tree.root
            if root is None:
                return look(self.tree.top, None)
        return look(decode_directory(root, self.blocks.get_block(root), root=True), root)

    def refresh(self) -> None:
        """Take in what other processes changed, where they can; before what must see it."""

    def find(self, segments: Sequence[str]) -> Link | Document | None:
        """Return the entry of a value, None where there is no value."""
        self.refresh()
        return self.find_here(segments)

    def find_here(self, segments: Sequence[str]) -> Link | Document | None:
        """`find`, without what other processes changed meanwhile."""
        if self.waits:
            self.fetch(segments)
        with self.lock():
            return self.tree.find(segments)

    def fetch(self, segments: Sequence[str]) -> None:
        """Load what `find` needs over a network, before the lock is taken.

        Others wait for a block that they need, too, and not for those that they do not.
        """
        for _ in range(_MOST_NODES):
            link = self.tree.needs(segments)
            if link is None:
                return
            data = self.source.get_block(link)
            with self.lock():
                self.tree.admit(segments, link, data)

    async def fetch_async(self, segments: Sequence[str]) -> None:
        """`fetch` for event loops."""
        for _ in range(_MOST_NODES):
            link = self.tree.needs(segments)
            if link is None or self.lock.is_taken:
                return
            if (recent := self.recent) is not None:
                recent.begin(self.tree.foresee(segments, self._under_way))
            self._under_way.add(link)
            try:
                data = await self.source.get_block_async(link)
            finally:
                self._under_way.discard(link)
            if self.lock.is_taken:
                return
            with self.lock():
                self.tree.admit(segments, link, data)

    def peek(self, segments: Sequence[str]) -> tuple[bool, Link | Document | None]:
        """Return whether `find` needs to wait for no block, and if so what it returns."""
        return self.tree.peek(segments)

    def find_any(self, segments: Sequence[str]) -> Entry | None:
        """Return what is at a path: the entry of a value, a directory, or None."""
        self.refresh()
        with self.lock():
            value = self.tree.find(segments) if segments else None
            return self.tree.find_directory(segments) if value is None else value

    def read(self, key: str, entry: Link | Document, cut: Cut | None = None) -> bytes | memoryview:
        """Return a value, or a part of it; errors name the key."""
        try:
            return read_value(self.source_of(entry, cut), entry, cut)
        except IPLDStoreError as error:
            self.note_fault(key, error)
            raise

    def source_of(self, entry: Link | Document, cut: Cut | None) -> ContentAddressableStore:
        """Return what a value is read from: that of one block, if all of it is, is not kept."""
        is_whole = cut is None and isinstance(entry, Link) and codec_of(entry) == RAW
        return self.blocks if is_whole else self.source

    def note_fault(self, key: str, error: IPLDStoreError) -> None:
        """Add to an error which key was read, and remember if a block was not there."""
        if self.recent is not None and isinstance(error, BlockNotFoundError | CorruptBlockError):
            self.recent.has_missed = True
        error.add_note(f"while reading key {key!r}")

    def is_empty(self, segments: Sequence[str]) -> bool:
        """Whether there is nothing below a path."""
        self.refresh()
        with self.lock():
            # but the root, no directory is empty
            return not self.tree.find_directory(segments) if segments else self.tree.is_empty

    def list_directory(self, segments: Sequence[str]) -> list[str]:
        """Return the segments in a directory in natural order, none where there is none."""
        self.refresh()
        with self.lock():
            directory = self.tree.find_directory(segments)
            entries = () if directory is None else iter_entries(directory, self.tree.load)
            return [segment for segment, _ in entries]

    def list_entries(self, segments: Sequence[str]) -> list[tuple[str, Entry]] | None:
        """Return what is in a directory in natural order, None where there is none."""
        self.refresh()
        with self.lock():
            directory = self.tree.find_directory(segments)
            return None if directory is None else list(iter_entries(directory, self.tree.load))

    def iter_keys(self, segments: Sequence[str]) -> Iterator[str]:
        """Iterate the keys below a directory, relative to it; others may go on meanwhile."""
        self.refresh()
        entries = self.tree.iter_entries(segments)
        while True:
            with self.lock():
                key = next(entries, (None, None))[0]
            if key is None:
                return
            yield key

    def identify_all(self) -> dict[str, Link]:
        """Return the CID of each value, that of its block if it were one where it is a document."""
        self.refresh()
        with self.lock():
            return {
                key: self.name_node(entry.encoded) if isinstance(entry, Document) else entry
                for key, entry in self.tree.iter_entries(max_keys=MAX_HELD_KEYS)
            }

    def check_held(self, segments: Sequence[str]) -> None:
        """Raise `LimitExceededError` if there is more below a path than can be listed."""
        with self.lock():
            directory = self.tree.find_directory(segments)
            if directory is not None:
                check_held(directory, self.tree.load)

    def extract(self, path: str) -> tuple[Link, dict[Link, bytes]]:
        """Return a group or array as a root, with its blocks that may be in no block store yet.

        A small one stands within the block of the directory above it, and gets blocks of its own.
        """
        found = self.find_any(split_path(path))
        if found is None:
            raise InvalidKeyError(f"no group or array {path!r} under {self.root}")
        if not isinstance(found, Directory):
            raise InvalidKeyError(f"path {path!r} is a value, expected a group or array")
        if (link := link_of(found)) is not None:
            return link, {}
        made: dict[Link, bytes] = {}

        def keep(data: bytes) -> Link:
            link = self.name_node(data)
            made[link] = data
            return link

        with self.lock():
            top = Encoder(self.tree.load, keep).encode(found)[0]
        return keep(top), made

    def name_node(self, data: bytes) -> Link:
        """Return the CID of a dag-cbor block."""
        return self.blocks.make_cid(data, "dag-cbor")


def read_from(blocks: ContentAddressableStore) -> ContentAddressableStore:
    """Return what values of a block store are read from: itself, or what keeps recent blocks."""
    if blocks.is_local:
        return blocks
    from ipldstore.store.recent import RecentBlocks  # which imports asyncio

    return RecentBlocks(blocks)
