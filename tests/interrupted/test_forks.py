"""Forks while threads use a store, from several threads at once, and from signal handlers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEADLINE = 150

pytestmark = [pytest.mark.once, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]


def run(what, kind, folder):
    """Return how many children said what of their use of a store, and how many blocks were lost."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "fork_points.py", what, kind, folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    print(what, kind, said, file=sys.stderr)
    return said


@pytest.mark.parametrize("what", ["threads", "together"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("folder", "right"),
        ("sqlite", "right"),
        ("car", "only reads"),
        ("cache", "right"),
        ("union, race", "right"),
        ("objects", "refused"),
    ],
)
def test_threads_that_use_the_store(tmp_path, what, kind, expected):
    assert run(what, kind, tmp_path) == {expected: 20, "lost": 0}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("folder", {"right"}),
        ("sqlite", {"right", "refused"}),
        ("car", {"only reads"}),
        ("cache", {"right"}),
        ("objects", {"refused"}),
    ],
)
def test_signal_handler_that_forks_at_every_point(tmp_path, kind, expected):
    said = run("points", kind, tmp_path)
    assert said.pop("lost") == 0
    assert set(said) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sqlite", {"right", "refused"}), ("car", {"only reads", "refused"})],
)
def test_interrupted_call_that_goes_on_in_the_child(tmp_path, kind, expected):
    said = run("on", kind, tmp_path)
    assert said.pop("lost") == 0
    assert set(said) <= expected
