"""The power goes off at any point of moving a pointer in a folder of blocks, or an archive."""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from power_model import files_after, iter_more_cuts, iter_plain_cuts
from power_recorder import record

from ipldstore import CARStore, DirectoryCAStore
from ipldstore.cid import make_link
from ipldstore.history.state import Operation, State

pytestmark = pytest.mark.once

CIDS = [None, *(make_link(b"%d" % number) for number in range(4))]

SCRIPT = """
import os, sys
from ipldstore import DirectoryCAStore
from ipldstore.cid import as_link

folder, fsync, *cids = sys.argv[1:]
marks = os.open(f"{folder}/marks", os.O_WRONLY | os.O_CREAT)
store = DirectoryCAStore(f"{folder}/blocks", fsync=fsync == "True")
os.write(marks, b"begun")
at = None
for cid in map(as_link, cids):
    assert store.swap_pointer("default", at, cid)
    os.write(marks, b"moved")
    at = cid
"""


def make_state(number):
    operation = Operation(kind="test", time=number)
    state = State(branches={}, tags={}, default="main", operation=operation, nonce=bytes(16))
    return state.encode()


BLOCKS = [make_state(number) for number in range(4)]
STATES = [None, *(make_link(data, "dag-cbor") for data in BLOCKS)]

ARCHIVE_SCRIPT = """
import os, sys
from ipldstore import CARStore
from ipldstore.cid import make_link

folder, *blocks = sys.argv[1:]
marks = os.open(f"{folder}/marks", os.O_WRONLY | os.O_CREAT)
os.mkdir(f"{folder}/blocks")
store = CARStore(f"{folder}/blocks/data.car", fsync=True)
at = None
for data in map(bytes.fromhex, blocks):
    cid = make_link(data, "dag-cbor")
    store.put_block(cid, data)
    assert store.swap_pointer("default", at, cid)
    os.write(marks, b"moved")
    at = cid
"""


def within(operation):
    """Return an operation with its paths from the folder of blocks on."""
    if operation.kind == "mark":
        return operation
    path, target = (
        text.removeprefix("blocks").lstrip("/") for text in (operation.path, operation.target)
    )
    return operation._replace(path=path, target=target)


def lay_out(folder, files):
    folder.mkdir()
    for path, data in sorted(files.items()):
        if data is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).write_bytes(data)


@pytest.mark.parametrize("fsync", [False, True])
def test_power_cut_at_every_point(tmp_path, fsync):
    """Nothing is half-written; with fsync, no move that was told of is undone."""
    command = [sys.executable, "-c", SCRIPT, tmp_path, str(fsync), *map(str, CIDS[1:])]
    made, *rest = record(command, tmp_path, tmp_path / "marks")
    assert (made.kind, made.path) == ("mkdir", "blocks")
    operations = list(map(within, rest))
    assert [one.kind for one in operations].count("link") == 4
    begun = [one.path for one in operations].index("begun")
    cuts = [*iter_plain_cuts(operations), *iter_more_cuts(operations, Random(1), 4)]
    found = set()
    for cut in cuts:
        if cut.at <= begun:
            continue
        moved = [one.path for one in operations[: cut.at]].count("moved")
        with TemporaryDirectory(dir=tmp_path) as name:
            folder = tmp_path / name / "blocks"
            lay_out(folder, files_after(operations, cut))
            store = DirectoryCAStore(folder)
            at = CIDS.index(store.read_pointer("default"))
            assert (moved if fsync else 0) <= at <= moved + 1, cut
            assert store.swap_pointer("default", CIDS[at], make_link(b"goes on")), cut
        found.add((moved, at))
    assert {(moved, moved) for moved in range(5)} <= found
    assert ((4, 0) in found) == (not fsync)


def test_power_cut_at_every_point_of_an_archive(tmp_path):
    """With fsync, no move that was told of is undone, and a state is there before its pointer."""
    texts = [data.hex() for data in BLOCKS]
    command = [sys.executable, "-c", ARCHIVE_SCRIPT, tmp_path, *texts]
    made, *rest = record(command, tmp_path, tmp_path / "marks")
    assert (made.kind, made.path) == ("mkdir", "blocks")
    operations = list(map(within, rest))
    found = set()
    for cut in [*iter_plain_cuts(operations), *iter_more_cuts(operations, Random(1), 4)]:
        moved = [one.path for one in operations[: cut.at]].count("moved")
        with TemporaryDirectory(dir=tmp_path) as name:
            path = Path(name) / "data.car"
            for data in files_after(operations, cut).values():
                path.write_bytes(data)
            with CARStore(path) as store:
                at = STATES.index(store.read_pointer("default"))
                assert moved <= at <= moved + 1, cut
                new = store.make_cid(make_state(9), "dag-cbor")
                store.put_block(new, make_state(9))
                assert store.swap_pointer("default", STATES[at], new), cut
        found.add((moved, at))
    assert {(moved, moved) for moved in range(5)} <= found
