"""The tree: keys to entries, loaded as it is walked, encoded as it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError, InvalidNodeError, LimitExceededError
from ipldstore.limits import MAX_KEYS, MAX_SEGMENTS
from ipldstore.tree.decode import decode_directory
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Encoder, Put
from ipldstore.tree.nodes import Directory, Entry, is_value
from ipldstore.tree.pages import Load, drop_clean, is_empty, iter_entries, room_of, touch, unpage

DEFAULT_CACHE_BYTES = 64 << 20


class Tree:
    """A hierarchy in memory, of which only the nodes that were needed are loaded.

    Not safe under threads; whoever shares one holds a lock.

    Parameters
    ----------
    load
        Returns the verified bytes of a block.
    root
        The root to begin from, not loaded before it is needed; None for an empty hierarchy.
    cache_bytes
        How many bytes of nodes may be loaded before those that did not change are dropped.

    Attributes
    ----------
    root : Link or None
        The root of the hierarchy as it stands; None while changes are not frozen.
    """

    def __init__(
        self, load: Load, root: Link | None = None, *, cache_bytes: int = DEFAULT_CACHE_BYTES
    ) -> None:
        self._load_block = load
        self._cache_bytes = cache_bytes
        self._loaded_bytes = 0
        self._kept: set[Link] = set()
        self.root = root
        self._top = Directory() if root is None else None

    @property
    def top(self) -> Directory:
        """The root directory, loaded if it was not.

        Raises
        ------
        InvalidNodeError
            If the root is not a directory.
        """
        if self._top is None:
            assert self.root is not None
            self._top = decode_directory(self.root, self._load(self.root), root=True)
        return self._top

    def find(self, segments: Sequence[str]) -> Link | Document | None:
        """Return the entry of a value, None where there is no value."""
        directory = self.find_directory(segments[:-1])
        if directory is None:
            return None
        entry = room_of(directory, segments[-1], self._load).get(segments[-1])
        return entry if is_value(entry, segments[-1]) else None

    def peek(self, segments: Sequence[str]) -> tuple[bool, Link | Document | None]:
        """Return whether all is loaded that `find` needs, and if so what it returns."""
        load, self._load_block = self._load_block, _refuse_to_load
        try:
            return True, self.find(segments)
        except _NotLoaded:
            return False, None
        finally:
            self._load_block = load

    def find_directory(self, segments: Sequence[str]) -> Directory | None:
        """Return a directory, None where there is none."""
        path = self._existing(segments)
        return path[-1] if len(path) == len(segments) + 1 else None

    def list_directory(self, segments: Sequence[str]) -> list[str]:
        """Return the segments in a directory in natural order, none where there is none."""
        directory = self.find_directory(segments)
        if directory is None:
            return []
        return [segment for segment, _ in iter_entries(directory, self._load)]

    @property
    def is_empty(self) -> bool:
        """Whether there is no key at all."""
        return is_empty(self.top)

    def insert(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Set the entry of a value.

        Raises
        ------
        InvalidKeyError
            If a directory stands there, or a value where a directory has to be; nothing has
            changed then.
        """
        path = self._existing(segments[:-1])
        known = len(path) - 1
        present = room_of(path[-1], segments[known], self._load).get(segments[known])
        if present is not None and known < len(segments) - 1:
            raise InvalidKeyError(
                f"key {'/'.join(segments)!r}: "
                f"{'/'.join(segments[: known + 1])!r} is a value, not a directory"
            )
        if present is not None and not is_value(present, segments[-1]):
            raise InvalidKeyError(f"key {'/'.join(segments)!r} is a directory, not a value")
        if present == entry:
            return
        rooms = self._touch(path, segments)
        added: Entry = entry
        for segment in reversed(segments[known + 1 :]):
            added = Directory({segment: added})
        rooms[-1][segments[known]] = added

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
            self.root = None
            self._top = Directory()
        return True

    def iter_entries(
        self, segments: Sequence[str] = (), *, max_keys: int = MAX_KEYS
    ) -> Iterator[tuple[str, Link | Document]]:
        """Iterate the values below a directory, loading what holds them when it is reached.

        Parameters
        ----------
        segments
            The path of the directory.
        max_keys
            How many values there may be: a few blocks can repeat each other without end.

        Yields
        ------
        tuple of str and Link or Document
            Keys relative to the directory, and their entries, in natural order. Of what is
            changed meanwhile, the state when it was reached.

        Raises
        ------
        InvalidNodeError
            If the hierarchy is nested deeper than a key can be.
        LimitExceededError
            If there are more values than allowed.
        """
        left = max_keys
        path = self._existing(segments)
        if len(path) <= len(segments):
            return
        names = list(segments)
        stack = [iter_entries(path[-1], self._load)]
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
            child = self._child(path, names)
            if child is None:
                names.pop()
            else:
                path.append(child)
                stack.append(iter_entries(child, self._load))

    def freeze(self, put: Put, name: Put) -> Link:
        """Encode what changed and return the root.

        Parameters
        ----------
        put
            Keeps a dag-cbor block and returns its CID; called for children before their
            parents, last for the root, and not for blocks that were loaded or put before.
        name
            Returns the CID that a dag-cbor block will have.
        """

        def keep(data: bytes) -> Link:
            link = name(data)
            self._loaded_bytes += len(data)
            if link not in self._kept:
                link = put(data)
                self._kept.add(link)
            return link

        if self.root is None:
            self.root = keep(Encoder(self._load, keep).encode(self.top)[0])
        return self.root

    def touch_all(self) -> None:
        """Load every directory and have the next freeze encode and cut them all."""
        self.root = None
        stack = [self.top]
        while stack:
            directory = stack.pop()
            directory.stub = None
            unpage(directory, self._load)
            for segment, entry in directory.entries.items():
                if not is_value(entry, segment):
                    child = self._load_directory(entry)
                    directory.entries[segment] = child
                    stack.append(child)

    def _load(self, link: Link) -> bytes:
        data = self._load_block(link)
        self._kept.add(link)
        self._loaded_bytes += len(data)
        return data

    def _trim(self) -> None:
        """Drop what did not change if much was loaded; nothing may be on its way to be changed."""
        if self._loaded_bytes > self._cache_bytes:
            self._loaded_bytes = 0
            drop_clean(self.top)

    def _load_directory(self, entry: Entry) -> Directory:
        if isinstance(entry, Directory):
            return entry
        assert isinstance(entry, Link)
        return decode_directory(entry, self._load(entry))

    def _existing(self, segments: Sequence[str]) -> list[Directory]:
        """Return the root directory and those below it on a path, as far as they exist."""
        self._trim()
        path = [self.top]
        for depth, segment in enumerate(segments, 1):
            entry = room_of(path[-1], segment, self._load).get(segment)
            child = entry if type(entry) is Directory else self._child(path, segments[:depth])
            if child is None:
                break
            path.append(child)
        return path

    def _child(self, path: Sequence[Directory], segments: Sequence[str]) -> Directory | None:
        """Return the directory that the last segment names in the last directory of a path."""
        segment = segments[-1]
        room = room_of(path[-1], segment, self._load)
        entry = room.get(segment)
        if isinstance(entry, Directory):
            return entry
        if entry is None or is_value(entry, segment):
            return None
        room[segment] = child = self._load_directory(entry)
        if child.stub is None:
            for directory, name in zip(path, segments, strict=True):
                touch(directory, name, self._load)
        return child

    def _touch(self, path: Sequence[Directory], segments: Sequence[str]) -> list[dict[str, Entry]]:
        """Mark a path as changed and return the maps in which its segments stand."""
        rooms = [
            touch(directory, segment, self._load)
            for directory, segment in zip(path, segments, strict=False)
        ]
        self.root = None
        return rooms

    def _remove(self, segments: Sequence[str]) -> None:
        path = self._existing(segments[:-1])
        rooms = self._touch(path, segments)
        for directory, room, segment in zip(
            reversed(path), reversed(rooms), reversed(segments), strict=True
        ):
            del room[segment]
            if not is_empty(directory):
                break


class _NotLoaded(Exception):  # noqa: N818
    """A block that is needed is not loaded."""


def _refuse_to_load(link: Link) -> bytes:
    raise _NotLoaded
