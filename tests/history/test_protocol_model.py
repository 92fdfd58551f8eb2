"""Every order in which committers move one pointer, with lost answers and crashes at each step.

A model, not the code: it says which rules are enough, and that others are not.
"""

from collections import deque
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.once

FAULTS = 2
"""Answers that are lost, of all committers together."""

CONFLICTS = 1
"""How often a committer begins anew before it gives up."""


class Commit(NamedTuple):
    parent: object
    owner: int


class State(NamedTuple):
    """A state of a repository with a branch and a tag; `owner` and `nonce` tell it from others."""

    previous: object
    branch: object
    tag: object
    owner: int
    nonce: int


class Committer(NamedTuple):
    """What one does next, the state that it read, the commit and the state that it made.

    `doubted` says whether an answer to the swap of this state was lost.
    """

    step: str = "read"
    old: object = None
    commit: object = None
    new: object = None
    doubted: bool = False
    nonce: int = 0
    conflicts: int = 0


class World(NamedTuple):
    """Where the pointer is, who moved it, swaps that are still under way, and the committers."""

    pointer: object
    moved: tuple
    late: frozenset
    faults: int
    committers: tuple


FIRST = State(None, None, None, -1, 0)
ENDS = ("done", "failed", "unknown", "crashed")


def states_of(world):
    state = world.pointer
    while state is not None:
        yield state
        state = state.previous


def commits_of(world):
    commit = world.pointer.branch
    while commit is not None:
        yield commit
        commit = commit.parent


def fault_of(world, tags):
    """Say which rule a world breaks, None if none."""
    states, commits = list(states_of(world)), list(commits_of(world))
    if [state.owner for state in states] != [*reversed(world.moved), FIRST.owner]:
        return "a move is not in the chain of states"
    for owner, committer in enumerate(world.committers):
        found = [state.owner for state in states].count(owner)
        if owner not in tags and found != [commit.owner for commit in commits].count(owner):
            return "a commit is lost"
        if found > 1:
            return "a commit is there twice"
        if committer.step == "done" and not found:
            return "a commit that was reported is not there"
        if committer.step == "failed" and found:
            return "a commit is there that was reported not to be"
    return None


def begin_anew(committer):
    if committer.conflicts == CONFLICTS:
        return committer._replace(step="failed")
    return Committer(nonce=committer.nonce + 1, conflicts=committer.conflicts + 1)


def look(world, committer, rule):
    """Walk back from where the pointer is; while it is where it was, only a retry tells."""
    if rule == "an error means not done":
        return committer._replace(step="failed")
    if committer.new in states_of(world):
        return committer._replace(step="done")
    if world.pointer != committer.old:
        return begin_anew(committer)
    return committer._replace(step="swap")


def after_lost_answer(committer, rule):
    if rule == "a retry makes a new state":
        return committer._replace(step="put state", nonce=committer.nonce + 1)
    return committer._replace(step="look", doubted=True)


def swaps(world, committer, owner, rule):
    """Yield what may come of a swap: the world, and the committer."""
    moves = world.pointer == committer.old
    done = world
    if moves:
        done = world._replace(pointer=committer.new, moved=(*world.moved, owner))
        yield "swap: moved", done, committer._replace(step="done")
    elif committer.doubted:
        yield "swap: refused", world, committer._replace(step="look")
    else:
        yield "swap: refused", world, begin_anew(committer)
    if world.faults:
        unsure = after_lost_answer(committer, rule)
        fewer = world.faults - 1
        if moves:
            yield "swap: moved, answer lost", done._replace(faults=fewer), unsure
        yield "swap: not done", world._replace(faults=fewer), unsure
        late = world.late | {(owner, committer.old, committer.new)}
        yield "swap: comes late", world._replace(faults=fewer, late=late), unsure


def steps(world, owner, tags, rule):
    committer = world.committers[owner]
    if committer.step in ENDS:
        return
    yield "crash", world, committer._replace(step="crashed")
    if committer.step == "read":
        yield "read", world, committer._replace(step="put commit", old=world.pointer)
    elif committer.step == "put commit":
        commit = Commit(committer.old.branch, owner)
        yield "put commit", world, committer._replace(step="put state", commit=commit)
    elif committer.step == "put state":
        old, commit = committer.old, committer.commit
        refs = (old.branch, commit) if owner in tags else (commit, old.tag)
        new = State(old, *refs, owner, committer.nonce)
        yield "put state", world, committer._replace(step="swap", new=new)
    elif committer.step == "swap":
        yield from swaps(world, committer, owner, rule)
    elif committer.step == "look":
        yield "look", world, look(world, committer, rule)
        if world.pointer == committer.old and committer.new not in states_of(world):
            yield "give up", world, committer._replace(step="unknown")


def arrivals(world):
    """Yield what comes of swaps that reach the pointer after their answer was given up."""
    for late in world.late:
        owner, old, new = late
        rest = world._replace(late=world.late - {late})
        if world.pointer == old:
            yield f"{owner} late swap", rest._replace(pointer=new, moved=(*world.moved, owner))
        else:
            yield f"{owner} late swap: refused", rest


def next_worlds(world, tags, rule):
    yield from arrivals(world)
    for owner in range(len(world.committers)):
        for name, after, committer in steps(world, owner, tags, rule):
            committers = (*after.committers[:owner], committer, *after.committers[owner + 1 :])
            yield f"{owner} {name}", after._replace(committers=committers)


def explore(count, tags=(), rule=None, faults=FAULTS):
    """Visit all worlds, nearest first; return them, and the way to one that breaks a rule."""
    first = World(FIRST, (), frozenset(), faults, (Committer(),) * count)
    before = {first: None}
    waiting = deque(before)
    while waiting:
        world = waiting.popleft()
        if (fault := fault_of(world, tags)) is not None:
            return before, (fault, trace_to(world, before))
        for name, after in next_worlds(world, tags, rule):
            if after not in before:
                before[after] = (name, world)
                waiting.append(after)
    return before, None


def trace_to(world, before):
    names = []
    while before[world] is not None:
        name, world = before[world]
        names.append(name)
    return names[::-1]


@pytest.mark.parametrize(
    ("count", "tags", "faults"), [(1, (), 3), (2, (), FAULTS), (2, (1,), FAULTS), (3, (2,), 1)]
)
def test_no_order_of_steps_breaks_a_rule(count, tags, faults):
    worlds, counterexample = explore(count, tags, faults=faults)
    assert counterexample is None
    ends = {tuple(committer.step for committer in world.committers) for world in worlds}
    assert ("done",) * count in ends
    assert ("crashed",) * count in ends
    assert any("unknown" in end for end in ends)
    assert any("failed" in end for end in ends) == (count > CONFLICTS + 1)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("a retry makes a new state", "a commit is there twice"),
        ("an error means not done", "a commit is there that was reported not to be"),
    ],
)
def test_model_finds_what_other_rules_break(rule, fault):
    _, (found, trace) = explore(2, rule=rule)
    assert found == fault
    assert any("answer lost" in name or "late" in name for name in trace)
