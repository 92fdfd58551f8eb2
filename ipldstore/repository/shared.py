"""Hierarchies that several processes write: each sees what the others wrote, and all is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from ipldstore.basics.locks import Bell, Guard, Process
from ipldstore.blockstore.abilities import KeepsJournals
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link
from ipldstore.errors import (
    BackendError,
    CommitConflictError,
    DetachedStoreError,
    InvalidKeyError,
    SessionEndedError,
)
from ipldstore.formats import dagcbor
from ipldstore.journals.joining import Joined
from ipldstore.journals.records import Change, Record, Removal
from ipldstore.journals.steps import ENDED, OPEN, Step
from ipldstore.model.chunkkeys import ChunkKeys, read_chunk_keys
from ipldstore.model.merging.conflicts import Conflict, describe
from ipldstore.repository.journaling import Found, Journals, fresh, new_session
from ipldstore.store.writer import Writer
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES, split_path
from ipldstore.tree.tree import DEFAULT_CACHE_BYTES, Tree

_KEPT = (
    "are not committed, and kept, unless the session was committed or abandoned elsewhere: "
    "repo.resume({0!r}) goes on with them, repo.abandon({0!r}) lets them go"
)
_ALONE = (
    "what is written in this copy of a session would be lost: a session on {!r} is of one process; "
    "in a folder, an SQLite database or a bucket several write in it"
)
_FORKED = (
    "what is written in this forked copy of a session would be lost: read session.id before the "
    "fork, or hand the session over by pickle, as multiprocessing and dask do"
)
_AT_ONCE = "changed by several processes at once"
_BLOCKED = "given a value by one process, and keys below it by another"

_LOOK_AGAIN_SECONDS = 1.0

_forks = [0]
"""How often this process forked."""


def _note_fork() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_note_fork)


class _Wish:
    """Records that a thread waits for.

    `taken_in` is how often records had been taken in before what these set was set. The bell is
    rung when they may be granted, or nobody appends any more.
    """

    def __init__(self, records: Sequence[Record], taken_in: int) -> None:
        self.records = records
        self.taken_in = taken_in
        self.is_granted = False
        self.bell = Bell()


class SharedWriter(Writer):
    """A hierarchy that several processes write, each with a journal in the block store.

    What is changed is in a journal before it is in the tree, and the tree is what all journals say
    that were read. Each process has one of these for a session, however often that is pickled.

    `first` is the step that the session begins with, and `session` its name, a new one if None.
    Where the block store is on a network, journals begin only when the session is handed out.
    """

    def __init__(
        self,
        blocks: ContentAddressableStore,
        first: Step,
        *,
        session: str | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        keeps = isinstance(blocks, KeepsJournals) and blocks.is_shared
        self._journals_in: KeepsJournals | None = blocks if keeps else None  # type: ignore[assignment]
        self.blocks = blocks
        self.first = first
        self.session = session or new_session()
        self.is_attached = session is not None
        self.journals: Journals | None = None
        # None while this process is the only one that wrote: the tree says all then
        self._joined: Joined | None = None
        self._blocked: dict[str, None] = {}
        self._is_handed_out = False
        self._forks = _forks[0]
        self._waiting: list[_Wish] = []
        self._taken_in = 0
        # what threads changed while one of them commits, which is for the session after that
        self._late: list[Record] = []
        self._commits: object = None
        self._opening = Guard()
        self._appending = Guard(self._drop_waiting)
        self._reading = Guard()
        super().__init__(blocks, first.root, token=self.session, cache_bytes=cache_bytes)

    def _drop_waiting(self) -> None:
        self._waiting, self._late = [], []

    @property
    def can_share(self) -> bool:
        """Whether other processes can write, too."""
        return self._journals_in is not None

    @property
    def is_detached(self) -> bool:
        return self.is_away and not self.is_journaled

    def check_attached(self) -> None:
        if self.is_detached:
            raise DetachedStoreError(_FORKED if self.can_share else say_alone(self.blocks))

    @property
    def is_journaled(self) -> bool:
        """Whether what is changed goes into a journal."""
        if self.journals is not None or self._is_handed_out:
            return True
        blocks = self._journals_in
        return blocks is not None and (self.is_attached or blocks.has_quick_journals)

    def _note_change(self, segments: Sequence[str]) -> None:
        if self.is_attached:
            self._is_writer = True
        else:
            super()._note_change(segments)

    def _join_nothing(self) -> Joined:
        base = Tree(self.blocks.get_block, self.first.root)
        return Joined(lambda key: base.find(key.split("/")) is not None)

    @property
    def joined(self) -> Joined:
        """What all changes come to that are in the tree."""
        if self._joined is None:
            joined = self._join_nothing()
            if self.journals is not None:
                for origin, record in self.journals.read_again():
                    joined.add(origin, record)
            self._joined = joined
        return self._joined

    # what others do

    def is_written_elsewhere(self) -> bool:
        """Whether a forked process has a journal, though nothing was changed in this one."""
        if self._forks == _forks[0] or not self.is_journaled:
            return False
        assert self._journals_in is not None
        return bool(self._journals_in.list_journals(self.session))

    def refresh(self) -> None:
        if self.journals is None and self.is_written_elsewhere():
            self.open_journals()
        journals = self.journals
        if journals is not None:
            with self._reading():
                found, cursors = journals.read()
                if cursors:
                    with self.lock():
                        # which another thread may have left meanwhile
                        if self.journals is journals:
                            self._take_in(found)
                        journals.note_read(cursors)
            if journals.is_behind and not self.is_committing:
                self._go_on(journals)

    def peek(self, segments: Sequence[str]) -> tuple[bool, Link | Document | None]:
        return (False, None) if self.journals is not None else super().peek(segments)

    def _take_in(self, found: Iterable[Found], *, is_set: bool = False) -> None:
        """Have the tree say what records came to; `is_set` if it has the values of these."""
        joined = self.joined
        self._taken_in += 1
        for origin, record in found:
            keys = joined.add(origin, record)
            if isinstance(record, Removal):
                self.tree.remove_directory(split_path(record.path))
            for key in keys:
                entry = joined.entry(key)
                if not is_set or entry is None or entry is not record[-1]:
                    self._place(key, entry)
        self._apply(self._late)

    def _take_in_own(self, found: Sequence[Found], *, is_set: bool) -> None:
        """Have the tree say what this process appended last."""
        if self._joined is not None:
            self._take_in(found, is_set=is_set)
            return
        self._taken_in += 1
        if not is_set:
            self._apply([record for _, record in found])
            self._apply(self._late)

    def _apply(self, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, Removal):
                self.tree.remove_directory(split_path(record.path))
            else:
                self._place(*record)

    def _place(self, key: str, entry: Link | Document | None) -> None:
        segments = key.split("/")
        self._blocked.pop(key, None)
        if entry is None:
            self.tree.remove(segments)
            return
        self._written.note(segments, entry)
        try:
            self.tree.insert(segments, entry)
        except InvalidKeyError:
            self._blocked[key] = None

    def check_joined(self) -> None:
        """Raise `CommitConflictError` if processes changed the same in different ways."""
        for key in list(self._blocked):
            self._place(key, self.joined.entry(key))
        alone = self._joined is None and not self._blocked
        keys = [] if alone else sorted({*self.joined.conflicts, *self._blocked})
        if keys:
            conflicts = [
                self._conflict(key, _BLOCKED if key in self._blocked else _AT_ONCE) for key in keys
            ]
            raise CommitConflictError(
                "what several processes of this session wrote cannot be joined; write these "
                f"again, in one of them, and commit:\n{describe(conflicts)}",
                conflicts=conflicts,
                keys=keys,
            )

    def _conflict(self, key: str, why: str) -> Conflict:
        path, _, name = key.rpartition("/")
        if name not in METADATA_NAMES:
            segments = key.split("/")
            for depth in range(len(segments)):
                keys = self._chunk_keys(segments[:depth])
                chunk = None if keys is None else keys.coordinate(segments[depth:])
                if chunk is not None:
                    return Conflict("chunk", "/".join(segments[:depth]), key, chunk, why)
        return Conflict("document", path, key, why=why)

    def _chunk_keys(self, segments: Sequence[str]) -> ChunkKeys | None:
        """Return how the array at a path names its chunks; None if there is none."""
        for name in ("zarr.json", ".zarray"):
            entry = self.find([*segments, name])
            if isinstance(entry, Document):
                return read_chunk_keys(name, dagcbor.decode(entry.encoded))
        return None

    # what this process does

    def open_journals(self) -> Journals:
        """Return the journals, which are made if there are none yet."""
        if self.journals is not None:
            return self.journals
        with self._opening():
            if self.journals is None:
                with self.lock():
                    # from here on nothing is changed without a journal
                    self._is_handed_out = True
                self.journals = self._make_journals()
                self.unfrozen.fate = _KEPT.format(self.session)
            return self.journals

    def _make_journals(self) -> Journals:
        assert self._journals_in is not None
        journals = Journals(self._journals_in, self.session)
        if self.is_attached:
            journals.enter()
        else:
            self._begin_from_here()
            journals.begin(self.first)
        return journals

    def keep_changes(self) -> None:
        """Have what was changed in the block store, for whoever goes on with the session."""
        if self.unfrozen and self.can_share:
            self.open_journals()

    def _begin_from_here(self) -> None:
        """Have others begin from what was changed before there were journals."""
        is_blank = self.first.root is None and self.tree.root is None and self.tree.is_empty
        if not is_blank:
            self.first = replace(self.first, root=self._freeze())

    def insert(self, segments: Sequence[str], entry: Link | Document) -> None:
        if self.is_journaled:
            self.open_journals()
            if segments[-1] in METADATA_NAMES:
                self.refresh()
        if self.waits:
            self.fetch(segments)
        key, is_journaled = "/".join(segments), False
        try:
            with self.lock():
                # what cannot be there is refused before it is in a journal
                is_journaled, taken_in = self.is_journaled, self._taken_in
                self._written.note(segments, entry)
                self.tree.insert(segments, entry)
            if is_journaled:
                self._record(Change(key, entry), taken_in=taken_in)
        except InvalidKeyError:
            raise
        except BaseException:
            if is_journaled:
                self._put_back(key)
            raise

    def insert_all(self, entries: Mapping[str, Link | Document]) -> None:
        """Set the entries of values, whose blocks were put, at once and in a journal."""
        new = {key: entry for key, entry in entries.items() if self.find(key.split("/")) != entry}
        if new:
            self._record(*(Change(key, entry) for key, entry in new.items()))

    def _put_back(self, key: str) -> None:
        """Have the tree say again what the journals do of a key."""
        try:
            self._place_again(key)
        except BaseException:
            if self.journals is not None:
                self.journals.note_stale()
            raise

    def _place_again(self, key: str) -> None:
        with self.lock():
            if key in self.joined:
                entry = self.joined.entry(key)
            else:
                entry = Tree(self.blocks.get_block, self.first.root).find(key.split("/"))
            self._place(key, entry)

    def insert_if_absent(self, segments: Sequence[str], entry: Link | Document) -> Link | Document:
        if not self.is_journaled:
            return super().insert_if_absent(segments, entry)
        present = self.find(segments)
        if present is not None:
            return present
        self.insert(segments, entry)
        return entry

    def remove(self, segments: Sequence[str], entry: Link | Document | None = None) -> bool:
        present = self.find(segments)
        if present is None or (entry is not None and present != entry):
            return False
        with self.lock():
            if not self.is_journaled:
                return self.tree.remove(segments)
        self._record(Change("/".join(segments), None))
        return True

    def remove_directory(self, segments: Sequence[str]) -> None:
        self.refresh()
        with self.lock():
            is_journaled = self.is_journaled
            is_there = self.tree.find_directory(segments) is not None
        if not is_journaled:
            super().remove_directory(segments)
        elif is_there:
            self._record(Removal("/".join(segments)))

    def prepare_copy(self) -> None:
        self.refresh()
        if self.is_journaled:
            self.open_journals()

    def adopt(self, tree: Tree, changes: Mapping[str, Link | Document | None]) -> None:
        if self.is_journaled and changes:
            records = [Change(key, entry) for key, entry in changes.items()]
            journals = self.open_journals()
            found, cursors = journals.append_aside(records)
            super().adopt(tree, changes)
            self._take_in_own(found, is_set=True)
            journals.note_read(cursors)
        else:
            super().adopt(tree, changes)

    def _record(self, *records: Record, taken_in: int = -1) -> None:
        """Have records in the journal, with those that other threads wait for, and in the tree."""
        if self._is_late(records):
            return
        wish = _Wish(records, taken_in)
        try:
            while not wish.is_granted:
                if wish not in self._waiting:  # also where a fork dropped it
                    self._waiting.append(wish)
                self._grant(wish)
        finally:
            with suppress(ValueError):
                self._waiting.remove(wish)

    def _grant(self, wish: _Wish) -> None:
        """Append what threads wait for, or wait for another thread that does."""
        turn = self._appending()
        if self._appending.is_taken:
            wish.bell.wait(_LOOK_AGAIN_SECONDS)
            return
        try:
            with turn:
                wishes = [each for each in self._waiting if not each.is_granted]
                if wishes:
                    self._append(wishes)
        finally:
            self._ring()

    def _ring(self) -> None:
        """Wake the threads that wait for another one to append."""
        for wish in list(self._waiting):
            wish.bell.ring()

    def _append(self, wishes: Sequence[_Wish]) -> None:
        """Append what was late before, and what is wished for now."""
        journals = self.open_journals()
        if journals.is_unsure:
            self.refresh()  # so that what comes now comes after it
        late = list(self._late)
        records = [*late, *(record for wish in wishes for record in wish.records)]
        try:
            found = self._append_to(journals, records)
        except SessionEndedError:
            if not self._is_late(records[len(late) :]):
                if self._go_on(journals):
                    return
                journals.take_back()
                raise
        else:
            with self.lock():
                is_set = len(records) == 1 and bool(wishes)
                is_set = is_set and wishes[0].taken_in == self._taken_in
                del self._late[: len(late)]
                self._take_in_own(found, is_set=is_set)
                journals.note_appended()
        for wish in wishes:
            wish.is_granted = True

    def _is_late(self, records: Sequence[Record]) -> bool:
        """Keep records for later if a thread of this process commits; return whether it does."""
        with self.lock():
            if not self.is_committing:
                return False
            self._late += records
            self._apply(records)
            return True

    def record_late(self) -> None:
        """Have in the journal what was changed while a thread committed."""
        if self._late:
            try:
                with self._appending():
                    self._append([])
            finally:
                self._ring()

    def _append_to(self, journals: Journals, records: Sequence[Record]) -> list[Found]:
        try:
            found = journals.append(records)
        except BackendError:
            journals.check_open()  # which says more
            raise
        journals.check_open()
        return found

    @property
    def is_committing(self) -> bool:
        """Whether a thread of this process commits."""
        return self._commits is Process.current

    @contextmanager
    def closed(self, journals: Journals) -> Iterator[None]:
        """Have all that processes wrote, and refuse more; what this one writes is for later.

        Whatever goes wrong, the session is open again, unless what was written cannot be read. Who
        resumes it, or commits again, opens it then.
        """
        self._commits = Process.current
        try:
            with self._noting_end():
                journals.close()
            try:
                self.refresh()
                yield
            except BaseException:
                with suppress(SessionEndedError):  # as what is stopped at its end is done
                    self._open_again(journals)
                raise
        finally:
            self._commits = None
        self.record_late()

    def _open_again(self, journals: Journals) -> None:
        self.refresh()  # as what is not read is not carried on
        if not journals.reopen():
            self.begin_again()

    @contextmanager
    def _noting_end(self) -> Iterator[None]:
        """Say nothing of changes later on if it turns out now that the session is over."""
        try:
            yield
        except SessionEndedError:
            self.unfrozen.fate = None
            raise

    def end(self, journals: Journals, first: Step) -> None:
        """Begin a new session from another step, where nobody goes on with this one."""
        if journals.end():
            self.leave(first)
        elif journals.enter().kind == OPEN:
            self.begin_again()

    def _change_all(self, change: Callable[[], object]) -> None:
        """Change the hierarchy in a way that is no record; who else writes in it is refused."""
        self.refresh()
        if self.journals is None:
            change()
            return
        with self.closed(self.journals):
            change()
            self.end(self.journals, replace(self.first, root=self._freeze(), **fresh()))

    def open_root(self, root: Link, *, discard: bool = False) -> None:
        def change() -> None:
            super(SharedWriter, self).open_root(root, discard=discard)

        self._change_all(change)

    def normalize(self, *, max_files: int | None, max_bytes: int | None) -> None:
        def change() -> None:
            super(SharedWriter, self).normalize(max_files=max_files, max_bytes=max_bytes)

        self._change_all(change)

    def _go_on(self, journals: Journals) -> bool:
        """Go on in the step that the session is at; False if that is not open.

        Where another thread committed meanwhile, this goes on with the session after that.
        """
        try:
            kind = journals.enter().kind
        except SessionEndedError:
            if self.journals is not journals:
                return True
            self.unfrozen.fate = None
            raise
        if self.journals is not journals:
            return True
        if kind == ENDED:
            self.unfrozen.fate = None
        if kind != OPEN:
            return False
        self.begin_again()
        return True

    def begin_again(self) -> None:
        """Read all journals anew, of which the open step says how much counts."""
        assert self.journals is not None
        tree = self._make_tree(self.first.root)
        tree.note_change = self._note_change
        # not while another thread reads on from where this forgets that it was
        with self._reading(), self.lock():
            self.journals.forget_read()
            self._joined = self._join_nothing()
            self._blocked = {}
            self.tree = tree
            self._taken_in += 1
            self.journals.note_begun()
            self._apply(self._late)
        self.refresh()

    def drop(self) -> None:
        """Remove what was written, by whatever process."""
        journals = self.journals
        self.unfrozen.clear()
        if journals is not None:
            journals.let_go()
            self.journals = None

    def leave(self, first: Step) -> None:
        """Begin a new session, from another step, where this one is of no more use."""
        self.first = first
        self.session = self.token = new_session()
        self.is_attached = self._is_handed_out = False
        self.unfrozen.fate = f"are lost: {self.how_to_keep}"
        self.journals = None
        self._forks = _forks[0]
        self._joined = None
        self._blocked = {}


def say_alone(blocks: ContentAddressableStore) -> str:
    """Say why a copy of a session cannot be written to where sessions are of one process."""
    return _ALONE.format(blocks)
