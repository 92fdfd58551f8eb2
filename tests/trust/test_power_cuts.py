"""The power goes off at any point of writing: what was promised is there, and it goes on."""

import os
import shutil
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from power_checks import check_store
from power_model import Cut, files_after, iter_more_cuts, iter_plain_cuts
from power_recorder import record
from power_script import KINDS

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).with_name("power_script.py")
LARGE = os.environ.get("IPLDSTORE_EVERY_CUT") == "1"
CUTS = 3000 if LARGE else 80
SUBSETS = 40 if LARGE else 4


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Record all stores in one run and return the operations of each by its folder's name."""
    folder = tmp_path_factory.mktemp("recorded")
    found = {}
    command = [sys.executable, "-W", "ignore", SCRIPT, folder]
    for operation in record(command, folder, folder / "marks"):
        if operation.kind == "mark" and operation.path.startswith("begin "):
            name = operation.path.removeprefix("begin ")
            found[name] = []
        elif operation.path != name or operation.kind != "mkdir":
            found[name].append(_below(operation, name))
    return found


def _below(operation, name):
    if operation.kind == "mark":
        return operation
    paths = (path.removeprefix(name).lstrip("/") for path in (operation.path, operation.target))
    return operation._replace(**dict(zip(("path", "target"), paths, strict=True)))


@pytest.fixture
def disk():
    """Yield a folder in memory, where there is one, so that thousands of files are made fast."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def choose_cuts(operations, amount):
    """Choose cuts, always the same ones; a process that is killed is one that loses nothing."""
    random = Random(1)
    yield from (Cut(at) for at in range(len(operations) + 1))
    for cuts in (iter_plain_cuts(operations), iter_more_cuts(operations, random, SUBSETS)):
        different = list(dict.fromkeys(cuts))
        yield from random.sample(different, min(amount, len(different)))


def lay_out(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(files):
        if files[path] is None:
            (folder / path).mkdir()
        else:
            # what SQLite shares between processes in memory is no record of anything
            is_memory = path.endswith("-shm")
            (folder / path).write_bytes(b"\xa5" * 32768 if is_memory else files[path])


def marks_around(operations, at):
    marks = [operation.path for operation in operations[:at] if operation.kind == "mark"]
    later = [operation.path for operation in operations[at:] if operation.kind == "mark"]
    return marks, (later or [""])[0]


def try_cuts(kind, how, operations, cuts, disk):
    for cut in cuts:
        lay_out(disk / "cut", files_after(operations, cut))
        try:
            check_store(kind, disk / "cut", how, *marks_around(operations, cut.at))
        except Exception as error:
            around = [o._replace(data=b"") for o in operations[max(0, cut.at - 3) : cut.at]]
            error.add_note(f"{cut}, after {around}")
            raise


@pytest.mark.parametrize("how", ["plain", "fsync", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_power_cut_at_every_point(recorded, disk, record_property, kind, how):
    operations = recorded[kind if how == "plain" else f"{kind}-{how}"]
    cuts = list(choose_cuts(operations, CUTS))
    record_property("cuts", len(cuts))
    try_cuts(kind, how, operations, cuts, disk)


def test_power_cut_while_a_database_is_made(recorded, disk):
    # pages are mostly zeros, and so is what is lost: checksums in the journal may not tell
    operations = recorded["sqlite"]
    made = next(n for n, o in enumerate(operations) if o.path.endswith("-wal"))
    cuts = iter_more_cuts(operations[: made + 1], Random(1), subsets=0)
    try_cuts("sqlite", "plain", operations, [cut for cut in cuts if len(cut.lost) == 1], disk)
