"""Processes that commit to one branch at once: every commit that returned is in the history."""

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from servers import S3

from ipldstore import Repository

SCRIPT = Path(__file__).with_name("commit_script.py")
PROCESSES, COMMITS = (8, 60) if os.environ.get("IPLDSTORE_MANY") else (3, 5)


ARRAY = b"""{"zarr_format":3,"node_type":"array","shape":[%d],"data_type":"uint8","chunk_grid":{
"name":"regular","configuration":{"chunk_shape":[1]}},"chunk_key_encoding":{"name":"default",
"configuration":{"separator":"/"}},"fill_value":0,"codecs":[{"name":"bytes"}],"attributes":{}}"""


@pytest.fixture(params=["folder", "sqlite", "s3"])
def place(request, tmp_path):
    """Where the repository is, and the options of its block store."""
    if request.param == "folder":
        yield str(tmp_path / "blocks"), {}
    elif request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'blocks.sqlite'}", {}
    else:
        with S3(tmp_path) as server:
            yield server.make_bucket(), server.make_options()


def begin(place, options):
    with Repository.create(place, **options) as repo, repo.writable(message="begin") as session:
        session["x/zarr.json"] = ARRAY % (PROCESSES * COMMITS)


def run(place, options, killed):
    """Run the processes; return what they said that they committed, and how they ended."""
    command = [sys.executable, str(SCRIPT), place, json.dumps(options)]
    running = [
        subprocess.Popen([*command, str(index), str(COMMITS)], stdout=subprocess.PIPE, text=True)
        for index in range(PROCESSES)
    ]
    said = {}
    chooser = random.Random(7)
    ends = {index: chooser.randrange(1, COMMITS + 1) for index in range(PROCESSES)}

    def listen(index, process):
        for number, line in enumerate(process.stdout, 1):
            chunk, commit = line.split()
            said[int(chunk)] = commit
            if killed and number == ends[index]:
                process.kill()
        process.wait()
        process.stdout.close()

    threads = [threading.Thread(target=listen, args=item) for item in enumerate(running)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said, [process.returncode for process in running]


@pytest.mark.parametrize("killed", [False, True], ids=["to the end", "killed"])
def test_all_that_returned_are_there(place, killed):
    url, options = place
    begin(url, options)
    said, codes = run(url, options, killed)
    if not killed:
        assert codes == [0] * PROCESSES
        assert len(said) == PROCESSES * COMMITS
    with Repository(url, **options) as repo:
        found = [str(version.cid) for version in repo.log()]
        messages = [version.message for version in repo.log()]
        assert len(set(messages)) == len(messages)
        assert set(said.values()) <= set(found)
        assert all(len(version.parents) == 1 for version in list(repo.log())[:-1])
        store = repo.readonly()
        assert {chunk: store[f"x/c/{chunk}"] for chunk in said} == {
            chunk: b"%d" % chunk for chunk in said
        }
        assert len(found) - 1 <= len(said) + killed * PROCESSES
