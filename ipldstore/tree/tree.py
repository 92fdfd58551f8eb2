"""The tree: keys to entries, loaded as it is walked, encoded as it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ipldstore.cid import Link
from ipldstore.errors import InvalidKeyError, InvalidNodeError
from ipldstore.tree.directory import (
    Directory,
    Put,
    decode_directory,
    encode_directory,
    is_value,
)
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import MAX_SEGMENTS


class Tree:
    """A hierarchy in memory, of which only the nodes that were needed are loaded.

    Not safe under threads; whoever shares one holds a lock.

    Parameters
    ----------
    load
        Returns the verified bytes of a block.
    root
        The root to begin from, not loaded before it is needed; None for an empty hierarchy.

    Attributes
    ----------
    root : Link or None
        The root of the hierarchy as it stands; None while changes are not frozen.
    """

    def __init__(self, load: Callable[[Link], bytes], root: Link | None = None) -> None:
        self._load = load
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
        path = self._walk(segments[:-1])
        if path is None:
            return None
        entry = path[-1].entries.get(segments[-1])
        return entry if is_value(entry, segments[-1]) else None

    def find_directory(self, segments: Sequence[str]) -> Directory | None:
        """Return a directory, None where there is none."""
        path = self._walk(segments)
        return None if path is None else path[-1]

    def insert(self, segments: Sequence[str], entry: Link | Document) -> None:
        """Set the entry of a value.

        Raises
        ------
        InvalidKeyError
            If a directory stands there, or a value where a directory has to be; nothing has
            changed then.
        """
        path = self._existing(segments[:-1])
        missing = segments[len(path) - 1 : -1]
        if missing and missing[0] in path[-1].entries:
            raise InvalidKeyError(
                f"key {'/'.join(segments)!r}: "
                f"{'/'.join(segments[: len(path)])!r} is a value, not a directory"
            )
        present = None if missing else path[-1].entries.get(segments[-1])
        if present is not None and not is_value(present, segments[-1]):
            raise InvalidKeyError(f"key {'/'.join(segments)!r} is a directory, not a value")
        if present == entry:
            return
        self._touch(path)
        directory = path[-1]
        for segment in missing:
            child = Directory()
            directory.entries[segment] = child
            directory = child
        directory.entries[segments[-1]] = entry

    def remove(self, segments: Sequence[str]) -> bool:
        """Remove a value, and the directories that this leaves empty; False if there is none."""
        path = self._walk(segments[:-1])
        if path is None or not is_value(path[-1].entries.get(segments[-1]), segments[-1]):
            return False
        self._remove(path, segments)
        return True

    def remove_directory(self, segments: Sequence[str]) -> bool:
        """Remove a directory and all in it; False if there is none."""
        path = self._walk(segments)
        if path is None:
            return False
        if segments:
            self._remove(path[:-1], segments)
        else:
            self._touch(path)
            path[0].entries.clear()
        return True

    def iter_entries(self, segments: Sequence[str] = ()) -> Iterator[tuple[str, Link | Document]]:
        """Iterate the values below a directory, loading each directory when it is reached.

        Yields
        ------
        tuple of str and Link or Document
            Keys relative to the directory, and their entries. Of a directory that is changed
            meanwhile, the state when it was reached.

        Raises
        ------
        InvalidNodeError
            If the hierarchy is nested deeper than a key can be.
        """
        start = self._walk(segments)
        if start is None:
            return
        stack = [("", start, iter(list(start[-1].entries.items())))]
        while stack:
            prefix, path, items = stack[-1]
            segment, entry = next(items, (None, None))
            if segment is None:
                stack.pop()
            elif is_value(entry, segment):
                yield prefix + segment, entry
            elif (child := self._child(path, segment)) is not None:
                if len(path) > MAX_SEGMENTS:
                    raise InvalidNodeError(f"nested more than {MAX_SEGMENTS} levels: {prefix!r}")
                children = iter(list(child.entries.items()))
                stack.append((f"{prefix}{segment}/", [*path, child], children))

    def freeze(self, put: Put) -> Link:
        """Encode what changed and return the root.

        Parameters
        ----------
        put
            Keeps a dag-cbor block and returns its CID; called for children before their
            parents, last for the root.
        """
        if self.root is None:
            self.root = put(encode_directory(self.top, put)[0])
        return self.root

    def touch_all(self) -> None:
        """Load every directory and have the next freeze encode them all."""
        stack = [[self.top]]
        while stack:
            path = stack.pop()
            self._touch(path)
            for segment, entry in list(path[-1].entries.items()):
                if not is_value(entry, segment) and (child := self._child(path, segment)):
                    stack.append([*path, child])

    def _walk(self, segments: Sequence[str]) -> list[Directory] | None:
        path = self._existing(segments)
        return path if len(path) == len(segments) + 1 else None

    def _existing(self, segments: Sequence[str]) -> list[Directory]:
        """Return the root directory and those below it on a path, as far as they exist."""
        path = [self.top]
        for segment in segments:
            child = self._child(path, segment)
            if child is None:
                break
            path.append(child)
        return path

    def _child(self, path: list[Directory], segment: str) -> Directory | None:
        entry = path[-1].entries.get(segment)
        if isinstance(entry, Directory):
            return entry
        if not isinstance(entry, Link) or is_value(entry, segment):
            return None
        child = decode_directory(entry, self._load(entry))
        path[-1].entries[segment] = child
        if child.stub is None:
            for directory in path:
                directory.stub = None
        return child

    def _touch(self, path: list[Directory]) -> None:
        self.root = None
        for directory in path:
            directory.stub = None

    def _remove(self, path: list[Directory], segments: Sequence[str]) -> None:
        self._touch(path)
        for directory, segment in zip(reversed(path), reversed(segments), strict=True):
            del directory.entries[segment]
            if directory.entries:
                break
