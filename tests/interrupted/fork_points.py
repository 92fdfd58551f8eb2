"""Forks at points of the calls of a store, or while threads use it, and tells what came of it.

Arguments: what to do, a kind of store, and a folder. ``points``: a signal handler forks. ``on``:
the same, and the interrupted call goes on in the child. ``threads``: one thread forks while two use
the store. ``together``: four threads do. The children say by their exit status what became of their
use of the store; how many said what is printed as JSON.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

from store_kinds import KINDS, OPERATIONS, Blocks, put

from ipldstore import BackendError
from ipldstore.backends.sqlite import connections
from ipldstore.blockstore.abilities import KeepsJournals, KeepsPointers
from tests.interrupts import act_at, count_points

DEADLINE = 30
TRIED = 1 << 30 if os.environ.get("IPLDSTORE_EVERY_POINT") else 40
STATUSES = {0: "right", 2: "only reads", 3: "refused", 4: "wrong", 5: "failed", None: "hung"}


def use(store, blocks, own):
    """Read what was flushed, and put something; return the status of a child that does so."""
    status = 3
    try:
        link, data = next(iter(blocks.made.items()))
        if store.get_block(link) != data:
            return 4
        status = 2
        put(store, own)
        store.flush()
        return 0 if store.get_block(own[0]) == own[1] else 4
    except BackendError:
        return status
    except Exception:
        return 5


def wait_for(child):
    """Return the status of a child; None if it had to be killed."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def fork(store, blocks, own):
    child = os.fork()
    if not child:
        try:
            os._exit(use(store, blocks, own))
        except BaseException:
            os._exit(5)
    return child


def fork_at_points(store, blocks, goes_on):
    said = Counter()
    names = ["get", "put many", "flush"]
    if isinstance(store, KeepsPointers) and not goes_on:
        # of two processes that go on, only one moves the pointer, or appends
        names.append("swap")
    if isinstance(store, KeepsJournals) and not goes_on:
        names += ["append", "append, first"]
    for name in names:
        prepare, work = OPERATIONS[name]
        count = count_points(partial(work, store, prepare(store, blocks)))
        for point in range(1, count + 1, max(1, count // TRIED)):
            call = partial(work, store, prepare(store, blocks))
            said.update(fork_at(point, call, store, blocks, goes_on))
    return said


def fork_at(point, call, store, blocks, goes_on):
    """Fork at a point of a call; return what the children say, if the point was reached."""
    own, children = blocks(), []

    def act():
        children.append(os.fork() if goes_on else fork(store, blocks, own))

    try:
        act_at(point, act, call)
        has_ended = True
    except BackendError:
        has_ended = False
    if children == [0]:
        os._exit(use(store, blocks, own) if has_ended else 3)
    assert has_ended
    put(store, own)
    return [STATUSES.get(wait_for(child), "died") for child in children]


def fork_while_threads_work(store, blocks, forkers):
    """Fork 20 times, from as many threads, while two others put and get."""
    said, stop = Counter(), threading.Event()
    lock = threading.Lock()

    def make():
        with lock:
            return blocks()

    def work():
        while not stop.is_set():
            block = make()
            put(store, block)
            store.flush()
            assert store.get_block(block[0]) == block[1]

    def fork_often():
        for _ in range(20 // forkers):
            own = make()
            status = wait_for(fork(store, blocks, own))
            said.update([STATUSES.get(status, "died")])
            put(store, own)

    workers = [threading.Thread(target=work) for _ in range(2)]
    forking = [threading.Thread(target=fork_often) for _ in range(forkers)]
    for thread in workers + forking:
        thread.start()
    for thread in forking:
        thread.join()
    stop.set()
    for thread in workers:
        thread.join()
    return said


def main(what, kind, folder):
    connections._FORK_SECONDS = 2.0
    store, blocks = KINDS[kind](Path(folder)), Blocks()
    put(store, blocks())
    store.flush()
    if what in ("points", "on"):
        said = fork_at_points(store, blocks, what == "on")
    else:
        said = fork_while_threads_work(store, blocks, 4 if what == "together" else 1)
    store.close()
    with KINDS[kind](Path(folder)) as fresh:
        lost = sum(fresh.get_block(link) != data for link, data in blocks.made.items())
    print(json.dumps({**said, "lost": lost}))


if __name__ == "__main__":
    main(*sys.argv[1:])
