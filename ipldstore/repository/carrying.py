"""History that is carried from one repository to another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ipldstore.cid import CIDLike, Link, to_text
from ipldstore.dag import links_held
from ipldstore.errors import BlockNotFoundError, RefError
from ipldstore.formats.cidobject import CID
from ipldstore.history.commit import decode_commit
from ipldstore.history.graph import Graph
from ipldstore.history.names import check_ref_name
from ipldstore.history.state import Operation, State
from ipldstore.repository.versions import Versions, now
from ipldstore.transfer import Copied, Copying, Moves, Progress
from ipldstore.tree.tree import Tree

_BEHIND = (
    "{place} has commits that this does not lead to: pull them under another name, merge that, and "
    "push again; or have force=True let them go"
)
_MOVED = (
    "branch {ref!r} has commits that {place} does not: pull under another name, as "
    'to="theirs", and merge that; or have force=True let them go'
)


PUSH, PULL = "push", "pull"


class Carried(NamedTuple):
    """What was carried from one repository to another.

    Attributes
    ----------
    ref : str
        The branch or tag that was moved or made.
    commit : CID
        The commit that it is at.
    before : CID or None
        The commit that it was at; None if it was not there.
    commits : int
        How many commits were new.
    copied : Copied
        How much was moved.
    """

    ref: str
    commit: CID
    before: CID | None
    commits: int
    copied: Copied


@dataclass(frozen=True)
class Wanted:
    """A commit that a branch or tag of another repository is to be at."""

    ref: str
    commit: Link
    is_tag: bool = False


def make_wanted(state: State, commit: Link, revision: CIDLike | None, to: str | None) -> Wanted:
    """Say what is wanted of a revision, which is a branch or tag where nothing else is named."""
    if to is not None:
        check_ref_name(to)
        return Wanted(to, commit)
    name = state.default if revision is None else revision
    if not isinstance(name, str) or name not in {**state.branches, **state.tags}:
        raise RefError(
            f"{name!r} is neither a branch nor a tag: to=BRANCH says what is to be at it"
        )
    return Wanted(name, commit, is_tag=name in state.tags)


@dataclass
class _New:
    """The commits that a repository lacks.

    `commits` come before their parents. `ends` are those that are followed no further, with the
    parents that are not there. `joints` are pairs of a commit that is there and one that comes
    after it.
    """

    commits: list[Link] = field(default_factory=list)
    ends: dict[Link, Sequence[Link]] = field(default_factory=dict)
    joints: set[tuple[Link, Link]] = field(default_factory=set)

    @property
    def left(self) -> set[Link]:
        """The commits that stay behind."""
        return {parent for parents in self.ends.values() for parent in parents} - set(self.commits)

    @property
    def cut(self) -> set[Link]:
        """Those that are new, of whose parents some stay behind."""
        left = self.left
        return {link for link, parents in self.ends.items() if not left.isdisjoint(parents)}


class _Known:
    """The commits that a repository has, which is asked no further back than it needs be."""

    def __init__(self, graph: Graph, tips: Iterable[Link]) -> None:
        self._left = graph.iter_ancestors(tips)
        self._found: set[Link] = set()
        self._generation: float = float("inf")

    def has(self, link: Link, generation: int) -> bool:
        """Whether it has a commit, of which one knows the generation."""
        while self._generation >= generation:
            found = next(self._left, None)
            if found is None:
                self._generation = -1
                break
            self._found.add(found[0])
            self._generation = found[1].generation
        return link in self._found


class Carrier:
    """Carries commits and all that they lead to from one repository to another.

    What the target's branches and tags lead to is there in full, and is neither read nor asked for.
    A commit is put after its parents and its hierarchy, so that what was carried before an
    interrupt is found again.

    `depth` is how many commits, counted along parents, are carried at most; None for all.
    """

    def __init__(
        self,
        source: Versions,
        target: Versions,
        depth: int | None,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        if depth is not None and depth < 1:
            raise ValueError(f"depth is {depth}, expected 1 or more")
        self._source = source
        self._target = target
        self._depth = depth
        self._workers = workers
        self._progress = progress
        self._new = _New()

    def carry_to(self, wanted: Wanted, *, force: bool, kind: str) -> Carried:
        """Carry a commit, and have a branch or tag of the other repository be at it.

        `kind` is what the operation is called.
        """
        (_, state), (_, there) = self._source.read(), self._target.read()
        _check_kind(there, wanted)
        copied = self._carry([wanted.commit], state, there)
        found: list[Link | None] = [None]

        def change(now_there: State) -> State:
            _check_kind(now_there, wanted)
            refs = now_there.tags if wanted.is_tag else now_there.branches
            before = found[0] = refs.get(wanted.ref)
            if before == wanted.commit:
                return now_there
            self._check_joints(now_there, there)
            after = self._with_ref(now_there, wanted)
            if before is not None and not force:
                graph = self._target.graph(after)
                if not _leads_to(graph, wanted.commit, before):
                    raise RefError(self._say_apart(wanted.ref, kind))
            operation = Operation(
                kind=kind, ref=wanted.ref, before=before, after=wanted.commit, time=now()
            )
            return replace(after, operation=operation)

        self._target.move(change)
        before = None if found[0] is None else CID(found[0])
        return Carried(wanted.ref, CID(wanted.commit), before, len(self.commits), copied)

    def clone(self) -> Copied:
        """Copy all branches and tags, and what they lead to, into a repository that is made so.

        It is there once all is copied.
        """
        self._target.check_absent()
        _, state = self._source.read()
        copied = self.copy_all(state)
        self._target.begin_from(state, self._new.cut)
        return copied

    def copy_all(self, state: State) -> Copied:
        """Copy all that branches and tags lead to, whatever the target knows of it."""
        return self._carry(_tips_of(state), state, None)

    @property
    def commits(self) -> Sequence[Link]:
        """The commits that were carried, before their parents."""
        return self._new.commits

    def _say_apart(self, ref: str, kind: str) -> str:
        text, versions = (_BEHIND, self._target) if kind == PUSH else (_MOVED, self._source)
        return text.format(place=f"branch {ref!r} of {versions.blocks!r}", ref=ref)

    def _carry(self, tips: Collection[Link], state: State, known: State | None) -> Copied:
        """Copy what the target, in a state that is known, lacks of commits of the source."""
        graph = self._source.graph(state)
        self._new = self._find_new(graph, tips, self._list_known(known))
        source, target = self._source.blocks, self._target.blocks
        workers = self._workers or max(source.connections, target.connections)
        with Moves(workers, self._progress) as moves:
            copying = Copying(source, target, moves)
            seen = self._list_held(graph)
            for link in reversed(self._new.commits):
                self._check_root(graph.commit(link).root)
                copying.run(link, seen)
            moves.finish()
            target.flush()
        return moves.copied

    def _list_known(self, state: State | None) -> _Known:
        if state is None:
            return _Known(Graph(self._target.blocks.get_block), ())
        return _Known(self._target.graph(state), _tips_of(state))

    def _find_new(self, graph: Graph, tips: Collection[Link], known: _Known) -> _New:
        new = _New()
        distances = dict.fromkeys(tips, 1)
        heap = [(-graph.commit(tip).generation, tip) for tip in distances]
        heapify(heap)
        while heap:
            generation, link = heappop(heap)
            if known.has(link, -generation):
                continue
            new.commits.append(link)
            is_last = distances[link] == self._depth
            for parent in self._follow(graph, link, known, new, is_last=is_last):
                if parent not in distances:
                    heappush(heap, (-graph.commit(parent).generation, parent))
                further = distances[link] + 1
                distances[parent] = min(further, distances.get(parent, further))
        return new

    def _follow(
        self, graph: Graph, link: Link, known: _Known, new: _New, *, is_last: bool
    ) -> Collection[Link]:
        """Return the parents that go with a commit, and note those that do not."""
        parents = graph.commit(link).parents
        is_whole = bool(graph.parents(link))
        if is_whole:
            graph.check(link)
        # of parents that are let go nobody knows the generation
        there = {
            parent
            for parent in parents
            if known.has(parent, graph.commit(parent).generation if is_whole else 0)
        }
        new.joints |= {(parent, link) for parent in there}
        wanted = [parent for parent in parents if parent not in there]
        if wanted and (is_last or not is_whole):
            new.ends[link] = wanted
            return ()
        return wanted

    def _list_held(self, graph: Graph) -> set[Link]:
        """List what is not copied of what new commits lead to."""
        held = self._new.left
        for parent, link in self._new.joints:
            since = decode_commit(parent, self._load(parent)).root
            held.add(parent)
            held |= links_held(since, graph.commit(link).root, self._load)
        return held

    def _check_joints(self, state: State, known: State) -> None:
        """Raise `RefError` if what the target had when this began is let go since."""
        if _refs_of(state) == _refs_of(known):
            return
        found = self._list_known(state)
        for parent, _ in self._new.joints:
            if not found.has(parent, decode_commit(parent, self._load(parent)).generation):
                raise RefError(
                    f"commit {to_text(parent)} was let go meanwhile, which this comes after: "
                    "do it again"
                )

    def _with_ref(self, state: State, wanted: Wanted) -> State:
        """Return the state with a branch or tag, and with what is whole now."""
        shallow = state.shallow.difference(self._new.commits) | self._new.cut
        if wanted.is_tag:
            return replace(state, tags={**state.tags, wanted.ref: wanted.commit}, shallow=shallow)
        branches = {**state.branches, wanted.ref: wanted.commit}
        return replace(state, branches=branches, shallow=shallow)

    def _check_root(self, root: Link) -> None:
        """Raise `InvalidNodeError` if the block of a root is none of a hierarchy."""
        _ = Tree(self._load, root).top

    def _load(self, link: Link) -> bytes:
        try:
            return self._source.blocks.get_block(link)
        except BlockNotFoundError:  # of a parent that is let go
            return self._target.blocks.get_block(link)


def _tips_of(state: State) -> set[Link]:
    return {*state.branches.values(), *state.tags.values()}


def _refs_of(state: State) -> tuple[object, ...]:
    return dict(state.branches), dict(state.tags), state.shallow


def _check_kind(state: State, wanted: Wanted) -> None:
    """Raise `RefError` where the name is one of the other kind, or a tag would move."""
    ref = wanted.ref
    if ref in (state.branches if wanted.is_tag else state.tags):
        is_there, comes = ("branch", "tag") if wanted.is_tag else ("tag", "branch")
        raise RefError(f"{ref!r} is a {is_there} there, and cannot be a {comes}: name another one")
    if wanted.is_tag and state.tags.get(ref, wanted.commit) != wanted.commit:
        raise RefError(f"tag {ref!r} is there already, for another commit, and tags never move")


def _leads_to(graph: Graph, link: Link, before: Link) -> bool:
    try:
        return graph.is_ancestor(before, link)
    except BlockNotFoundError:
        return False
