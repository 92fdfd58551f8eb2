"""Processes that are forked in the middle of a change find the store usable, and one content."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from interrupts import act_at, count_points
from operations import BEFORE, delete, delete_what_was_alone, freeze, normalize, set_deep, set_new

from ipldstore import IPLDStore

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).with_name("fork_tree_script.py")


@pytest.mark.parametrize("blocks", ["memory", "folder"])
def test_forks_while_threads_write(blocks, tmp_path):
    folder = tmp_path / "blocks" if blocks == "folder" else ""
    done = subprocess.run(
        [sys.executable, SCRIPT, folder],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "operation",
    [set_new, set_deep, delete, delete_what_was_alone, freeze, normalize],
    ids=lambda operation: operation.__name__,
)
def test_fork_at_every_point(operation):
    """By the thread that is in the middle of it, as a signal handler may do."""

    def make():
        store = IPLDStore()
        store.update(BEFORE)
        return store

    def fork():
        nonlocal seen
        pid = os.fork()
        if pid == 0:
            try:
                content = dict(store)
                os._exit(0 if content in (BEFORE, after) else 1)
            except BaseException as error:
                os.write(2, f"{error!r}\n".encode())
                os._exit(2)
        seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    store = make()
    points = count_points(lambda: operation(store))
    after = dict(store)
    seen = []
    for point in range(1, points + 1, -(-points // 20)):
        store = make()
        act_at(point, fork, lambda store=store: operation(store))
        assert dict(store) == after
    assert set(seen) == {0}
