"""An interrupt, or a signal handler that calls the store, at every point of every call of a store.

After each: others can use it, the call may be repeated, what was flushed is there, and no garbage.
"""

import contextlib
import gc
import os
import shutil
import sqlite3
import sys
import warnings
from functools import partial
from threading import Thread

import pytest
from store_kinds import JOURNALS, KINDS, OPERATIONS, SMALL_BUFFER, Blocks, put

import ipldstore.backends.directory.files as directory_module
import ipldstore.backends.sqlite.store as sqlite_module
from ipldstore import CARStore, DirectoryCAStore, ReentrantCallError, SQLiteCAStore
from ipldstore.backends.carfile import archive as archive_module
from ipldstore.backends.sqlite.connections import Connections
from tests.archives.carbytes import read_car
from tests.interrupts import PACKAGE, act_at, count_points, interrupt_at

DEADLINE = 30
TRIED = 1 << 30 if os.environ.get("IPLDSTORE_EVERY_POINT") else 25
"""How many of the points of a call are tried, evenly spread."""

# what stands between `with` and the generators of the package
WITHIN = PACKAGE, contextlib.__file__

pytestmark = [
    pytest.mark.once,
    # Python closes a file object that an interrupt loses, and says so
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    # what is raised in a finalizer goes no further than that
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOME = {
    "folder, fsync": ["put", "put many", "swap", "append", "append, first", "make journal"],
    "sqlite, fsync": ["flush", "swap", "append"],
    "sqlite, small": [name for name in OPERATIONS if name not in ("note root", *JOURNALS)],
    "car": [n for n in OPERATIONS if n not in ("get, opened", "swap, first", *JOURNALS)],
    "car, fsync": ["put", "flush", "close", "note root", "swap"],
    "cache, bound": ["put", "get"],
    "union": ["put", "get", "find missing", "flush", "swap", "append"],
    "union, race": ["get"],
    "faulty": ["put", "get", "flush", "swap", "append"],
    "objects, one by one": ["put", "get", "swap", "append"],
}
"""What is tried where it is not all; only an archive notes roots, and it has one pointer only."""

ALL = [name for name in OPERATIONS if name != "note root"]

CASES = [(kind, name) for kind in KINDS for name in SOME.get(kind, ALL)]


@pytest.fixture(autouse=True)
def small_buffer(request, monkeypatch):
    if "sqlite, small" in request.node.name:
        monkeypatch.setattr(sqlite_module, "_BUFFER_BYTES", SMALL_BUFFER)


def in_a_thread(work):
    """Do some work in another thread, and fail if it takes too long."""
    done = []
    thread = Thread(target=lambda: done.append(work()), daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), "another thread waits for ever"
    assert done, "another thread failed"


def check_folder(folder):
    """Check that there is no garbage, and that nothing is locked."""
    left = [path for path in folder.rglob("*") if path.name.startswith(".put-")]
    assert left == []
    for path in folder.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")


def check_end(kind, folder, blocks):
    """Check that a fresh store on the same files holds all, and that others can read them."""
    with KINDS[kind](folder) as fresh:
        for link, data in blocks.made.items():
            assert fresh.get_block(link) == data
    for path in folder.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for path in folder.glob("*.car"):
        _, read = read_car(path.read_bytes())
        assert {bytes(block.cid): block.data for block in read}.items() >= blocks.made.items()


def use_it(store, blocks):
    link, data = next(iter(blocks.made.items()))
    assert store.get_block(link) == data
    put(store, blocks())
    store.flush()


class Tried:
    """A store in a folder, and the blocks that were put into it."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        folder.mkdir()
        self.store, self.blocks = KINDS[kind](folder), Blocks()
        put(self.store, self.blocks())
        self.store.flush()

    def next(self):
        """Return what to go on with: what opens or lists takes longer the more there is in it."""
        if self.kind.startswith("sqlite"):
            return self
        self.end()
        return Tried(self.kind, self.folder.with_name(f"{int(self.folder.name) + 1}"))

    def end(self):
        self.store.close()
        check_end(self.kind, self.folder, self.blocks)
        shutil.rmtree(self.folder)


def iter_points(kind, name, folder, within):
    """Iterate the points of an operation, each with a store and what the operation works on."""
    operation = OPERATIONS[name]
    tried = Tried(kind, folder / "0")
    for _ in range(2):
        tried = tried.next()
        given = operation.prepare(tried.store, tried.blocks)
        count = count_points(partial(operation.work, tried.store, given), within=within)
    print(f"points|{kind}|{name}|{count}", file=sys.stderr)
    assert count > 3 or name in ("flush", "close")
    for point in range(1, count + 1, max(1, count // TRIED)):
        tried = tried.next()
        given = operation.prepare(tried.store, tried.blocks)
        yield point, tried, partial(operation.work, tried.store, given)
    tried.end()


@pytest.fixture(autouse=True)
def what_is_left_is_collected_here():
    """Stores that were interrupted close their files when collected, here and not elsewhere."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_interrupt_at_every_point(tmp_path, kind, name):
    for point, tried, work in iter_points(kind, name, tmp_path, WITHIN):
        interrupt_at(point, work, within=WITHIN)
        check_folder(tried.folder)
        in_a_thread(partial(use_it, tried.store, tried.blocks))
        work()
        tried.store.flush()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_signal_handler_that_calls_the_store_at_every_point(tmp_path, kind, name):
    refused = []

    def handle():
        try:
            use_it(tried.store, tried.blocks)
        except ReentrantCallError:
            refused.append(list(tried.blocks.made.items())[-1])

    for point, tried, work in iter_points(kind, name, tmp_path, PACKAGE):
        before = len(refused)
        act_at(point, handle, work)
        for block in refused[before:]:
            # it may have been put before the refusal, or not
            tried.store.put_block(*block)
        check_folder(tried.folder)
        in_a_thread(partial(use_it, tried.store, tried.blocks))
    if kind.startswith(("sqlite", "car")) and name in ("put", "put many"):
        assert refused


def interrupt_with(monkeypatch, owner, name, before):
    """Interrupt the next call of a function, after a call of another one."""
    real = getattr(owner, name)

    def call(*arguments):
        monkeypatch.setattr(owner, name, real)
        before(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, call)


@pytest.fixture
def interrupted_twice(tmp_path, monkeypatch):
    """Return a database that two interrupts in a row left, and the traceback of the second."""

    def begin(connection, _):
        connection.execute("BEGIN IMMEDIATE")
        interrupt_with(monkeypatch, Connections, "_drop", lambda *_: None)

    store = SQLiteCAStore(tmp_path / "blocks.sqlite", timeout=0)
    store.put_raw(b"hello", "raw")
    interrupt_with(monkeypatch, sqlite_module, "in_transaction", begin)
    with pytest.raises(KeyboardInterrupt) as caught:
        store.flush()
    return store, [caught]


def test_second_interrupt_leaves_no_database_locked(interrupted_twice, tmp_path):
    store, kept = interrupted_twice
    kept.clear()
    gc.collect()
    check_folder(tmp_path)
    store.close()


def test_kept_traceback_does_not_keep_a_database_locked(interrupted_twice, tmp_path):
    store, kept = interrupted_twice
    store.flush()
    check_folder(tmp_path)
    assert kept
    store.close()


@pytest.mark.parametrize("goes_on", [False, True])
def test_second_interrupt_leaves_a_sound_archive(tmp_path, monkeypatch, goes_on):
    def write_head(archive, head, offset):
        write(archive, head, offset)
        # instead of the cleaning up
        interrupt_with(monkeypatch, archive_module, "suppress", lambda *_: None)

    write = archive_module.Archive._write
    blocks = Blocks()
    with CARStore(tmp_path / "data.car") as store:
        put(store, blocks())
        interrupt_with(monkeypatch, archive_module.Archive, "_write", write_head)
        again = blocks()
        with pytest.raises(KeyboardInterrupt):
            put(store, again)
        if goes_on:
            put(store, again)
            use_it(store, blocks)
        else:
            del blocks.made[again[0]]
    check_end("car", tmp_path, blocks)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_put_of_a_process_whose_signal_handler_forked(tmp_path, monkeypatch):
    def fork(name, opened):
        monkeypatch.setattr(directory_module, "_create", create)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            return create(name, opened)
        try:
            # a child that is killed before it sees that it is one
            create(name, opened)
            os._exit(0)
        finally:
            os._exit(1)

    create, blocks = directory_module._create, Blocks()
    store = DirectoryCAStore(tmp_path / "blocks")
    monkeypatch.setattr(directory_module, "_create", fork)
    put(store, blocks())
    check_folder(tmp_path)
    check_end("folder", tmp_path, blocks)
