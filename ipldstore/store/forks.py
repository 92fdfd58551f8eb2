"""Forks: writers that remember what they changed, and how that is merged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, to_text
from ipldstore.errors import (
    BlockNotFoundError,
    InvalidKeyError,
    IPLDStoreError,
    MergeConflictError,
    ReadOnlyStoreError,
)
from ipldstore.limits import MAX_HELD_KEYS
from ipldstore.store.values import make_entry, read_value
from ipldstore.store.writer import Writer, find_own, note_own, this_process
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Put
from ipldstore.tree.keys import split_key
from ipldstore.tree.nodes import Directory
from ipldstore.tree.pages import Load
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

Value: TypeAlias = Link | Document
Rule: TypeAlias = Callable[[str, list[bytes | None]], bytes | None]
"""Settles a conflict: see `Hierarchy.merge`."""

NO_FORK = "expected a store that fork() made"
_NAMED_KEYS = 5
_CHANGED_TWICE = "changed in different ways"

_NOT_SHARED = (
    "this fork is in another process than that which made it, on a block store that only that one "
    "can write to, so what is written would be lost: fork a store on a DirectoryCAStore, or on "
    "another block store that all processes reach"
)
_SEALED = (
    "this fork was used before it came here by pickle, so what is written to this copy could be "
    "lost: send an unused fork, or write through a fork() of this one, bring it back and merge "
    "both; dask datasets are written from all processes with "
    "ipldstore.distributed.to_zarr(dataset, store)"
)


class KeyChange(NamedTuple):
    """What a fork did to a key.

    `before` is the CID of the value that the fork began with, None if there was none; `after` the
    entry now, None if the key was deleted.
    """

    before: Link | None
    after: Value | None


class Changes(dict[str, KeyChange]):
    """What a fork did to keys, or several forks did."""


def _identify(entry: Value | None, name: Put) -> Link | None:
    """Return the CID of a value, by which it is compared: a document may be in a block or not."""
    return name(entry.encoded) if isinstance(entry, Document) else entry


class RecordingTree(Tree):
    """A tree that can tell what was changed in it.

    Before a key is changed for the first time, the value that it had is noted. What a change was
    is found out later, from that and from what is there: so an interrupt cannot come between a
    change and its record.

    `changes` are what was changed already, which is made up for when the tree is first needed.
    `name` returns the CID that a dag-cbor block will have. `is_used` says whether anything was
    looked up or changed in the tree.
    """

    def __init__(
        self,
        load: Load,
        root: Link | None,
        changes: Changes,
        name: Put,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        super().__init__(load, root, cache_bytes=cache_bytes)
        self._name = name
        self._base = root
        self._changes = changes
        self._before = {key: change.before for key, change in changes.items()}
        self.is_used = False
        if changes:
            self._standing = None, None

    @property
    def top(self) -> Directory:
        """The root directory, loaded and brought up to the changes if it was not."""
        if self._standing == (None, None):
            tree = Tree(self.load, self._base)
            apply_changes(tree, {key: change.after for key, change in self._changes.items()})
            self._standing = None, tree.top
        return super().top

    @property
    def changes(self) -> Changes:
        """How the tree differs from what it began with; a key that was put back does not."""
        if self._standing == (None, None):
            return Changes(self._changes)
        found = Changes()
        for key, before in self._before.items():
            after = self.find(split_key(key))
            if _identify(after, self._name) != before:
                found[key] = KeyChange(before, after)
        return found

    def insert(self, segments: Sequence[str], entry: Value) -> None:
        self._note_before("/".join(segments), self.find(segments))
        super().insert(segments, entry)

    def remove(self, segments: Sequence[str]) -> bool:
        before = self.find(segments)
        if before is not None:
            self._note_before("/".join(segments), before)
        return super().remove(segments)

    def remove_directory(self, segments: Sequence[str]) -> bool:
        for key, entry in self.iter_entries(segments, max_keys=MAX_HELD_KEYS):
            self._note_before("/".join((*segments, key)), entry)
        return super().remove_directory(segments)

    def peek(self, segments: Sequence[str]) -> tuple[bool, Value | None]:
        self.is_used = True
        return super().peek(segments)

    def _existing(self, segments: Sequence[str]) -> list[Directory]:
        self.is_used = True
        return super()._existing(segments)

    def _note_before(self, key: str, entry: Value | None) -> None:
        if key not in self._before:
            self._before[key] = _identify(entry, self._name)


def apply_changes(tree: Tree, wanted: dict[str, Value | None]) -> None:
    """Set and delete (None) values in a tree; some have changed also where there is a conflict."""
    for key, entry in wanted.items():
        if entry is None:
            tree.remove(split_key(key))
    added = {key: entry for key, entry in wanted.items() if entry is not None}
    blocked = _below_each_other(added)
    for key, entry in added.items():
        try:
            tree.insert(split_key(key), entry)
        except InvalidKeyError:
            blocked.add(key)
    if blocked:
        raise _conflict(blocked, "would be both values and directories")


def _below_each_other(keys: Collection[str]) -> set[str]:
    """Return keys that are also directories of others, and one key below each."""
    found: set[str] = set()
    known: set[str] = set()
    for key in keys:
        parent = key.rpartition("/")[0]
        while parent and parent not in known:
            known.add(parent)
            if parent in keys:
                found |= {parent, key}
            parent = parent.rpartition("/")[0]
    return found


def _conflict(keys: Collection[str], what: str) -> MergeConflictError:
    keys = sorted(keys)
    named = ", ".join(map(repr, keys[:_NAMED_KEYS]))
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    count = f"{len(keys)} key{'s' if len(keys) > 1 else ''}"
    return MergeConflictError(f"cannot merge: {count} {what}: {named}{more}", keys=keys)


class ForkWriter(Writer):
    """A fork: it knows its changes, and takes them along when it is pickled.

    `root` is what the fork began with, `changes` what it changed in that. One that is `sealed`
    refuses to be written to: it may be in use elsewhere, from where nobody would look for what is
    written here, such as within an array that dask sent to a worker.
    """

    how_to_keep = "store.merge(fork) brings the changes of a fork into its store"

    tree: RecordingTree

    def __init__(
        self,
        blocks: ContentAddressableStore,
        root: Link | None,
        changes: Changes | None = None,
        *,
        token: str | None = None,
        detached: bool = False,
        sealed: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        self._changes = Changes() if changes is None else changes
        self._base = root
        self._is_sealed = sealed
        super().__init__(blocks, root, token=token, detached=detached, cache_bytes=cache_bytes)

    def __reduce__(self) -> tuple[Any, ...]:
        note_own(self)
        sealed = self._is_sealed or self.tree.is_used
        home = None if self.is_away else this_process()
        changes = changes_of(self)
        self.unfrozen.clear()
        return _restore_fork, (
            self.token,
            self.blocks,
            self._base,
            changes,
            sealed,
            self.cache_bytes,
            home,
        )

    @property
    def is_detached(self) -> bool:
        """Whether what is written here would be lost."""
        return self._is_sealed or (self.is_away and not self.blocks.is_shared)

    def check_attached(self) -> None:
        if self.is_detached:
            raise ReadOnlyStoreError(_SEALED if self._is_sealed else _NOT_SHARED)

    def open_root(self, root: Link, *, discard: bool = False) -> None:
        raise IPLDStoreError("a fork keeps to the root it began with: open the root in a store")

    def note_root(self, root: Link) -> None:
        """Leave the root of the block store to those who merge the fork."""

    def remove_directory(self, segments: Sequence[str]) -> None:
        self.check_held(segments)
        super().remove_directory(segments)

    def copy_tree(self) -> Tree:
        return self._make_recording(self.tree.changes)

    def _make_tree(self, root: Link | None) -> RecordingTree:
        return self._make_recording(self._changes)

    def _make_recording(self, changes: Changes) -> RecordingTree:
        return RecordingTree(
            self.blocks.get_block,
            self._base,
            changes,
            self.name_node,
            cache_bytes=self.cache_bytes,
        )


def _restore_fork(
    token: str,
    blocks: ContentAddressableStore,
    root: Link | None,
    changes: Changes,
    sealed: bool,
    cache_bytes: int,
    home: tuple[int, str] | None,
) -> ForkWriter:
    """Make a copy of a pickled fork; on its own block store in the process that pickled it."""
    own = find_own(token)
    return ForkWriter(
        blocks if own is None else own.blocks,
        root,
        changes,
        token=token,
        detached=home != this_process(),
        sealed=sealed,
        cache_bytes=cache_bytes,
    )


def make_fork(writer: Writer) -> ForkWriter:
    """Make a fork of a hierarchy as it stands."""
    root = writer.snapshot()
    return ForkWriter(writer.blocks, root, detached=writer.is_away, cache_bytes=writer.cache_bytes)


def changes_of(writer: Writer) -> Changes:
    """Return a copy of what a fork changed, once the blocks of that are kept."""
    if not isinstance(writer, ForkWriter):
        raise TypeError(NO_FORK)
    writer.blocks.flush()
    with writer.lock():
        return writer.tree.changes


def join_changes(parts: Iterable[Changes]) -> Changes:
    """Join what several forks of one hierarchy changed, none of them in different ways."""
    joined = Changes()
    clashing = set()
    for part in parts:
        for key, change in part.items():
            if joined.setdefault(key, change) != change:
                clashing.add(key)
    if clashing:
        raise _conflict(clashing, _CHANGED_TWICE)
    return joined


def merge_changes(writer: Writer, parts: Sequence[Changes], rule: Rule | None = None) -> None:
    """Make the changes of forks in a hierarchy, all or none; see `Hierarchy.merge`."""
    for part in parts:
        _check_blocks(writer.blocks, part)
    changes: dict[str, list[KeyChange]] = {}
    for part in parts:
        for key, change in part.items():
            changes.setdefault(key, []).append(change)
    answers: dict[str, _Answer] = {}
    while open_keys := _merge_settled(writer, changes, answers):
        if rule is None:
            raise _conflict(open_keys, _CHANGED_TWICE)
        # outside of the lock, as a rule may look into the store
        for key, sides in open_keys.items():
            answers[key] = _Answer(list(sides), _ask(writer.blocks, rule, key, sides.values()))


class _Answer(NamedTuple):
    """What a rule said that a key shall have, and the different values that it was asked about."""

    sides: list[Link | None]
    entry: Value | None


Sides: TypeAlias = dict[Link | None, Value | None]


def _merge_settled(
    writer: Writer, changes: Mapping[str, Sequence[KeyChange]], answers: Mapping[str, _Answer]
) -> dict[str, Sides]:
    """Make the changes, or none and return the conflicts that there is no answer to."""
    writer.prepare_copy()
    with writer.lock():
        wanted: dict[str, Value | None] = {}
        open_keys: dict[str, Sides] = {}
        for key, versions in changes.items():
            sides = _sides(writer, key, versions)
            answer = answers.get(key)
            if len(sides) == 1:
                (wanted[key],) = sides.values()
            elif answer is not None and answer.sides == list(sides):
                wanted[key] = answer.entry
            else:
                open_keys[key] = sides
        if not open_keys:
            tree = writer.copy_tree()
            apply_changes(tree, wanted)
            writer.adopt(tree, wanted)
    return open_keys


def _check_blocks(blocks: ContentAddressableStore, part: Changes) -> None:
    """Raise if a fork wrote elsewhere, as one of its blocks tells."""
    for key, change in part.items():
        if isinstance(change.after, Link):
            if not blocks.has(change.after):
                raise BlockNotFoundError(
                    f"block {to_text(change.after)} of key {key!r} in the fork is not in "
                    f"{blocks!r}: a fork can be merged on its own block store only"
                )
            return


def _sides(writer: Writer, key: str, versions: Sequence[KeyChange]) -> Sides:
    """Return the different entries that a key was given, by the hierarchy itself and by forks."""
    entry = writer.tree.find(split_key(key))
    present = _identify(entry, writer.name_node)
    sides: Sides = {}
    if any(change.before != present for change in versions):
        sides[present] = entry
    for change in versions:
        sides.setdefault(_identify(change.after, writer.name_node), change.after)
    return sides


def _ask(
    blocks: ContentAddressableStore, rule: Rule, key: str, sides: Collection[Value | None]
) -> Value | None:
    values = [None if side is None else bytes(read_value(blocks, side)) for side in sides]
    value = rule(key, values)
    return None if value is None else make_entry(blocks, key.rpartition("/")[2], value)
