"""A process that dies at any step of a put: the block is whole or absent, the next put works."""

import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from crash_script import DIED

from ipldstore import BlockNotFoundError, DirectoryCAStore
from ipldstore.cid import make_link

SCRIPT = Path(__file__).with_name("crash_script.py")
DATA = b"hello" * 1000
CID = make_link(DATA)

# the calls that write a file; with fsync its bytes before its name, its name in the folder, and
# once the name of the folder
NOT_SYNCED = "open write close replace"
SYNCED = "open write fsync close replace open fsync close open fsync close"
NEVER = 1000


def new_folder(folder):
    return []


def new_shard(folder):
    DirectoryCAStore(folder)
    return []


def damaged_block(folder):
    backend = DirectoryCAStore(folder)
    backend.put(DATA)
    (file,) = folder.glob("??/*.data")
    file.write_bytes(b"damaged")
    return [b"damaged"]


def put_and_die(folder, step, fsync):
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(step), str(fsync)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def check_whole_or_absent(folder, before):
    for file in folder.glob("??/*.data"):
        assert file.read_bytes() in [DATA, *before]
    if not before and folder.exists():
        with suppress(BlockNotFoundError):
            assert DirectoryCAStore(folder).get_block(CID) == DATA


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("prepare", [new_folder, new_shard, damaged_block])
def test_death_at_every_step(tmp_path, prepare, fsync):
    for step in count():
        folder = tmp_path / str(step)
        before = prepare(folder)
        result = put_and_die(folder, step, fsync)
        if result.returncode == 0:
            break
        assert result.returncode == DIED, result.stderr
        check_whole_or_absent(folder, before)
        backend = DirectoryCAStore(folder, fsync=fsync)
        backend.put(DATA)
        assert backend.get_block(CID) == DATA
    assert result.stdout.endswith(SYNCED if fsync else NOT_SYNCED)


def test_new_shard_folder_is_synced_in_its_parent(tmp_path):
    new_shard(tmp_path)
    assert f"mkdir {SYNCED}" in put_and_die(tmp_path, NEVER, True).stdout
