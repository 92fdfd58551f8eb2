"""Every order in which processes write one session, commit it, go on with it and are killed.

A model, not the code: it says which rules are enough, and that others are not. A process that is
killed is one that never goes on: in each world that is met, one more takes up the session alone and
runs to its end, after which nothing acknowledged may be lost, nor anything be committed twice.
"""

from collections import deque
from functools import cache
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.once

OPEN, CLOSED, ENDED = "open", "closed", "ended"


class Step(NamedTuple):
    """A step; `nonce` tells it from others of its number, `after` is that of the one before."""

    number: int
    kind: str
    nonce: object
    after: object = None
    carries: frozenset = frozenset()


FIRST = Step(0, OPEN, "first")


class Commit(NamedTuple):
    """A commit of the session: the records in its tree, and those that the branch gains."""

    nonce: object
    root: frozenset
    gained: frozenset


class Process(NamedTuple):
    """What one does next, and what it knows.

    It writes a record if it `writes`, and commits `commits` times. `step` is the open step in which
    it is, `closed` the one after; `found` is what it listed, `then` why it looks for its step.
    `may_fail` lets it find a fault in a commit, or a conflict; it is killed before it `dies`.
    """

    writes: bool = False
    commits: int = 0
    may_fail: bool = False
    dies: str = ""
    at: str = "idle"
    step: object = FIRST
    closed: object = None
    is_mine: bool = False
    found: tuple = ()
    then: str = ""
    known: frozenset = frozenset()
    base: frozenset = frozenset()
    tried: frozenset = frozenset()
    version: int = 0
    made: int = 0


class World(NamedTuple):
    """What is in the group of the session, the commits of the branch, and who is at work.

    A journal is the number of its step and who wrote its record. In `branch`, None is a commit of
    somebody else that puts the old values back; there are `outside` of these to come.
    """

    steps: frozenset
    journals: frozenset
    tries: frozenset
    branch: tuple
    outside: int
    acknowledged: frozenset
    processes: tuple


WRITER = Process(writes=True)
COMMITTER = Process(commits=1)
RESUMER = Process(commits=1, at="list", step=None, then="resume")
FORKED = Process(writes=True, commits=1, at="begin", step=None)
RESCUER = RESUMER._replace(commits=2)
FAULTY = COMMITTER._replace(may_fail=True)
KNOWING = COMMITTER._replace(known=frozenset([(0, "dead")]))
DYING = COMMITTER._replace(dies="look closed")


def step_of(world, number):
    return next((step for step in world.steps if step.number == number), None)


def is_there(world, step, rules, lax="any closed step"):
    """Whether a step is there; by a lax rule, whether any of its number is."""
    found = step_of(world, step.number)
    return found == step or (found is not None and lax in rules)


def counting(world, step):
    """Return the journals that count in an open step."""
    if step.kind != OPEN:
        return frozenset()
    return frozenset(
        journal
        for journal in world.journals
        if journal[0] == step.number or journal in step.carries
    )


def value_of(branch):
    """Return the records of which the branch has the values."""
    value = frozenset()
    for commit in branch:
        value = frozenset() if commit is None else value | commit.gained
    return value


def gained(branch):
    return [record for commit in branch if commit is not None for record in commit.gained]


def make(world, who, process, step):
    """Make a step unless one of its number is there, and note which it is that was made."""
    if step_of(world, step.number) is not None:
        return world, process._replace(is_mine=False)
    process = process._replace(is_mine=True, made=process.made + 1)
    return world._replace(steps=world.steps | {step}), process


def without_step(world, number):
    return world._replace(steps=frozenset(step for step in world.steps if step.number != number))


def give_up(process):
    """Have the user told that the session is over, who may try again."""
    if process.then == "commit done":
        return reset(process, "reopen")
    return reset(process, "gone" if process.step is None else "idle")


def reset(process, at):
    if at == "idle" and not process.commits:
        process = process._replace(known=frozenset(), base=frozenset(), tried=frozenset())
    if at == "idle":
        process = process._replace(closed=None)
    return process._replace(at=at, is_mine=False, found=(), then="", version=0)


# a writer


def idle(world, who, process, rules):
    if process.writes and who not in world.acknowledged:
        if "steps before the record" in rules:
            yield "begin to write", world, process._replace(at="look next")
        else:
            yield from append(world, who, process, rules)
    if process.commits:
        step = Step(process.step.number + 1, CLOSED, (who, process.made), process.step.nonce)
        process = process._replace(commits=process.commits - 1, closed=step)
        after, process = make(world, who, process, step)
        at = "look closed" if process.is_mine else "read closed"
        yield f"close {step.number}", after, process._replace(at=at)


def append(world, who, process, rules):
    after = world._replace(journals=world.journals | {(process.step.number, who)})
    if "steps before the record" in rules:
        after = after._replace(acknowledged=after.acknowledged | {who})
        yield "append", after, reset(process, "idle")
    else:
        first = "look this" if "this step before the next" in rules else "look next"
        yield "append", after, process._replace(at=first)


def look_next(world, who, process, rules):
    if step_of(world, process.step.number + 1) is not None:
        yield "next is there", world, process._replace(at="list", then="write")
    elif "this step before the next" in rules:
        yield "next is not there", *acknowledge(world, who, process, rules)
    else:
        yield "next is not there", world, process._replace(at="look this")


def look_this(world, who, process, rules):
    lax = "any open step" if process.step.number else "any first step"
    if not is_there(world, process.step, rules | {"any first step"}, lax):
        yield "this is not there", world, process._replace(at="list", then="write")
    elif "this step before the next" in rules:
        yield "this is there", world, process._replace(at="look next")
    else:
        yield "this is there", *acknowledge(world, who, process, rules)


def acknowledge(world, who, process, rules):
    if "steps before the record" in rules:
        return world, process._replace(at="append")
    after = world._replace(acknowledged=world.acknowledged | {who})
    return after, reset(process, "idle")


# which step the session is at


def begin(world, who, process, rules):
    """Make the first step, as a forked copy of who began the session does when it writes first."""
    world, process = make(world, who, process, FIRST)
    yield "begin", world, process._replace(at="list", then="begin")


def list_steps(world, who, process, rules):
    if world.steps:
        highest = max(step.number for step in world.steps)
        yield f"list: {highest}", world, process._replace(at="read highest", found=(highest,))
    else:
        yield "list: nothing", world, give_up(process)


def read_highest(world, who, process, rules):
    step = step_of(world, process.found[0])
    if step is None:
        yield "highest is gone", world, give_up(process)
    elif step.kind == OPEN and (not step.number or "no look before an open step" in rules):
        yield "highest is open", world, go_on(world, process, step)
    elif step.kind == ENDED and "an ended step is one after a closed one" not in rules:
        yield "highest is ended", world, give_up(process)
    else:
        process = process._replace(at="read before", found=(step,))
        yield f"highest is {step.kind}", world, process


def read_before(world, who, process, rules):
    highest = process.found[0]
    before = step_of(world, highest.number - 1)
    is_lax = f"any step before {highest.kind}" in rules
    if before is None or (before.nonce != highest.after and not is_lax):
        yield "the one before is not there", world, give_up(process)
    elif highest.kind == OPEN:
        yield "the one before is there", world, go_on(world, process, highest)
    elif process.then == "resume" and highest.kind == CLOSED:
        process = process._replace(step=before, closed=highest, known=counting(world, before))
        yield "read closed session", world, reset(process, "reopen")._replace(then="resume")
    elif process.then == "resume":
        yield "session is ended", world, reset(process, "gone")
    else:
        if process.then == "write":
            own = {(process.step.number, who)}
            refused = reset(process._replace(step=before), "idle")
            yield "take back", world._replace(journals=world.journals - own), refused
        yield "refused", world, reset(process._replace(step=before), "idle")


def go_on(world, process, step):
    """Go on in an open step; after a reopening with what is known, else with what is read."""
    if process.then != "reopened":
        process = process._replace(known=counting(world, step))
    return reset(process._replace(step=step), "idle")


# a commit


def read_closed(world, who, process, rules):
    step = step_of(world, process.step.number + 1)
    if step is None:
        yield "closed is gone", world, give_up(process)
    else:
        yield "closed by another", world, process._replace(at="look closed", closed=step)


def look_closed(world, who, process, rules):
    if "no look after making" in rules or step_of(world, process.step.number) is not None:
        yield "this is there", world, process._replace(at="read", is_mine=False)
    else:
        yield from give_up_making(world, process, process.step.number + 1)


def give_up_making(world, process, number):
    if process.is_mine:
        process = process._replace(at="unmake", found=(number,), is_mine=False)
        yield "too late", world, process
    else:
        yield "too late", world, give_up(process)


def unmake(world, who, process, rules):
    yield "remove own step", without_step(world, process.found[0]), give_up(process)


def read(world, who, process, rules):
    known = process.known | counting(world, process.step)
    process = process._replace(known=known)
    if known:
        yield "read journals", world, process._replace(at="read state")
    if process.may_fail or not known:
        yield "read journals: fault", world, reset(process, "reopen")


def read_state(world, who, process, rules):
    yield "read state", world, process._replace(at="read tries", version=len(world.branch))


def read_tries(world, who, process, rules):
    process = process._replace(tried=process.tried | world.tries)
    if "no look after the tries" in rules:
        yield "read tries", world, decide(world, process)
    else:
        yield "read tries", world, process._replace(at="look over")


def look_over(world, who, process, rules):
    if step_of(world, process.step.number + 2) is not None:
        yield "over", world, reset(process, "reopen")
    else:
        yield "not over", world, process._replace(at="look still")


def look_still(world, who, process, rules):
    if is_there(world, process.closed, rules):
        yield "still closed", world, decide(world, process)
    else:
        yield "not closed", world, reset(process, "reopen")


def decide(world, process):
    """Say whether a try is in the branch, else what to try."""
    branch = world.branch[: process.version]
    done = [commit for commit in branch if commit and commit[:2] in process.tried]
    if done:
        process = process._replace(base=done[-1].root)
    if gain_of(branch, process):
        return process._replace(at="try")
    return reset(process._replace(tried=frozenset()), "end") if done else reset(process, "reopen")


def gain_of(branch, process):
    return records_of(process) - process.base - value_of(branch)


def records_of(process):
    return frozenset(record for _, record in process.known)


def try_commit(world, who, process, rules):
    nonce, root = (who, process.version), records_of(process)
    commit = Commit(nonce, root, gain_of(world.branch[: process.version], process))
    process = process._replace(tried=process.tried | {commit[:2]})
    if "swap before the try" not in rules:
        noted = world._replace(tries=world.tries | {commit[:2]})
        yield "note try", noted, process._replace(at="swap", found=(commit,))
    else:
        yield from swap(world, who, process._replace(found=(commit,)), rules)


def note_late(world, who, process, rules):
    noted = world._replace(tries=world.tries | {process.found[0][:2]})
    yield "note try", noted, reset(process, "end")


def swap(world, who, process, rules):
    (commit,) = process.found
    if len(world.branch) != process.version:
        yield "swap: refused", world, process._replace(at="read state", found=(), version=0)
        return
    moved = world._replace(branch=(*world.branch, commit))
    done = process._replace(base=commit.root, tried=frozenset())
    if "swap before the try" in rules:
        yield "swap", moved, done._replace(at="note late")
    else:
        yield "swap", moved, reset(done, "end")
    if process.may_fail:
        yield "swap: fault", moved, reset(process, "reopen")


# the end of a commit


def end(world, who, process, rules):
    number = process.step.number + 2
    step = Step(number, ENDED, (who, process.made), process.closed.nonce)
    made, process = make(world, who, process, step)
    yield f"end {number}", made, process._replace(at="list all" if process.is_mine else "look end")


def look_end(world, who, process, rules):
    step = step_of(world, process.step.number + 2)
    if step is None:
        yield "end is gone", world, reset(process, "reopen")
    elif step.kind == ENDED:
        yield "ended by another", world, process._replace(at="list all")
    else:
        yield "reopened by another", world, process._replace(at="list", then="commit done")


def list_all(world, who, process, rules):
    numbers = sorted(step.number for step in world.steps)
    if "remove the last step first" in rules:
        numbers.reverse()
    found = (world.tries, world.journals, *numbers)
    yield "list all", world, process._replace(at="remove", found=found, is_mine=False)


def remove(world, who, process, rules):
    item, *others = process.found
    if isinstance(item, int):
        after = without_step(world, item)
    else:
        after = world._replace(tries=world.tries - item, journals=world.journals - item)
    left = process._replace(found=tuple(others)) if others else Process(at="left", step=None)
    what = item if isinstance(item, int) else "tries or journals"
    yield f"remove {what}", after, left
    if process.may_fail:
        yield "remove: fault", after, reset(process, "reopen")


def reopen(world, who, process, rules):
    number, after = process.step.number + 2, process.closed.nonce
    step = Step(number, OPEN, (who, process.made), after, process.known)
    then = process.then or "reopened"
    made, process = make(world, who, process, step)
    yield f"reopen {number}", made, process._replace(at="look reopened", then=then)


def look_reopened(world, who, process, rules):
    if "no look after making" in rules or is_there(world, process.closed, rules):
        yield "closed is there", world, process._replace(at="list", is_mine=False)
    else:
        yield from give_up_making(world, process, process.step.number + 2)


ACTIONS = {
    "begin": begin,
    "idle": idle,
    "append": append,
    "look next": look_next,
    "look this": look_this,
    "list": list_steps,
    "read highest": read_highest,
    "read before": read_before,
    "read closed": read_closed,
    "look closed": look_closed,
    "unmake": unmake,
    "read": read,
    "read state": read_state,
    "read tries": read_tries,
    "look over": look_over,
    "look still": look_still,
    "try": try_commit,
    "note late": note_late,
    "swap": swap,
    "end": end,
    "look end": look_end,
    "list all": list_all,
    "remove": remove,
    "reopen": reopen,
    "look reopened": look_reopened,
}


def next_of(world, who, rules):
    process = world.processes[who]
    action = ACTIONS.get(process.at) if process.at != process.dies else None
    for name, after, changed in action(world, who, process, rules) if action else ():
        processes = (*world.processes[:who], changed, *world.processes[who + 1 :])
        yield f"{who} {name}", after._replace(processes=processes)


def next_worlds(world, rules):
    for who in range(len(world.processes)):
        yield from next_of(world, who, rules)
    if world.outside:
        branch = (*world.branch, None)
        yield "outside commit", world._replace(branch=branch, outside=world.outside - 1)


@cache
def rescue(world, rules):
    """Return the world after one more process took up the session, and ran to its end."""
    # whose steps are none of those that are there
    world = world._replace(processes=(RESCUER._replace(made=1 << 20),))
    while following := next(next_of(world, 0, rules), None):
        world = following[1]
    return world


def fault_of(world, rules):
    """Say which rule a world breaks, None if none."""
    for seen in (world, rescue(world._replace(processes=(), outside=0), rules)):
        records = gained(seen.branch)
        if len(records) != len(set(records)):
            return "a record is committed twice"
    return None if world.acknowledged <= {*records} else "an acknowledged record is lost"


def explore(processes, *, outside=0, rules=(), steps=(FIRST,)):
    """Visit all worlds, nearest first; return them, and the way to one that breaks a rule.

    One more process had a record acknowledged, and died. `steps` are those that are there.
    """
    rules = frozenset(rules)
    nothing = frozenset()
    journals, acknowledged = frozenset([(0, "dead")]), frozenset(["dead"])
    first = World(frozenset(steps), journals, nothing, (), outside, acknowledged, tuple(processes))
    before = {first: None}
    waiting = deque(before)
    while waiting:
        world = waiting.popleft()
        if (fault := fault_of(world, rules)) is not None:
            return before, (fault, trace_to(world, before))
        for name, after in next_worlds(world, rules):
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
    ("processes", "outside"),
    [
        ([WRITER, WRITER, FAULTY], 0),
        ([WRITER._replace(commits=1), COMMITTER], 0),
        ([KNOWING._replace(commits=2), KNOWING], 1),
        ([COMMITTER, RESUMER], 1),
        ([FAULTY, RESUMER._replace(writes=True)], 0),
        ([FAULTY._replace(writes=True), COMMITTER], 0),
        ([COMMITTER, KNOWING, DYING], 1),
    ],
)
def test_no_order_of_steps_loses_or_commits_twice(processes, outside):
    worlds, counterexample = explore(processes, outside=outside)
    assert counterexample is None
    ends = {process.at for world in worlds for process in world.processes}
    assert {"left", "idle"} <= ends
    assert any(world.branch and world.steps for world in worlds)
    assert any(world.branch and not world.steps for world in worlds)


LOST = "an acknowledged record is lost"
TWICE = "a record is committed twice"


@pytest.mark.parametrize(
    ("rule", "processes", "fault"),
    [
        ("steps before the record", [WRITER, COMMITTER], LOST),
        ("this step before the next", [WRITER, COMMITTER], LOST),
        ("no look after making", [COMMITTER, KNOWING], TWICE),
        ("no look after the tries", [COMMITTER, COMMITTER], TWICE),
        ("swap before the try", [COMMITTER], TWICE),
        ("remove the last step first", [WRITER, COMMITTER], LOST),
        ("no look before an open step", [WRITER, FAULTY], LOST),
        (
            "an ended step is one after a closed one",
            [KNOWING._replace(commits=2), COMMITTER],
            TWICE,
        ),
        (
            "an ended step is one after a closed one",
            [WRITER._replace(commits=1), COMMITTER],
            LOST,
        ),
        ("any closed step", [COMMITTER, KNOWING, DYING], TWICE),
        ("any step before open", [FAULTY, DYING, RESUMER._replace(writes=True)], LOST),
    ],
)
def test_model_finds_what_other_rules_break(rule, processes, fault):
    outside = int(fault == TWICE)
    _, (found, trace) = explore(processes, outside=outside, rules=[rule])
    assert found == fault
    assert ("outside commit" in trace) == bool(outside)


def test_model_finds_that_a_fork_may_begin_a_session_anew_that_ended():
    # a known limit: a copy that a fork made before there were journals cannot tell that all is gone
    _, (found, trace) = explore([WRITER, COMMITTER, FORKED._replace(commits=0)])
    assert found == LOST
    assert "2 begin" in trace


@pytest.mark.parametrize("rule", ["any open step", "any step before closed"])
def test_model_finds_what_a_late_reopening_breaks_by_other_rules(rule):
    closed = Step(1, CLOSED, "closed", "first")
    known = KNOWING.known
    second = Step(2, OPEN, "second", "closed", known)
    late = Process(at="reopen", closed=closed, known=known, dies="look reopened")
    processes = [WRITER._replace(step=second), COMMITTER._replace(step=second), late]
    steps = [FIRST, closed, second]
    assert explore(processes, steps=steps)[1] is None
    _, (found, trace) = explore(processes, steps=steps, rules=[rule])
    assert found == LOST
    assert "2 reopen 2" in trace
