"""Full disks, disks that fail, and writers that are killed: a typed error, and it goes on."""

import errno
import os
import subprocess
from pathlib import Path
from random import Random

import pytest
from power_checks import check_store, next_mark
from power_faults import CALLS, run_with_fault
from power_script import FIRST, KINDS, THIRD, make_archive, open_blocks

from ipldstore import BackendError, IPLDStore, MappingCAStore
from ipldstore.cid import as_link, make_link
from ipldstore.history.state import Operation, State

pytestmark = pytest.mark.once

LARGE = os.environ.get("IPLDSTORE_EVERY_CUT") == "1"
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
BIG = b"more than is left on the disk " * 20_000
BIG_CID = make_link(BIG)


def prepared(kind, folder):
    """Make the folder of a store, whose parent has to be there when it is only looked at."""
    (folder / "new" if kind == "directory" else folder).mkdir(parents=True, exist_ok=True)
    return folder


def make_state(number):
    operation = Operation(kind="test", time=number)
    state = State(branches={}, tags={}, default="main", operation=operation, nonce=bytes(16))
    return state.encode()


def faults_of(kind, fault):
    """List calls and when they are to fail: every time, or some that are always the same."""
    times = [(call, n) for call, most in CALLS[kind].items() for n in range(1, most + 1)]
    return times if LARGE else Random(f"{kind} {fault}").sample(times, 2)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_call_that_fails_or_kills(tmp_path, kind, fault):
    for call, number in faults_of(kind, fault):
        folder = prepared(kind, tmp_path / f"{call}-{number}")
        marks, end = run_with_fault(kind, folder, call, number, fault)
        expected = {"killed"} if "KILL" in fault else {"BackendError"}
        if kind == "sqlite" or call == "mkdir":
            # SQLite tidies up when it closes a file, and may leave it if it cannot; a folder
            # that is there already need not be made
            expected.add("done")
        assert end in expected, (call, number)
        try:
            check_store(kind, folder, "fsync", marks, next_mark(marks))
        except Exception as error:
            error.add_note(f"{fault} at {call} number {number}")
            raise


@pytest.fixture
def small_disk(tmp_path):
    """Yield a folder on a disk of its own, of 4 MiB, and what makes it full or not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder, leave=0):
    """Fill the disk of a folder but for some bytes, and return the file that does it."""
    filler = folder / "filler"
    status = os.statvfs(folder)
    filler.write_bytes(b"x" * (status.f_bavail * status.f_frsize - leave))
    return filler


def names_in(folder):
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != "filler"}


@pytest.mark.parametrize("kind", KINDS)
def test_put_on_a_full_disk(small_disk, kind):
    with open_blocks(kind, prepared(kind, small_disk)) as blocks:
        blocks.put(b"before")
        blocks.flush()
        names = names_in(small_disk)
        filler = fill(small_disk, leave=100_000)
        with pytest.raises(BackendError) as caught:
            blocks.put(BIG)
        assert getattr(caught.value.__cause__, "errno", errno.ENOSPC) == errno.ENOSPC
        assert names_in(small_disk) <= names
        assert blocks.get(make_link(b"before")) == b"before"
        if kind != "sqlite":
            assert BIG_CID not in blocks
        filler.unlink()
        blocks.put(BIG)
    with open_blocks(kind, small_disk) as blocks:
        assert blocks.get_block(BIG_CID) == BIG


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "car"])
def test_swap_on_a_full_disk(small_disk, kind):
    with open_blocks(kind, prepared(kind, small_disk)) as blocks:
        first, second = (make_link(b"%d" % number) for number in range(2))
        assert blocks.swap_pointer("default", None, first)
        names = names_in(small_disk)
        if kind == "sqlite":
            # the pages of the log that are there already would be enough for a pointer
            blocks.put_raw(BIG, "raw")
        filler = fill(small_disk)
        with pytest.raises(BackendError) as caught:
            blocks.swap_pointer("default", first, second)
        assert getattr(caught.value.__cause__, "errno", errno.ENOSPC) == errno.ENOSPC
        assert names_in(small_disk) == names
        assert blocks.read_pointer("default") == first
        filler.unlink()
        assert blocks.swap_pointer("default", first, second)
    with open_blocks(kind, small_disk) as blocks:
        assert blocks.read_pointer("default") == second


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "car"])
def test_journal_on_a_full_disk(small_disk, kind):
    """What does not fit is refused; a journal is made whole or not at all."""
    with open_blocks(kind, prepared(kind, small_disk)) as blocks:
        blocks.append_journal("g", "a", 0, b"first")
        names = names_in(small_disk)
        filler = fill(small_disk, leave=100_000)
        for use in (
            lambda: blocks.make_journal("g", "b", BIG),
            lambda: blocks.append_journal("g", "a", 5, BIG),
        ):
            with pytest.raises(BackendError) as caught:
                use()
            assert getattr(caught.value.__cause__, "errno", errno.ENOSPC) == errno.ENOSPC
        assert names_in(small_disk) <= names
        assert blocks.find_journals("g", ["b"]) == [False]
        assert (b"first" + BIG).startswith(blocks.read_journal("g", "a"))
        filler.unlink()
        assert blocks.make_journal("g", "b", BIG)
        blocks.append_journal("g", "c", 0, BIG)
    with open_blocks(kind, small_disk) as blocks:
        assert blocks.read_journal("g", "a").startswith(b"first")
        assert blocks.read_journal("g", "b") == blocks.read_journal("g", "c") == BIG


def test_swap_in_an_archive_on_a_full_disk(small_disk):
    """The root has its place already, so that only the state may find none."""
    first, second = map(make_state, range(2))
    with open_blocks("car", prepared("car", small_disk)) as blocks:
        old = as_link(blocks.put_raw(first, "dag-cbor"))
        assert blocks.swap_pointer("default", None, old)
        filler = fill(small_disk)
        with pytest.raises(BackendError):
            for number in range(2, 100):
                blocks.put_raw(make_state(number), "dag-cbor")
        assert blocks.read_pointer("default") == old
        filler.unlink()
        new = as_link(blocks.put_raw(second, "dag-cbor"))
        filler = fill(small_disk)
        assert blocks.swap_pointer("default", old, new)
    with open_blocks("car", small_disk) as blocks:
        assert blocks.read_pointer("default") == new


@pytest.mark.parametrize("kind", KINDS)
def test_freeze_on_a_full_disk(small_disk, kind):
    with open_blocks(kind, prepared(kind, small_disk)) as blocks:
        store = IPLDStore(blocks)
        store.update(FIRST)
        first = store.freeze()
        store.clear()
        if kind == "sqlite":
            store["many"] = BIG[:300_000]
        store.update({f"many/{i}" if kind != "sqlite" else f"m/{i}": b"%d" % i for i in range(99)})
        filler = fill(small_disk)
        with pytest.raises(BackendError):
            store.freeze()
        assert store.root_cid is None
        assert dict(IPLDStore(blocks, root=first)) == FIRST
        filler.unlink()
        root = store.freeze()
        assert len(IPLDStore(blocks, root=root)) == len(store)
    with open_blocks(kind, small_disk) as blocks:
        assert dict(IPLDStore(blocks, root=root)) == dict(store)


@pytest.mark.parametrize("kind", KINDS)
def test_import_on_a_full_disk(small_disk, kind):
    archive = make_archive(THIRD | {"big": BIG})
    with open_blocks(kind, prepared(kind, small_disk)) as blocks:
        store = IPLDStore(blocks)
        store.update(FIRST)
        store.freeze()
        filler = fill(small_disk, leave=20_000)
        with pytest.raises(BackendError):
            store.import_car(archive)
        assert dict(store) == FIRST
        filler.unlink()
        store.import_car(archive)
        assert dict(store) == THIRD | {"big": BIG}


def test_export_on_a_full_disk(small_disk):
    store = IPLDStore(MappingCAStore())
    store["big"] = BIG
    filler = fill(small_disk, leave=100_000)
    with pytest.raises(OSError, match="No space left") as caught:
        store.to_car(small_disk / "data.car")
    assert caught.value.errno == errno.ENOSPC
    assert names_in(small_disk) == set()
    filler.unlink()
    store.to_car(small_disk / "data.car")
    assert dict(IPLDStore.from_car(small_disk / "data.car")) == dict(store)


def test_export_to_a_device_that_is_full():
    store = IPLDStore()
    store["a"] = b"value"
    with pytest.raises(OSError, match="No space left"):
        store.to_car("/dev/full")
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("kind", KINDS)
def test_new_store_on_a_full_disk(small_disk, kind):
    prepared(kind, small_disk)
    filler = fill(small_disk)
    with pytest.raises(BackendError), open_blocks(kind, small_disk) as blocks:
        blocks.put(b"block")
    filler.unlink()
    with open_blocks(kind, small_disk) as blocks:
        assert blocks.get(blocks.put(b"block")) == b"block"
