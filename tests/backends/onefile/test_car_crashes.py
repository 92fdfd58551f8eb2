"""A process that dies at any step of adding to an archive: the old dataset is there, or the new."""

import subprocess
import sys
from pathlib import Path

import pytest

from ipldstore import IPLDStore
from ipldstore.backends.carfile.store import CARStore

SCRIPT = Path(__file__).with_name("car_crash_script.py")
OLD = {"a/0": b"old" * 1000}
NEW = {"b/0": b"new" * 1000, "b/1": b"newer" * 1000}

# each block is a length with a CID, and its bytes; with fsync all blocks before the root
BLOCKS = "pwrite pwrite pwrite pwrite pwrite pwrite"


def write(path, values):
    with CARStore(path) as backend:
        store = IPLDStore(backend)
        store.update(values)
        return store.freeze()


def run_script(source, folder, fsync):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(source), str(folder), str(fsync)],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("old", [{}, OLD])
def test_death_at_every_step(tmp_path, old, fsync):
    source, copies = tmp_path / "source.car", tmp_path / "copies"
    if old:
        write(source, old)
    copies.mkdir()
    calls = run_script(source, copies, fsync)
    new = old | NEW
    found = []
    for step in range(len(calls.split())):
        path = copies / f"{step}.car"
        with CARStore(path) as backend:
            found.append(dict(IPLDStore(backend)))
        assert found[-1] in (old, new)
        root = write(path, NEW)
        after = IPLDStore.from_car(path)
        assert (after.root_cid, dict(after)) == (root, new)
    assert (found[0], found[-1]) == (old, new)
    assert found == sorted(found, key=len)


@pytest.mark.parametrize("fsync", [False, True])
def test_blocks_are_on_the_disk_before_the_root(tmp_path, fsync):
    write(tmp_path / "source.car", OLD)
    calls = run_script(tmp_path / "source.car", tmp_path, fsync).split()
    written = " ".join(name for name in calls if name in ("pwrite", "fsync"))
    assert written == (f"{BLOCKS} fsync pwrite fsync" if fsync else f"{BLOCKS} pwrite")
