"""Random histories against a model of dicts: every version stays readable, merges are symmetric."""

from examples import examples
from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ipldstore import CommitConflictError, MappingCAStore, NoChangesError, Repository
from ipldstore.cid import as_link
from ipldstore.repository.committing import merge_roots

KEYS = strategies.sampled_from("abcdef")
VALUES = strategies.one_of(strategies.none(), strategies.sampled_from([b"0", b"1", b"2"]))
CHANGES = strategies.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


class Model:
    """Commits by their CID: what they hold, and their parents; branches, and what was done."""

    def __init__(self):
        self.content = {}
        self.parents = {}
        self.branches = {}
        self.tags = {}
        self.done = []

    def ancestors(self, commit):
        found, stack = set(), [commit]
        while stack:
            commit = stack.pop()
            if commit not in found:
                found.add(commit)
                stack.extend(self.parents[commit])
        return found

    def bases(self, one, other):
        common = self.ancestors(one) & self.ancestors(other)
        return {
            base
            for base in common
            if not any(base in self.ancestors(later) - {later} for later in common)
        }

    def merge(self, ours, theirs):
        """Return what a merge holds, and the keys that both changed."""
        bases = [self.content[base] for base in self.bases(ours, theirs)]
        ours, theirs = self.content[ours], self.content[theirs]
        merged, clashing = {}, set()
        for key in {*ours, *theirs, *(key for base in bases for key in base)}:
            sides = ours.get(key), theirs.get(key)
            if sides[0] == sides[1] or all(base.get(key) == sides[1] for base in bases):
                merged[key] = sides[0]
            elif all(base.get(key) == sides[0] for base in bases):
                merged[key] = sides[1]
            else:
                clashing.add(key)
                merged[key] = sides[0]
        return {key: value for key, value in merged.items() if value is not None}, clashing


class Histories(RuleBasedStateMachine):
    names = Bundle("names")

    @initialize(target=names)
    def begin(self):
        self.blocks = MappingCAStore()
        self.repo = Repository.create(self.blocks)
        self.model = Model()
        self._commit("main", {"a": b"first"})
        return "main"

    def _commit(self, branch, changes):
        before = self.model.branches.get(branch)
        content = dict(self.model.content.get(before, {}))
        with self.repo.writable(branch, message=f"{len(self.model.done)}") as store:
            for key, value in changes.items():
                if value is None:
                    store.pop(key, None)
                    content.pop(key, None)
                else:
                    store[key] = content[key] = value
        self._note(branch, content, () if before is None else (before,))

    def _note(self, branch, content, parents):
        before, after = self.model.branches.get(branch), self.repo.branches[branch]
        if after == before:
            assert content == self.model.content[before]
            return
        self.model.content[after] = content
        self.model.parents[after] = parents
        self._move(branch, after)

    def _move(self, branch, after):
        self.model.done.append((branch, self.model.branches.get(branch), after))
        if after is None:
            self.model.branches.pop(branch, None)
        else:
            self.model.branches[branch] = after

    @rule(branch=names, changes=CHANGES)
    def commit(self, branch, changes):
        if branch in self.model.branches:
            self._commit(branch, changes)

    @rule(branch=names, one=CHANGES, two=CHANGES)
    def commit_from_two_sessions(self, branch, one, two):
        before = self.model.branches.get(branch)
        if before is None:
            return
        sessions = self.repo.writable(branch), self.repo.writable(branch)
        sides = [dict(self.model.content[before]) for _ in sessions]
        for session, side, changes in zip(sessions, sides, (one, two), strict=True):
            for key, value in changes.items():
                side.pop(key, None)
                session.pop(key, None)
                if value is not None:
                    session[key] = side[key] = value
        for session, side in zip(sessions, sides, strict=True):
            tip = self.model.branches[branch]
            self.model.content["side"], self.model.parents["side"] = side, (before,)
            merged, clashing = self.model.merge("side", tip)
            try:
                session.commit("one of two")
            except CommitConflictError as error:
                assert {conflict.name for conflict in error.conflicts} == clashing
            except NoChangesError:
                assert merged == self.model.content[tip]
            else:
                assert not clashing
                self._note(branch, merged, (tip,))
            assert dict(session) == side

    @rule(target=names, name=strategies.sampled_from(["x", "y", "z"]), revision=names)
    def branch(self, name, revision):
        if revision in self.model.branches and name not in self.model.branches:
            self.repo.branch(name, revision)
            self._move(name, self.model.branches[revision])
        return name

    @rule(name=strategies.sampled_from(["v1", "v2"]), revision=names)
    def tag(self, name, revision):
        if revision in self.model.branches and name not in self.model.tags:
            self.repo.tag(name, revision)
            self.model.tags[name] = self.model.branches[revision]

    @rule(into=names, revision=names, resolve=strategies.sampled_from([None, "ours"]))
    def merge(self, into, revision, resolve):
        model = self.model
        if into not in model.branches or revision not in model.branches:
            return
        ours, theirs = model.branches[into], model.branches[revision]
        if theirs in model.ancestors(ours):
            assert self.repo.merge(revision, into) == ours
            return
        if ours in model.ancestors(theirs):
            assert self.repo.merge(revision, into) == theirs
            self._move(into, theirs)
            return
        content, clashing = model.merge(ours, theirs)
        if not clashing:
            self._merge_roots_both_ways(ours, theirs)
        if clashing and resolve is None:
            try:
                self.repo.merge(revision, into)
            except CommitConflictError as error:
                assert {conflict.name for conflict in error.conflicts} == clashing
                return
            raise AssertionError("no conflict")
        self.repo.merge(revision, into, resolve=resolve)
        self._note(into, content, (ours, theirs))

    def _merge_roots_both_ways(self, ours, theirs):
        bases = [self._root(base) for base in self.model.bases(ours, theirs)]
        sides = self._root(ours), self._root(theirs)
        roots = {
            merge_roots(self.blocks, bases, *order, None, "") for order in (sides, sides[::-1])
        }
        assert len(roots) == 1

    def _root(self, commit):
        return as_link(self.repo.show(commit).root)

    @rule(branch=names, revision=names, back=strategies.integers(0, 2))
    def reset(self, branch, revision, back):
        commit = self.model.branches.get(revision)
        for _ in range(back):
            commit = self.model.parents[commit][0] if self.model.parents.get(commit) else None
        if commit is not None and branch in self.model.branches:
            before = self.model.branches[branch]
            self.repo.reset(branch, f"{revision}~{back}")
            if commit != before:
                self._move(branch, commit)

    @rule(branch=names)
    def delete(self, branch):
        if branch != "main" and branch in self.model.branches:
            self.repo.delete(branch)
            self._move(branch, None)

    @rule(branch=names)
    def undo(self, branch):
        moves = [move for move in self.model.done if move[0] == branch]
        if not moves:
            return
        _, before, after = moves[-1]
        done = self.repo.undo(branch)
        assert (done.before, done.after) == (before, after)
        self._move(branch, before)

    @rule()
    def reopen(self):
        self.repo = Repository(self.blocks)

    @invariant()
    def names_are_where_they_are(self):
        if hasattr(self, "model"):
            assert self.repo.branches == self.model.branches
            assert self.repo.tags == self.model.tags

    @precondition(lambda self: hasattr(self, "model"))
    @rule(data=strategies.data())
    def read_any_version(self, data):
        kept = sorted(
            commit
            for tip in {*self.model.branches.values(), *self.model.tags.values()}
            for commit in self.model.ancestors(tip)
        )
        commit = data.draw(strategies.sampled_from(kept)) if kept else None
        if commit is not None:
            assert dict(self.repo.readonly(commit)) == self.model.content[commit]

    def teardown(self):
        if hasattr(self, "model"):
            for commit, content in self.model.content.items():
                if commit != "side":
                    assert dict(self.repo.readonly(commit)) == content
                    assert set(self.repo.show(commit).parents) == set(self.model.parents[commit])


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(40), stateful_step_count=25, deadline=None)
