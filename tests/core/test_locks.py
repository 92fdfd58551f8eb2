"""One rule for every lock of the package: who may make one, and what becomes of it in a fork."""

import ast
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ipldstore
from ipldstore import ReentrantCallError
from ipldstore.basics.locks import Guard, Turns

DEADLINE = 30
PACKAGE = Path(ipldstore.__file__).parent
LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "allocate_lock"}


def locks_made_in(source):
    """Return the lines that make a lock, other than one of asyncio."""
    made = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in LOCKS and not name.startswith("asyncio."):
                made.append(node.lineno)
    return made


def test_no_other_locks():
    made = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := locks_made_in(path.read_text(encoding="utf-8")))
    }
    assert set(made) == {"basics/locks.py"}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import threading\nlock = threading.Lock()", [2]),
        ("lock = RLock()", [1]),
        ("slots = BoundedSemaphore(3)", [1]),
        ("slots = asyncio.Semaphore(3)", []),
        ("guard = Guard()", []),
    ],
)
def test_the_search_itself_can_fail(source, lines):
    assert locks_made_in(source) == lines


def test_same_thread_is_refused_and_others_wait():
    guard, entered, left = Guard(), threading.Event(), []

    def enter():
        entered.set()
        with guard():
            left.append("other")

    with guard():
        assert guard.is_taken
        with pytest.raises(ReentrantCallError, match="signal handler"):
            guard()
        other = threading.Thread(target=enter)
        other.start()
        assert entered.wait(DEADLINE)
        left.append("first")
    other.join(DEADLINE)
    assert left == ["first", "other"]
    assert not guard.is_taken
    with guard():
        """It may come again once it has left."""


def test_bell_wakes_who_listens():
    guard, woken = Guard(), []
    with guard():
        bell = guard.listen()
    thread = threading.Thread(target=lambda: woken.append(bell.wait()))
    thread.start()
    guard.ring()
    thread.join(DEADLINE)
    assert woken == [None]
    bell.wait(0)


def test_turns_are_bounded_and_come_back():
    turns, taken = Turns(2), []
    first, second = turns.begin(), turns.begin()
    assert len(turns) == 2
    thread = threading.Thread(target=lambda: taken.append(turns.begin()))
    thread.start()
    first.end()
    thread.join(DEADLINE)
    assert len(taken) == 1
    assert len(turns) == 2
    second.end()
    assert len(turns) == 1


def test_turns_that_become_more_wake_all_who_wait():
    turns, taken = Turns(1), []
    first = turns.begin()
    threads = [threading.Thread(target=lambda: taken.append(turns.begin())) for _ in range(3)]
    for thread in threads:
        thread.start()
    turns.limit = 3
    first.end()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(turns) == len(taken) == 3


def test_turns_that_become_fewer_are_taken_once_enough_are_back():
    turns = Turns(3)
    first, second = turns.begin(), turns.begin()
    turns.limit = 1
    first.end()
    with pytest.raises(ReentrantCallError):
        turns.begin()
    second.end()
    turns.begin()


def test_turn_that_was_lost_comes_back():
    turns = Turns(1)
    turns.begin()
    gc.collect()
    assert len(turns) == 0


def test_thread_does_not_wait_for_its_own_turn():
    turns = Turns(1)
    turn = turns.begin()
    with pytest.raises(ReentrantCallError):
        turns.begin()
    turn.end()


FORK = """
import os, threading
from ipldstore.basics.locks import Guard, Turns

class Owner:
    def __init__(self):
        self.guard = Guard(self.renew, self.prepare)
        self.said = []
    def prepare(self): self.said.append("prepare")
    def renew(self): self.said.append("renew")

owner, turns, inside, leave = Owner(), Turns(1), threading.Event(), threading.Event()
def hold():
    turn = turns.begin()
    with owner.guard():
        inside.set()
        leave.wait(60)
thread = threading.Thread(target=hold)
thread.start()
inside.wait(60)
child = os.fork()
if not child:
    with owner.guard():
        turns.begin().end()
    print(*owner.said, "entered", flush=True)
    os._exit(0)
status = os.waitpid(child, 0)[1]
leave.set()
thread.join()
print(*owner.said, status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_process_finds_no_lock_taken():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.stdout.splitlines() == ["prepare renew entered", "prepare 0"], done.stderr
