"""The tree: keys to entries, loaded as it is walked, encoded as it changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError, InvalidNodeError, LimitExceededError
from ipldstore.limits import MAX_KEYS, MAX_SEGMENTS
from ipldstore.tree.decode import decode_directory, open_directory
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Encoder, Put
from ipldstore.tree.kept import (
    Kept,
    is_marked,
    iter_loaded,
    iter_values,
    renew_unloaded,
    touch_loaded,
)
from ipldstore.tree.nodes import Directory, Entry, PageList, is_value, unpacked
from ipldstore.tree.pages import (
    Load,
    drop_clean,
    entries_of,
    is_empty,
    is_single,
    iter_entries,
    pages_ahead,
    put_entry,
    room_of,
    touch,
    writable_room_of,
)

Note: TypeAlias = Callable[[Sequence[str]], None]

DEFAULT_CACHE_BYTES = 64 << 20


class Tree:
    """A hierarchy in memory, of which only the nodes that were needed are loaded.

    Not safe under threads; whoever shares one holds a lock. It is valid after every step of
    what changes it, so that an interrupt leaves it as it was before or as it was to become.

    The root is not loaded before it is needed; None is an empty hierarchy. `cache_bytes` is how
    many bytes of nodes may be loaded before those that did not change are dropped. `note_change` is
    called with the segments of each key that is about to be changed, and of the path of each
    directory below the root that is about to be removed.
    """

    note_change: Note | None = None

    def __init__(
        self,
        load: Load,
        root: Link | None = None,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self._load_block = load
        self._cache_bytes = cache_bytes
        self._loaded_bytes = 0
        self._kept = Kept()
        self._is_to_check = False
        # the root, None while changes are not frozen, and its directory, None until it is loaded
        self._standing: tuple[Link | None, Directory | None]
        self._standing = (root, None) if root is not None else (None, Directory())

    @property
    def root(self) -> Link | None:
        """The root of the hierarchy as it stands; None while changes are not frozen."""
        return self._standing[0]

    @property
    def top(self) -> Directory:
        """The root directory, loaded if it was not."""
        return self._top(self.load)

    def _top(self, load: Load) -> Directory:
        root, top = self._standing
        if top is None:
            assert root is not None
            top = decode_directory(root, load(root), root=True)
            self._standing = root, top
        return top

    def find(self, segments: Sequence[str]) -> Link | Document | None:
        """Return the entry of a value, None where there is no value."""
        directory = self.find_directory(segments[:-1])
        if directory is None:
            return None
        entry = room_of(directory, segments[-1], self.load).get(segments[-1])
        return entry if is_value(entry, segments[-1]) else None

    def peek(self, segments: Sequence[str]) -> tuple[bool, Link | Document | None]:
        """Return whether all is loaded that `find` needs, and if so what it returns.

        Takes no lock, as it changes nothing: what others change meanwhile is there or not.
        """
        try:
            return True, self._peek(segments)
        except _NotLoaded:
            return False, None

    def needs(self, segments: Sequence[str]) -> Link | None:
        """Return the block that `find` would load first, None if none or if it cannot be told.

        Takes no lock, as `peek`.
        """
        try:
            self._peek(segments)
        except _NotLoaded as error:
            return error.link
        return None

    def foresee(self, segments: Sequence[str], under_way: Collection[Link]) -> list[Link]:
        """Return blocks that may be needed after those that `find` needs; no lock, as in `peek`."""
        try:
            directory = self._peek_directory(segments[:-1])
        except _NotLoaded:
            return []
        pages = None if directory is None else directory.pages
        return [] if pages is None else pages_ahead(pages, segments[-1], under_way)

    def _peek_directory(self, segments: Sequence[str]) -> Directory | None:
        root, directory = self._standing
        if directory is None:
            raise _NotLoaded(root)
        for segment in segments:
            entry = room_of(directory, segment, _refuse_to_load).get(segment)
            if entry is None or is_value(entry, segment):
                return None
            if not isinstance(entry, Directory):
                raise _NotLoaded(entry)  # type: ignore[arg-type]
            directory = entry
        return directory

    def _peek(self, segments: Sequence[str]) -> Link | Document | None:
        directory = self._peek_directory(segments[:-1])
        if directory is None:
            return None
        entry = room_of(directory, segments[-1], _refuse_to_load).get(segments[-1])
        return entry if is_value(entry, segments[-1]) else None

    def admit(self, segments: Sequence[str], link: Link, data: bytes) -> None:
        """Put a block that `needs` named in its place, and load no other."""

        def load(wanted: Link) -> bytes:
            if wanted != link:
                raise _NotLoaded(wanted)
            self._note_node(link, data)
            return data

        with suppress(_NotLoaded):
            path = self._walk(segments[:-1], load)
            if len(path) == len(segments):
                room_of(path[-1], segments[-1], load)

    def find_directory(self, segments: Sequence[str]) -> Directory | None:
        """Return a directory, None where there is none."""
        path = self._existing(segments)
        return path[-1] if len(path) == len(segments) + 1 else None

    @property
    def is_empty(self) -> bool:
        """Whether there is no key at all."""
        return is_empty(self.top)

    def insert(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Set the entry of a value; where that raises `InvalidKeyError`, nothing has changed."""
        path, present = self._place_of(segments)
        known = len(path) - 1
        if present == entry:
            return
        added: Entry = entry
        for segment in reversed(segments[known + 1 :]):
            added = Directory({segment: added})
        self._prepare_change(path, segments[: known + 1], segments)
        put_entry(path[-1], segments[known], added, self.load)

    def check_insert(self, segments: Sequence[str]) -> None:
        """Raise the `InvalidKeyError` that `insert` would raise."""
        self._place_of(segments)

    def _place_of(self, segments: Sequence[str]) -> tuple[list[Directory], Entry | None]:
        """Return the directories on the way to a value, and what it would take the place of."""
        path = self._existing(segments[:-1])
        known = len(path) - 1
        present = room_of(path[-1], segments[known], self.load).get(segments[known])
        if present is not None and known < len(segments) - 1:
            raise InvalidKeyError(
                f"key {'/'.join(segments)!r}: "
                f"{'/'.join(segments[: known + 1])!r} is a value, not a directory"
            )
        if present is not None and not is_value(present, segments[-1]):
            raise InvalidKeyError(f"key {'/'.join(segments)!r} is a directory, not a value")
        return path, present

    def remove(self, segments: Sequence[str]) -> bool:
        """Remove a value, and the directories that this leaves empty; False if there is none."""
        if self.find(segments) is None:
            return False
        self._remove(segments)
        return True

    def remove_directory(self, segments: Sequence[str]) -> bool:
        """Remove a directory and all in it; False if there is none."""
        if self.find_directory(segments) is None:
            return False
        if segments:
            self._remove(segments)
        else:
            self._standing = None, Directory()
            self._kept = Kept()
        return True

    def iter_entries(
        self, segments: Sequence[str] = (), *, max_keys: int = MAX_KEYS
    ) -> Iterator[tuple[str, Link | Document]]:
        """Iterate the values below a directory, loading what holds them when it is reached.

        Keys are relative to the directory, in natural order; of what is changed meanwhile, the
        state counts when it was reached. Raises `InvalidNodeError` if the hierarchy is nested
        deeper than a key can be, and `LimitExceededError` if there are more than `max_keys` values:
        a few blocks can repeat each other without end.
        """
        left = max_keys
        path = self._existing(segments)
        if len(path) <= len(segments):
            return
        names = list(segments)
        stack = [iter_entries(path[-1], self.load)]
        while stack:
            self._trim()
            segment, entry = next(stack[-1], (None, None))
            if segment is None:
                stack.pop()
                path.pop()
                if stack:
                    names.pop()
                continue
            names.append(segment)
            if is_value(entry, segment):
                left -= 1
                if left < 0:
                    raise LimitExceededError(
                        f"more than {max_keys} keys, up to {'/'.join(names)!r}"
                    )
                yield "/".join(names[len(segments) :]), entry
                names.pop()
                continue
            if len(names) >= MAX_SEGMENTS:
                raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels at {segment!r}")
            child = self._child(path, names, self.load)
            if child is None:
                names.pop()
            else:
                path.append(child)
                stack.append(iter_entries(child, self.load))

    def freeze(self, put: Put) -> Link:
        """Encode what changed, have `put` keep the blocks, the root last, and return it."""

        def keep(data: bytes) -> Link:
            link = put(data)
            self._note_node(link, data)
            return link

        root, top = self._standing
        if root is None:
            top = self.top
            root = keep(Encoder(self.load, keep).encode(top, root=True)[0])
            self._standing = root, top
        return root

    def renew_lost(
        self,
        find_missing: Callable[[Collection[Link]], set[Link]],
        name: Put,
        put: Callable[[Link, bytes], None],
        check: Callable[[], None],
    ) -> None:
        """Put the nodes again, or have the next `freeze` do so, that the block store has lost.

        Asked for are those nodes of the hierarchy that were loaded or put by this tree.
        `find_missing` returns those of several blocks that are not there, `name` the CID that a
        dag-cbor block has. `check` is called if any was lost; if it raises, they are asked for the
        next time, too. Raises `BlockNotFoundError` if one of them is neither in memory nor to be
        had elsewhere.
        """
        lost = find_missing(self._kept.links)
        if not lost:
            return
        top = self.top
        root = self.root
        # what is marked and was not frozen since names its block no more
        is_touched = not lost.isdisjoint(iter_loaded(root, top, name)) or bool(
            root and is_marked(top)
        )
        if is_touched:
            touch_loaded(top)
            self._standing = None, top
        renewed: set[Link] = set()

        def renew(link: Link, data: bytes) -> None:
            put(link, data)
            renewed.add(link)

        renew_unloaded(top, self._kept, lost, self._load_block, renew)
        if is_touched or renewed or self._is_to_check:
            self._is_to_check = True
            check()
            self._is_to_check = False
        self._kept.forget(lost - renewed)

    def iter_loaded_values(self) -> Iterator[Link]:
        """Iterate the values, by their CIDs, of the directories that are loaded."""
        return iter_values(self._standing[1])

    def share_kept(self, other: Tree) -> None:
        """Know of the nodes that another tree on the same block store has loaded or put."""
        self._kept = other._kept

    def prune(self, name: Put) -> None:
        """Forget about nodes that the hierarchy no longer names, once there are many of them."""
        self._kept.prune(*self._standing, name)

    def touch_all(self) -> None:
        """Load every directory and have the next freeze encode and cut them all."""
        stack = [self.top]
        self._standing = None, stack[0]
        while stack:
            directory = stack.pop()
            directory.stub = None
            content = directory.content
            if isinstance(content, PageList):
                content = entries_of(content, self.load)
            directory.content = entries = unpacked(content)
            for segment, entry in entries.items():
                if not is_value(entry, segment):
                    entries[segment] = child = open_directory(entry, self.load)
                    stack.append(child)

    def load(self, link: Link) -> bytes:
        data = self._load_block(link)
        self._note_node(link, data)
        return data

    def _note_node(self, link: Link, data: bytes) -> None:
        self._kept.add(link)
        self._loaded_bytes += len(data)

    def _trim(self) -> None:
        """Drop what did not change if much was loaded; nothing may be on its way to be changed."""
        if self._loaded_bytes > self._cache_bytes:
            self._loaded_bytes = 0
            drop_clean(self.top)

    def _existing(self, segments: Sequence[str]) -> list[Directory]:
        """Return the root directory and those below it on a path, as far as they exist."""
        self._trim()
        _ = self.top  # of a fork, what its store had
        return self._walk(segments, self.load)

    def _walk(self, segments: Sequence[str], load: Load) -> list[Directory]:
        path = [self._top(load)]
        for depth, segment in enumerate(segments, 1):
            entry = room_of(path[-1], segment, load).get(segment)
            child = entry if type(entry) is Directory else self._child(path, segments[:depth], load)
            if child is None:
                break
            path.append(child)
        return path

    def _child(
        self, path: Sequence[Directory], segments: Sequence[str], load: Load
    ) -> Directory | None:
        """Return the directory that the last segment names in the last directory of a path."""
        segment = segments[-1]
        entry = room_of(path[-1], segment, load).get(segment)
        if isinstance(entry, Directory):
            return entry
        if entry is None or is_value(entry, segment):
            return None
        child = open_directory(entry, load)
        if child.stub is None:
            # it is not in the canonical form: whatever is written next rewrites it
            for directory, name in zip(path, segments, strict=True):
                touch(directory, name, load)
        put_entry(path[-1], segment, child, load)
        return child

    def _prepare_change(
        self, path: Sequence[Directory], segments: Sequence[str], changed: Sequence[str]
    ) -> None:
        """Mark a path as changed.

        Nothing has changed before the one step that follows; `changed` is what it is about.
        """
        replaced = [] if self.root is None else [self.root]
        for directory, segment in zip(path, segments, strict=True):
            if directory.stub is not None or directory.pages is not None:
                touch(directory, segment, self.load, replaced)
        self._kept.note_replaced(replaced)
        if self.note_change is not None:
            self.note_change(changed)
        self._standing = None, path[0]

    def _remove(self, segments: Sequence[str]) -> None:
        """Remove an entry with the directories that only lead to it, in one step."""
        path = self._existing(segments[:-1])
        room_of(path[-1], segments[-1], self.load)  # what is not loaded counts as more than one
        depth = len(path)
        while depth > 1 and is_single(path[depth - 1]):
            depth -= 1
        self._prepare_change(path[:depth], segments[:depth], segments)
        room = writable_room_of(path[depth - 1], segments[depth - 1], self.load)
        self._kept.note_removed(room[segments[depth - 1]])
        del room[segments[depth - 1]]


class _NotLoaded(Exception):  # noqa: N818
    """A block that is needed is not loaded; None if it cannot be told which."""

    def __init__(self, link: Link | None) -> None:
        super().__init__(link)
        self.link = link


def _refuse_to_load(link: Link) -> bytes:
    raise _NotLoaded(link)
