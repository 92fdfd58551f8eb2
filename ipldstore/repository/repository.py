"""A repository: a hierarchy whose versions are kept, with branches and tags for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from ipldstore.blockstore.contract import ContentAddressableStore, require_block_store
from ipldstore.cid import CIDLike, Link, as_link, to_text
from ipldstore.errors import RefError
from ipldstore.formats.cidobject import CID
from ipldstore.history.names import check_ref_name
from ipldstore.history.revisions import no_branch, no_ref, parse_revision, resolve_revision
from ipldstore.history.state import Operation, State
from ipldstore.names.finding import Blocks
from ipldstore.registry import find_blocks, open_block_store
from ipldstore.repository.committing import About, Begun, Committing, Merging
from ipldstore.repository.log import Log, Version
from ipldstore.repository.operations import Undoing, iter_operations
from ipldstore.repository.versions import Fixed, Versions, now

if TYPE_CHECKING:
    from ipldstore.backends.ipfs.store import IPFSStore
    from ipldstore.comparing import Comparison
    from ipldstore.faces import IPLDStore
    from ipldstore.inventory import HistoryInfo
    from ipldstore.model.merging import Resolve
    from ipldstore.repository.carrying import Carried, Wanted
    from ipldstore.repository.expiring import Expired
    from ipldstore.repository.operations import Done
    from ipldstore.repository.publishing import PublishedHistory
    from ipldstore.repository.session import Session
    from ipldstore.repository.unfinished import Unfinished
    from ipldstore.transfer import Progress
    from ipldstore.verifying import VerifyReport


class Repository:
    """A hierarchy with its history: commits, branches that move on, and tags that stay.

    It is kept in a block store that keeps pointers: a folder, an SQLite database, a CAR file, a
    bucket or memory. Several may live in one by their names. Nothing is kept here of where a branch
    is: each call sees what others committed.

    Parameters
    ----------
    blocks
        The block store, or what `open_block_store` takes.
    name
        The repository's name in it.
    state
        The state to look at, by its CID, in place of what the repository of that name is at now:
        one that was published, say. It can be read, cloned and pulled from.
    author
        Who commits, where a commit does not say so itself.
    options
        Of the block store, as in `open_block_store`.

    Raises
    ------
    RepositoryNotFoundError
        If there is none of this name; `Repository.create` makes one.
    InvalidNodeError
        If the CID is that of no state.
    BackendError
        If the block store cannot be used.

    Examples
    --------
    >>> import ipldstore
    >>> repo = ipldstore.Repository.create(ipldstore.MappingCAStore())
    >>> with repo.writable("main", message="first") as store:
    ...     store["a/0"] = b"chunk"
    >>> with repo.writable("main", message="second") as store:
    ...     store["a/0"] = b"other"
    >>> [version.message for version in repo.log()]
    ['second', 'first']
    >>> repo.readonly("main~1")["a/0"]
    b'chunk'
    """

    _versions: Versions

    def __init__(
        self,
        blocks: Blocks,
        name: str = "default",
        *,
        state: CIDLike | None = None,
        author: str | None = None,
        **options: Any,
    ) -> None:
        opened = find_blocks(blocks, **options)
        self._hold(opened, name, author, is_own=opened is not blocks)
        if state is not None:
            self._versions = Fixed(opened, opened.resolve(state))
        try:
            self._versions.read()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls,
        blocks: Blocks,
        name: str = "default",
        *,
        default: str = "main",
        author: str | None = None,
        exist_ok: bool = False,
        **options: Any,
    ) -> Self:
        """Make a repository without commits.

        Parameters
        ----------
        blocks
            The block store, or what `open_block_store` takes; a folder or file is made.
        name
            The name of the repository in it: a letter or digit, then up to 63 of ``a`` to ``z``,
            ``0`` to ``9``, ``-`` and ``_``.
        default
            The branch that is meant where none is named. Its first commit makes it.
        exist_ok
            Whether to open one that is there already, as it is.
        author, options
            As of `Repository`.

        Raises
        ------
        RepositoryExistsError
            If there is one of this name, and that is not said to be fine.
        InvalidNameError
            If one of the names cannot be one.
        BackendError
            If the block store cannot be used, or keeps no pointers.
        """
        check_ref_name(default)
        opened = _open_or_make(blocks, options)
        repository = cls.__new__(cls)
        repository._hold(opened, name, author, is_own=opened is not blocks)
        try:
            repository._versions.begin(default, exist_ok=exist_ok)
        except BaseException:
            repository.close()
            raise
        return repository

    def _hold(
        self, blocks: ContentAddressableStore, name: str, author: str | None, *, is_own: bool
    ) -> None:
        require_block_store(blocks)
        self._versions = Versions(blocks, name)
        self._author = author
        self._is_own = is_own

    @property
    def blocks(self) -> ContentAddressableStore:
        """The block store."""
        return self._versions.blocks

    @property
    def name(self) -> str:
        """The repository's name in the block store."""
        return self._versions.name

    @property
    def cid(self) -> CID:
        """The CID of the state as it is now: it names all branches, tags and commits."""
        return CID(self._versions.read()[0])

    @property
    def default(self) -> str:
        """The branch that is meant where none is named."""
        return self._versions.read()[1].default

    @property
    def branches(self) -> dict[str, CID]:
        """The branches, and the commit that each is at."""
        return _as_cids(self._versions.read()[1].branches)

    @property
    def tags(self) -> dict[str, CID]:
        """The tags, and the commit that each is for."""
        return _as_cids(self._versions.read()[1].tags)

    def find(self, revision: CIDLike | None = None) -> CID:
        """Return the commit that a revision names.

        Parameters
        ----------
        revision
            A branch, a tag, the CID of a commit or the first 11 characters or more of one; each may
            be followed by how far back: ``main~2``, ``main^2`` for a second parent,
            ``main@2026-01-05`` for the last commit until the end of that day. None is the default
            branch.

        Raises
        ------
        RevisionError
            If it names no commit, or several.
        """
        return CID(self._find(self._versions.read()[1], revision))

    def _find(self, state: State, revision: CIDLike | None) -> Link:
        if revision is None:
            revision = state.default
        text = revision if isinstance(revision, str) else to_text(as_link(revision))
        return resolve_revision(parse_revision(text), state, self._versions.graph(state))

    def _find_sound(self, state: State, revision: CIDLike | None) -> Link:
        """Find a commit that a branch or tag may be at: one that spoils no walk over them."""
        link = self._find(state, revision)
        self._versions.graph(state).check(link)
        return link

    def readonly(self, revision: CIDLike | None = None) -> IPLDStore:
        """Open a version, to read.

        Parameters and errors are those of `find`. The store stays at this version, also where the
        branch moves on.
        """
        from ipldstore.faces import IPLDStore

        state = self._versions.read()[1]
        root = self._versions.root_of(state, self._find(state, revision))
        return IPLDStore(self.blocks, root=root, read_only=True)

    def writable(
        self,
        branch: str | None = None,
        *,
        message: str = "",
        author: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        time: datetime | None = None,
        resolve: Resolve | None = None,
    ) -> Session:
        """Begin a session: the branch as a store that can be written to, and committed.

        ``with repo.writable("main", message="...") as store:`` commits at the end, unless there is
        an exception, and leaves out a commit without changes. `Session.commit` commits at any time.
        A session belongs to the process that began it.

        Parameters
        ----------
        branch
            The branch, the default one if None. If that one has no commit yet, the first one makes
            it; others are made by `branch`.
        message, author, metadata, time, resolve
            What holds for commits that do not say it themselves, as in `Session.commit`.

        Raises
        ------
        RevisionError
            If there is no such branch.
        """
        from ipldstore.repository.session import begin

        about = self._about(message, author, metadata, time)
        branch, begun = self._begin(branch)
        return begin(self._versions, branch, begun, about, resolve)

    def sessions(self) -> list[Unfinished]:
        """Return the sessions in which something was written that is not committed yet.

        Those of processes that are at work are among them, and those of processes that died. A
        block store that keeps no journals has none.

        Raises
        ------
        BackendError, InvalidNodeError
            If they cannot be listed or read.
        """
        from ipldstore.repository.unfinished import list_sessions

        return list_sessions(self._versions)

    def resume(
        self,
        session: str,
        *,
        message: str | None = None,
        author: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        time: datetime | None = None,
        resolve: Resolve | None = None,
    ) -> Session:
        """Go on with a session of any process, at work or dead, with all that was written.

        Several may do so at once. What is committed is committed once, whoever does it.

        Parameters
        ----------
        session
            Its name: `Session.id`, or one of `sessions`.
        message, author, metadata, time, resolve
            As in `writable`; the message is the one that the session was begun with if None.

        Raises
        ------
        RefError, SessionEndedError
            If there is no such session, or it is committed or abandoned.
        """
        from ipldstore.repository.unfinished import resume

        about = self._about(message or "", author, metadata, time)
        return resume(self._versions, session, about, resolve, keeps_message=message is None)

    def abandon(self, session: str) -> Unfinished | None:
        """Let a session go with what was written in it; processes that write in it are refused.

        Parameters and errors are those of `resume`. Returns what it was; None if it is damaged.
        """
        from ipldstore.repository.unfinished import abandon

        return abandon(self._versions, session)

    def commit(
        self,
        root: CIDLike,
        branch: str | None = None,
        *,
        message: str,
        author: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        time: datetime | None = None,
    ) -> CID:
        """Commit a hierarchy that is in the block store already, in place of what the branch has.

        Parameters
        ----------
        root
            Its root. Its top is looked into; `verify` looks at all of it.
        branch
            The branch, the default one if None; made if it is that one and not there.
        message, author, metadata, time
            As in `Session.commit`.

        Raises
        ------
        NoChangesError
            If the branch has this root.
        RevisionError
            If there is no such branch.
        InvalidNodeError, BlockNotFoundError, CorruptBlockError, InvalidCIDError
            If it is no root of a hierarchy.
        """
        about = self._about(message, author, metadata, time)
        link = self._check_root(root)
        branch, begun = self._begin(branch)
        return CID(Committing(self._versions, branch, begun).commit(link, about, None).commit)

    def _check_root(self, root: CIDLike) -> Link:
        """Return the root if its block is that of a hierarchy."""
        from ipldstore.store.reader import Reader

        link = self.blocks.resolve(root)
        _ = Reader(self.blocks, link).tree.top
        return link

    def _about(
        self,
        message: str,
        author: str | None,
        metadata: Mapping[str, Any] | None,
        time: datetime | None = None,
    ) -> About:
        return About(message, self._author if author is None else author, metadata, time)

    def _begin(self, branch: str | None) -> tuple[str, Begun]:
        """Return a branch, the default one if None, and where it is, also before there is one."""
        self._versions.check_movable()
        state = self._versions.read()[1]
        branch = state.default if branch is None else branch
        tip = state.branches.get(branch)
        if tip is None and branch != state.default:
            raise no_branch(branch, state)
        return branch, Begun(tip, self._versions.root_of(state, tip))

    def branch(self, name: str, revision: CIDLike | None = None) -> CID:
        """Make a branch at a revision, the default branch if None, and return its commit.

        Raises
        ------
        RefError
            If there is a branch or tag of this name.
        InvalidNameError
            If it cannot be a name.
        RevisionError
            If there is no such revision.
        """
        return self._make("branch", name, revision)

    def tag(self, name: str, revision: CIDLike | None = None) -> CID:
        """Make a tag, which never moves; otherwise as `branch`."""
        return self._make("tag", name, revision)

    def _make(self, kind: str, name: str, revision: CIDLike | None) -> CID:
        check_ref_name(name)
        found: list[Link] = []

        def change(state: State) -> State:
            for what, refs in (("branch", state.branches), ("tag", state.tags)):
                if name in refs:
                    raise RefError(f"{name!r} is a {what} already, at {to_text(refs[name])}")
            if kind == "tag" and name == state.default:
                raise RefError(f"{name!r} is the default branch, which a tag cannot be named as")
            link = self._find_sound(state, revision)
            found[:] = [link]
            return _with_ref(state, Operation(kind=kind, ref=name, after=link, time=now()))

        self._versions.move(change)
        return CID(found[0])

    def delete(self, name: str) -> CID:
        """Let a branch or tag go, and return the commit that it was at; `undo` brings it back.

        Raises
        ------
        RefError
            If it is the default branch.
        RevisionError
            If there is none of this name.
        """
        found: list[Link] = []

        def change(state: State) -> State:
            if name == state.default:
                raise RefError(f"{name!r} is the default branch, which cannot be deleted")
            link = state.branches.get(name) or state.tags.get(name)
            if link is None:
                raise no_ref(name, state)
            found[:] = [link]
            operation = Operation(kind="delete", ref=name, before=link, time=now())
            return _without_ref(state, operation)

        self._versions.move(change)
        return CID(found[0])

    def reset(self, branch: str, revision: CIDLike) -> CID:
        """Move a branch to a revision, and return that commit; `undo` moves it back.

        Raises
        ------
        RevisionError
            If there is no such branch or revision.
        """
        found: list[Link] = []

        def change(state: State) -> State:
            tip = state.branches.get(branch)
            if tip is None:
                raise no_branch(branch, state)
            link = self._find_sound(state, revision)
            found[:] = [link]
            if link == tip:
                return state
            return _with_ref(
                state, Operation(kind="reset", ref=branch, before=tip, after=link, time=now())
            )

        self._versions.move(change)
        return CID(found[0])

    def merge(
        self,
        revision: CIDLike,
        into: str | None = None,
        *,
        message: str | None = None,
        author: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        time: datetime | None = None,
        resolve: Resolve | None = None,
    ) -> CID:
        """Merge a revision into a branch, and return where the branch is then.

        A branch that has the commit already stays, and one that has nothing of its own moves on to
        it. Else both are compared with what they come from, key by key, and a commit with
        two parents holds what both changed.

        Parameters
        ----------
        revision
            What is merged.
        into
            The branch that it is merged into, the default one if None.
        message, author, metadata, time, resolve
            As in `Session.commit`; "ours" is what the branch has.

        Raises
        ------
        CommitConflictError
            If both changed the same in different ways; the branch stays.
        RevisionError
            If there is no such branch or revision, or both have no commit in common.
        """
        state = self._versions.read()[1]
        branch = state.default if into is None else into
        other = self._find(state, revision)
        shown = revision if isinstance(revision, str) else to_text(other)
        text = f"Merge {shown} into {branch}" if message is None else message
        about = self._about(text, author, metadata, time)
        return CID(Merging(self._versions, branch, other, repr(shown)).merge(about, resolve))

    def expire(
        self,
        *,
        keep_last: int | None = None,
        older_than: datetime | timedelta | None = None,
        branch: str | None = None,
    ) -> Expired:
        """Let earlier commits go: they are in no log any more, and no copy has them.

        The commits that stay keep their CIDs; what tags are for stays, too. Blocks stay where they
        are: a `clone` leaves out those that only commits have which were let go. Branches whose
        last common commit is let go cannot be merged any more.

        Parameters
        ----------
        keep_last
            How many commits of a branch stay, counted along parents.
        older_than
            What is younger stays, too: an age, or a time that says its zone.
        branch
            The branch whose commits are let go, as far as nothing else leads to them; all branches
            if None, and of tags only what they are for stays.

        Returns
        -------
        Expired
            How many commits are left, and how many were let go.

        Raises
        ------
        RevisionError
            If there is no such branch.
        TypeError, ValueError
            If nothing is said of what stays, or it is no number or time that can be.

        Examples
        --------
        >>> import ipldstore
        >>> repo = ipldstore.Repository.create(ipldstore.MappingCAStore())
        >>> for day in range(5):
        ...     with repo.writable(message=f"day {day}") as store:
        ...         store["a/0"] = b"%d" % day
        >>> repo.expire(keep_last=2)
        Expired(kept=2, let_go=3)
        >>> [version.message for version in repo.log()]
        ['day 4', 'day 3']
        """
        from ipldstore.repository.expiring import Rule, expire

        return expire(self._versions, Rule(keep_last, older_than), branch)

    def push(
        self,
        other: Repository | Blocks,
        revision: CIDLike | None = None,
        *,
        to: str | None = None,
        depth: int | None = None,
        force: bool = False,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Carried:
        """Carry a branch or tag to another repository, with all commits that this one lacks.

        Blocks that are missing there are copied, then the branch is moved on. What was carried
        before an interrupt or a fault is not carried again.

        Parameters
        ----------
        other
            The other repository, or the block store that has it by the same name.
        revision
            The branch or tag, the default branch if None; with `to`, any revision.
        to
            The branch that is moved or made there, if not one of the same name.
        depth
            How many commits are carried at most, counted along parents; those before them are let
            go there. None for all.
        force
            Whether to move the branch also where that lets go of commits that it has.
        workers, progress
            As in `copy_root`.

        Returns
        -------
        Carried
            What was moved.

        Raises
        ------
        RefError
            If the branch there has commits that this one does not lead to, a tag is there already,
            for another commit, or the name is one of the other kind.
        RevisionError, RepositoryNotFoundError
            If there is no such revision, or no other repository.
        BlockNotFoundError, CorruptBlockError, InvalidNodeError
            If blocks cannot be had from here.
        BackendError
            If one of the stores cannot do its work. What was carried until then stays.

        Examples
        --------
        >>> import ipldstore
        >>> repo = ipldstore.Repository.create(ipldstore.MappingCAStore())
        >>> with repo.writable(message="first") as store:
        ...     store["a/0"] = b"chunk"
        >>> backup = ipldstore.Repository.create(ipldstore.MappingCAStore())
        >>> repo.push(backup).commits
        1
        >>> backup.branches == repo.branches
        True
        """
        from ipldstore.repository.carrying import PUSH, Carrier

        with _opened(other, self.name) as opened:
            carrier = Carrier(self._versions, opened._versions, depth, workers, progress)
            return carrier.carry_to(self._wanted(revision, to), force=force, kind=PUSH)

    def pull(
        self,
        other: Repository | Blocks,
        revision: CIDLike | None = None,
        *,
        to: str | None = None,
        depth: int | None = None,
        force: bool = False,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Carried:
        """Carry a branch or tag from another repository to here.

        It is `push` from the other one. Where both have commits that the other lacks, pull under
        another name, and merge that: ``repo.pull(other, "main", to="theirs")``, then
        ``repo.merge("theirs")``.

        Parameters, what it returns, and errors are those of `push`.
        """
        from ipldstore.repository.carrying import PULL, Carrier

        with _opened(other, self.name) as opened:
            carrier = Carrier(opened._versions, self._versions, depth, workers, progress)
            return carrier.carry_to(opened._wanted(revision, to), force=force, kind=PULL)

    def publish(
        self,
        node: IPFSStore | str | None = None,
        *,
        key: str | None = None,
        announce: bool = True,
        progress: Progress | None = None,
    ) -> PublishedHistory:
        """Have an IPFS node keep and offer all versions, as they are now.

        Who has the CID of the state, or the IPNS name that points at it, has all branches and tags:
        ``Repository("ipfs:", state=cid)``. The roots of all commits are pinned with all that they
        lead to, commits and the state alone.

        Parameters
        ----------
        node, key, announce, progress
            As in `ipldstore.store.publish.publish`; the name and what is announced is the state.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError, InvalidNodeError
            If blocks cannot be had from here.
        BackendError
            If the node cannot be reached or fails; what was sent and pinned stays so.
        """
        from ipldstore.repository.publishing import publish_history

        return publish_history(self._versions, node, key=key, announce=announce, progress=progress)

    def _wanted(self, revision: CIDLike | None, to: str | None) -> Wanted:
        from ipldstore.repository.carrying import make_wanted

        state = self._versions.read()[1]
        return make_wanted(state, self._find(state, revision), revision, to)

    @classmethod
    def clone(
        cls,
        source: Repository | Blocks,
        blocks: Blocks,
        name: str = "default",
        *,
        depth: int | None = None,
        author: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Self:
        """Make a repository that has all branches, tags and commits of another one.

        It is there once all is copied. One that was interrupted is gone on with by calling this
        again.

        Parameters
        ----------
        source
            The other repository, or the block store that has it as ``"default"``.
        blocks
            The block store, or what `open_block_store` takes; a folder or file is made. Into a CAR
            file, it is a whole repository in one file.
        name, author, options
            As in `create`.
        depth, workers, progress
            As in `push`.

        Raises
        ------
        RepositoryExistsError
            If there is one of this name.
        RepositoryNotFoundError
            If there is no other repository.
        BlockNotFoundError, CorruptBlockError, InvalidNodeError, BackendError
            As in `push`.
        """
        from ipldstore.repository.carrying import Carrier

        with _opened(source, "default") as opened:
            target = _open_or_make(blocks, options)
            repository = cls.__new__(cls)
            repository._hold(target, name, author, is_own=target is not blocks)
            try:
                versions = opened._versions, repository._versions
                Carrier(*versions, depth, workers, progress).clone()
            except BaseException:
                repository.close()
                raise
        return repository

    def log(self, revision: CIDLike | None = None, *, all: bool = False) -> Log:  # noqa: A002
        """Return the versions that led to a revision, the last first.

        Parameters
        ----------
        revision
            The revision, the default branch if None.
        all
            Whether to return those of all branches and tags instead.

        Returns
        -------
        Log
            They are loaded as they are iterated. It shows in a terminal and in notebooks, as a
            drawing of which came from which.
        """
        state = self._versions.read()[1]
        if all:
            tips = {*state.branches.values(), *state.tags.values()}
        elif revision is None and state.default not in state.branches:
            tips = set()
        else:
            tips = {self._find(state, revision)}
        return Log(self._versions.graph(state), tips, state)

    def show(self, revision: CIDLike | None = None) -> Version:
        """Return what a commit says of itself; `diff` says what it changed."""
        state = self._versions.read()[1]
        link = self._find(state, revision)
        return Version.of(link, self._versions.graph(state).commit(link), state)

    def diff(self, a: CIDLike, b: CIDLike | None = None) -> Comparison:
        """Say what changed between two versions, as `ipldstore.compare` does.

        Parameters
        ----------
        a, b
            The revisions before and after, as in `find`; b is the default branch if None.

        Raises
        ------
        RevisionError
            If one of them names no commit, or several.
        LimitExceededError, BackendError, BlockNotFoundError, CorruptBlockError, InvalidNodeError
            As `ipldstore.compare`.
        """
        from ipldstore.comparing import compare

        state = self._versions.read()[1]
        graph = self._versions.graph(state)
        old, new = (graph.commit(self._find(state, side)).root for side in (a, b))
        return compare(old, new, self.blocks)

    def info(self) -> HistoryInfo:
        """Say how much is stored of all versions that branches and tags lead to.

        Loads every directory; values are not read where the block store knows their sizes.

        Raises
        ------
        BlockNotFoundError, CorruptBlockError, InvalidNodeError, BackendError
            If a block cannot be had, or is malformed.
        """
        from ipldstore.inventory import history_info

        return history_info(*self._versions.read(), self.blocks)

    def verify(
        self,
        *,
        repair_from: ContentAddressableStore | Sequence[ContentAddressableStore] | None = None,
        extra: bool = False,
        journal: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Read every block of all versions that branches and tags lead to, and check each.

        A block that versions share is read once. A commit or state that is malformed is a problem
        of the report; histories that are let go are not asked for.

        Parameters
        ----------
        repair_from, extra, journal, progress
            As in `ipldstore.verify`. Earlier states of the repository count as extra.

        Raises
        ------
        JournalError, BackendError
            As `ipldstore.verify`.
        """
        from ipldstore.verifying import verify_history

        return verify_history(
            self._versions.read()[0],
            self.blocks,
            repair_from=repair_from,
            extra=extra,
            journal=journal,
            progress=progress,
        )

    def operations(self) -> Iterator[Done]:
        """Iterate what moved branches and tags, the last first, as far back as it is kept."""
        return iter_operations(self._versions)

    def undo(self, ref: str | None = None) -> Done:
        """Take the last operation on a branch or tag back, and return what that was.

        Undoing twice brings it back: what was undone last is undone. To go further back, `reset`
        to what `operations` tells.

        Parameters
        ----------
        ref
            The branch or tag; if None, that of the last operation of all.

        Raises
        ------
        RefError
            If there is nothing to undo, or the branch or tag moved meanwhile.
        """
        self._versions.check_movable()
        return Undoing(self._versions, ref).undo()

    def close(self) -> None:
        """Let go of the block store, if it was opened here."""
        if self._is_own:
            self.blocks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Repository {self.name!r} in {self.blocks!r}>"


def _open_or_make(blocks: Blocks, options: Mapping[str, Any]) -> ContentAddressableStore:
    """Return a block store, which is made if it is named and not there."""
    if isinstance(blocks, ContentAddressableStore):
        return find_blocks(blocks, **options)
    return open_block_store(blocks, **options)


@contextmanager
def _opened(other: Repository | Blocks, name: str) -> Iterator[Repository]:
    """Have another repository, which is closed at the end if it is opened here."""
    if isinstance(other, Repository):
        yield other
    else:
        with Repository(other, name) as opened:
            yield opened


def _as_cids(refs: Mapping[str, Link]) -> dict[str, CID]:
    return {name: CID(refs[name]) for name in sorted(refs)}


def _with_ref(state: State, operation: Operation) -> State:
    assert operation.ref is not None
    assert operation.after is not None
    kind = "tags" if operation.kind == "tag" else "branches"
    refs = {**getattr(state, kind), operation.ref: operation.after}
    return replace(state, **{kind: refs}, operation=operation)  # type: ignore[arg-type]


def _without_ref(state: State, operation: Operation) -> State:
    branches, tags = dict(state.branches), dict(state.tags)
    assert operation.ref is not None
    branches.pop(operation.ref, None)
    tags.pop(operation.ref, None)
    return replace(state, branches=branches, tags=tags, operation=operation)
