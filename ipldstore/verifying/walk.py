"""Walk all blocks under a root, each held against what stands in its place, several at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from enum import Enum
from typing import NamedTuple, TypeAlias

from ipldstore.cid import (
    CODECS,
    DAG_CBOR,
    RAW,
    Link,
    codec_of,
    identity_data,
    to_text,
    with_codec,
)
from ipldstore.errors import IPLDStoreError
from ipldstore.history.commit import decode_commit
from ipldstore.history.state import decode_state
from ipldstore.limits import MAX_FILE_DEPTH, MAX_LIST_DEPTH
from ipldstore.transfer import Progress
from ipldstore.tree.decode import decode_directory, decode_document, decode_pages
from ipldstore.tree.documents import Document
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.nodes import Directory, Page, PageList
from ipldstore.unixfs.file import decode_file
from ipldstore.verifying.blocks import MendedBlocks, fault_of
from ipldstore.verifying.faults import Fault, Parent
from ipldstore.verifying.journal import Journal

_LOCAL_BATCH, _SMALL_BATCH = 16, 256
_SMALL_BYTES = 16 << 10
"""Below this size of values on average, threads would mostly wait for each other."""

_LOCAL_WORKERS = min(4, os.cpu_count() or 1)
_DISTANT_WORKERS = 16
_MAX_KEPT_BYTES = 64 * 2**20
_MAX_MESSAGE_LENGTH = 100
_MAX_WAITING = 1 << 16
"""How many further links may wait for blocks that are under way, before these are read."""


class _Role(Enum):
    """What a block has to be."""

    STATE = "state"
    COMMIT = "commit"
    VALUE = "value"
    FILE = "file"
    DOCUMENT = "document"
    DIRECTORY = "directory"
    PAGES = "pages"


class _Want(NamedTuple):
    """A link, and what it says of the block that it leads to.

    `owner` is the block that the link stands in, `label` where in that: what the keys that need the
    block begin with, or are; None for commits and states. `size` is the bytes of
    content that are announced. `level` is how many
    nodes of the same file, or lists of the same directory, are above the block. `first` and `end`
    are of a page: its first segment, and the natural key before which it ends. `kinds` says whether
    the blocks that its list leads to are lists, as far as is known.
    """

    owner: Parent
    label: str | None
    cid: Link
    role: _Role
    size: int | None = None
    level: int = 0
    first: str = ""
    end: str | None = None
    kinds: list[bool] | None = None

    @property
    def key(self) -> Hashable:
        """What a block is looked at once for."""
        if self.role is _Role.VALUE:
            return self.cid
        return self.role, self.cid, self.level, self.first, self.end


_State: TypeAlias = "int | Parent | Fault"
"""What is known of a block: the size of a raw one, a parent, or what is wrong."""


class Walk:
    """One walk through a hierarchy.

    Of every raw block its CID and size are held in memory, of every other one the links to those
    that lead to others. Directories are read in the order of a walk depth first, so that few are
    held at once.

    The journal says what was found sound earlier, and more is noted there. `progress` is called
    with the number of blocks that were read so far and their bytes. `is_whole` says whether every
    block that leads to others could be read; `kept` are directories, pages and documents that were
    read, of 64 MiB at most. The other figures are as in `VerifyReport`.
    """

    def __init__(
        self, blocks: MendedBlocks, journal: Journal | None, progress: Progress | None
    ) -> None:
        self.blocks_read = self.bytes_read = self.skipped = 0
        self._values_read = self._value_bytes = 0
        self.is_whole = True
        self.kept: dict[Link, bytes] = {}
        self._room = _MAX_KEPT_BYTES
        self._blocks = blocks
        self._journal = journal
        self._progress = progress
        self._is_local = blocks.store.is_local
        distant = max(_DISTANT_WORKERS, blocks.store.connections)
        self._workers = _LOCAL_WORKERS if self._is_local else distant
        self._raw: dict[Link, int | Fault] = {}
        self._others: dict[Hashable, Parent | Fault] = {}
        self._counted: set[Link] = set()
        self._shallow: frozenset[Link] = frozenset()
        self._awaited: dict[Hashable, list[_Want]] = {}
        self._waiting = 0
        self._nodes: list[_Want] = []
        self._values: deque[_Want] = deque()

    def run(self, root: Link) -> Parent:
        """Look at all blocks under a root, and return the parent of it."""
        return self._run(_Want(Parent(root), "", root, _Role.DIRECTORY, level=-1))

    def run_history(self, state: Link) -> Parent:
        """Look at all blocks of all versions that a state leads to."""
        return self._run(_Want(Parent(state), None, state, _Role.STATE))

    def _run(self, top: _Want) -> Parent:
        self._meet(top)
        under_way: set[Future[list[tuple[_Want, bytes | int | Fault]]]] = set()
        with ThreadPoolExecutor(self._workers, "ipldstore-verify") as pool:
            try:
                while self._nodes or self._values or under_way:
                    while self._may_begin(len(under_way)) and (batch := self._take()):
                        under_way.add(pool.submit(self._fetch, batch))
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._arrive(future.result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return top.owner

    def is_under(self, cid: Link) -> bool:
        """Whether a block, under any codec, is one of those that were met."""
        return any(
            with_codec(cid, codec) in (self._raw if codec == RAW else self._counted)
            for codec in CODECS.values()
        )

    @property
    def _is_small(self) -> bool:
        """Whether values on this machine are so small that one thread reads them best."""
        return self._is_local and self._value_bytes < _SMALL_BYTES * self._values_read

    @property
    def _batch(self) -> int:
        if not self._is_local:
            return 1
        return _SMALL_BATCH if self._is_small else _LOCAL_BATCH

    def _may_begin(self, under_way: int) -> bool:
        return under_way < (1 if self._is_small else 2 * self._workers)

    def _take(self) -> Sequence[_Want]:
        """Take what to read next: a node where values will run out, else some values."""
        has_values = len(self._values) >= 2 * self._workers * self._batch
        if self._nodes and not has_values and (self._waiting < _MAX_WAITING or not self._values):
            return [self._nodes.pop()]
        return [self._values.popleft() for _ in range(min(self._batch, len(self._values)))]

    def _fetch(self, wants: Sequence[_Want]) -> list[tuple[_Want, bytes | int | Fault]]:
        """Read blocks, in a thread; of values the sizes are all that is needed."""
        answers: list[tuple[_Want, bytes | int | Fault]] = []
        for want in wants:
            data = self._blocks.fetch(want.cid)
            is_value = want.role is _Role.VALUE and not isinstance(data, Fault)
            answers.append((want, len(data) if is_value else data))  # type: ignore[arg-type]
        return answers

    def _meet(self, want: _Want) -> None:
        """Have a block looked at, unless it was."""
        key = want.key
        state = self._known(want, key)
        if state is not None:
            self._settle(want, state)
        elif key in self._awaited:
            self._awaited[key].append(want)
            self._waiting += 1
        else:
            self._awaited[key] = [want]
            (self._values if want.role is _Role.VALUE else self._nodes).append(want)

    def _known(self, want: _Want, key: Hashable) -> _State | None:
        data = identity_data(want.cid)
        if data is not None:
            return len(data) if want.role is _Role.VALUE else self._judge(want, data)
        if want.role is not _Role.VALUE:
            return self._others.get(key)
        state = self._raw.get(want.cid)
        if state is None and self._journal is not None:
            state = self._journal.sound.pop(want.cid, None)
            if state is not None:
                self._raw[want.cid] = state
                self.skipped += 1
        return state

    def _arrive(self, answers: Sequence[tuple[_Want, bytes | int | Fault]]) -> None:
        for want, answer in answers:
            key = want.key
            wants = self._awaited.pop(key)
            self._waiting -= len(wants) - 1
            state: _State
            if isinstance(answer, bytes):
                self._count_node(want.cid, len(answer))
                if want.role is not _Role.FILE:
                    self._keep(want.cid, answer)
                state = self._others[key] = self._judge(want, answer)
            elif want.role is _Role.VALUE:
                state = self._raw[want.cid] = answer
                self._count_value(want.cid, answer)
            else:
                assert isinstance(answer, Fault)
                state = self._others[key] = answer
                self.is_whole = False
            for each in wants:
                self._settle(each, state)
        if self._journal is not None:
            self._journal.write()
        if self._progress is not None:
            self._progress(self.blocks_read, self.bytes_read)

    def _count_node(self, cid: Link, size: int) -> None:
        if cid not in self._counted:
            self._counted.add(cid)
            self.blocks_read += 1
            self.bytes_read += size

    def _keep(self, cid: Link, data: bytes) -> None:
        if len(data) <= self._room and cid not in self.kept:
            self.kept[cid] = data
            self._room -= len(data)

    def _count_value(self, cid: Link, size: int | Fault) -> None:
        if not isinstance(size, Fault):
            self._values_read += 1
            self._value_bytes += size
            self.blocks_read += 1
            self.bytes_read += size
            if self._journal is not None:
                self._journal.note(cid, size)

    def _settle(self, want: _Want, state: _State) -> None:
        """Hold what is known of a block against a link to it."""
        owner, label = want.owner, want.label
        if isinstance(state, Fault):
            owner.faults.append((label, state))
            return
        if isinstance(state, Parent):
            if want.role is not _Role.DOCUMENT:
                owner.inner.append((label, state))
            if want.kinds is not None and state.is_list not in want.kinds:
                want.kinds.append(state.is_list)
                if len(want.kinds) > 1:
                    self._blame(owner, label, "a list of pages leads to both maps and lists")
        size = state.size if isinstance(state, Parent) else state
        if want.size is not None and size != want.size:
            found = f"block {to_text(want.cid)} below it has {size} bytes of content"
            self._blame(owner, label, f"{found}, {want.size} announced")

    def _blame(
        self, owner: Parent, label: str | None, message: str, kind: str = "malformed"
    ) -> None:
        text = f"block {to_text(owner.cid)}: {message}"
        owner.faults.append((label, Fault(kind, owner.cid, text)))

    def _judge(self, want: _Want, data: bytes) -> Parent | Fault:
        """Read a block as what it has to be, and meet all that it leads to."""
        try:
            if want.role is _Role.FILE:
                return self._judge_file(want, data)
            if want.role is _Role.PAGES:
                return self._judge_pages(want, data)
            parent = Parent(want.cid)
            if want.role is _Role.STATE:
                self._enter_state(parent, data)
            elif want.role is _Role.COMMIT:
                self._enter_commit(parent, data)
            elif want.role is _Role.DIRECTORY:
                directory = decode_directory(want.cid, data, root=want.level < 0)
                self._enter(parent, "", directory)
            else:
                decode_document(want.cid, data)
        except IPLDStoreError as error:
            self.is_whole = False
            return fault_of(want.cid, error)
        return parent

    def _enter_state(self, parent: Parent, data: bytes) -> None:
        state = decode_state(parent.cid, data)
        self._shallow = state.shallow
        for link in {*state.branches.values(), *state.tags.values()}:
            self._meet(_Want(parent, None, link, _Role.COMMIT))

    def _enter_commit(self, parent: Parent, data: bytes) -> None:
        commit = decode_commit(parent.cid, data)
        first = commit.message.partition("\n")[0][:_MAX_MESSAGE_LENGTH]
        parent.version = f"{to_text(parent.cid)} {first}".rstrip()
        for link in () if parent.cid in self._shallow else commit.parents:
            self._meet(_Want(parent, None, link, _Role.COMMIT))
        self._meet(_Want(parent, "", commit.root, _Role.DIRECTORY, level=-1))

    def _judge_file(self, want: _Want, data: bytes) -> Parent:
        node = decode_file(want.cid, data)
        parent = Parent(want.cid, size=node.size)
        level = want.level + 1
        if node.links and level > MAX_FILE_DEPTH:
            self.is_whole = False
            self._blame(parent, "", f"file nested more than {MAX_FILE_DEPTH} levels deep", "limit")
            return parent
        for link, size in zip(node.links, node.sizes, strict=True):
            role = _Role.VALUE if codec_of(link) == RAW else _Role.FILE
            self._meet(_Want(parent, "", link, role, size, level))
        return parent

    def _judge_pages(self, want: _Want, data: bytes) -> Parent:
        found = decode_pages(want.cid, data, want.first, want.end)
        parent = Parent(want.cid, is_list=isinstance(found, PageList))
        if isinstance(found, PageList):
            self._enter_pages(parent, "", found, want.end, want.level + 1)
        else:
            self._enter_entries(parent, "", found)
        return parent

    def _enter(self, parent: Parent, label: str, directory: Directory) -> None:
        parent.levels = max(parent.levels, label.count("/"))
        if directory.pages is None:
            self._enter_entries(parent, label, directory)
        else:
            self._enter_pages(parent, label, directory.pages, None, 1)

    def _enter_entries(self, parent: Parent, label: str, node: Directory | Page) -> None:
        for segment, entry in node.items():
            if isinstance(entry, Directory):
                self._enter(parent, f"{label}{segment}/", entry)
            elif not isinstance(entry, Document):
                self._enter_link(parent, label + segment, entry, segment in METADATA_NAMES)

    def _enter_link(self, parent: Parent, label: str, link: Link, is_metadata: bool) -> None:
        codec = codec_of(link)
        if codec == RAW:
            role = _Role.VALUE
        elif codec != DAG_CBOR:
            role = _Role.FILE
        elif is_metadata:
            role = _Role.DOCUMENT
        else:
            role, label = _Role.DIRECTORY, f"{label}/"
        self._meet(_Want(parent, label, link, role))

    def _enter_pages(
        self, parent: Parent, label: str, pages: PageList, end: str | None, level: int
    ) -> None:
        if level > MAX_LIST_DEPTH:
            self.is_whole = False
            what = f"lists of pages nested more than {MAX_LIST_DEPTH} levels deep"
            self._blame(parent, label, what, "limit")
            return
        kinds: list[bool] = []
        ends = [*pages.keys[1:], end]
        for link, first, before in zip(pages.children, pages.firsts, ends, strict=True):
            assert isinstance(link, Link)
            role = _Role.PAGES
            self._meet(_Want(parent, label, link, role, None, level, first, before, kinds))
