"""Several processes that write into one folder of blocks at once."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipldstore import DirectoryCAStore
from ipldstore.cid import make_link

SCRIPT = Path(__file__).with_name("put_script.py")


def run_together(folders):
    """Start one process for each folder and let all of them go when the last is ready."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(SCRIPT), str(folder), str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for number, folder in enumerate(folders)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors


def check_folder(folder, processes):
    backend = DirectoryCAStore(folder)
    blocks = [b"shared %d " % i * 5000 for i in range(40)]
    blocks += [b"process %d block %d" % (number, i) for number in processes for i in range(20)]
    for data in blocks:
        assert backend.get_block(make_link(data)) == data
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(blocks) + 1
    assert not [path for path in files if path.name.startswith(".")]


@pytest.mark.parametrize("exists", [False, True])
def test_eight_processes_put_the_same_and_other_blocks(tmp_path, exists):
    folder = tmp_path / "blocks"
    if exists:
        DirectoryCAStore(folder)
    run_together([folder] * 8)
    check_folder(folder, range(8))


def test_two_processes_make_the_same_new_folder(tmp_path):
    folders = [tmp_path / str(number // 2) / "new" for number in range(8)]
    run_together(folders)
    for pair in range(4):
        check_folder(folders[2 * pair], [2 * pair, 2 * pair + 1])
