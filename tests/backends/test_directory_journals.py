"""Journals in a folder of blocks: their files, which are held open, and what may be wrong there."""

import errno
import gc
import os
import pickle
import shutil
import sys
from pathlib import Path
from threading import Thread

import pytest

from ipldstore import BackendError, DirectoryCAStore, LimitExceededError
from ipldstore.backends.directory import journals as journals_module
from ipldstore.blockstore import journals as checks_module
from tests.interrupts import count_points, interrupt_at

pytestmark = pytest.mark.once

DESCRIPTORS = Path("/proc/self/fd")

needs_proc = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="no /proc here")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture(params=[False, True], ids=["", "fsync"])
def backend(tmp_path, request):
    with DirectoryCAStore(tmp_path / "blocks", fsync=request.param) as backend:
        yield backend


def opened_in(folder):
    """List the names of files in a folder that this process has open, one for each time."""
    found = []
    for descriptor in DESCRIPTORS.iterdir():
        try:
            path = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if path.startswith(f"{folder}{os.sep}"):
            found.append(os.path.basename(path).partition(" ")[0])
    return sorted(found)


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_golden_files(backend):
    backend.append_journal("session-1", "writer-1", 0, b"first")
    backend.append_journal("session-1", "writer-1", 5, b", second")
    assert backend.make_journal("session-1", "seal", b"sealed")
    folder = backend.path / "ipldstore" / "journals-session-1"
    assert names_in(backend.path) == [
        "SHARDING",
        "ipldstore/journals-session-1/seal",
        "ipldstore/journals-session-1/writer-1",
    ]
    assert (folder / "writer-1").read_bytes() == b"first, second"
    assert (folder / "seal").read_bytes() == b"sealed"


def test_empty_group_goes_and_its_folder(backend):
    backend.append_journal("g", "a", 0, b"a")
    backend.remove_journal("g", "a")
    assert list((backend.path / "ipldstore").iterdir()) == []
    (backend.path / "ipldstore" / "journals-g").mkdir()
    assert list(backend.iter_journal_groups()) == []
    backend.remove_journal("g", "a")
    assert list((backend.path / "ipldstore").iterdir()) == []


def test_what_is_no_journal_is_left_alone(backend):
    backend.append_journal("g", "a", 0, b"a")
    folder = backend.path / "ipldstore" / "journals-g"
    (folder / ".put-1-2").write_bytes(b"half")
    (folder / "A").write_bytes(b"other")
    (folder / "folder").mkdir()
    (backend.path / "ipldstore" / "journals-file").write_bytes(b"")
    assert backend.list_journals("g") == {"a": 1}
    assert list(backend.iter_journal_groups()) == ["g"]
    assert list(backend.iter_pointers()) == []


@pytest.mark.parametrize(
    "use",
    [
        lambda backend: backend.append_journal("g", "b", 0, b"a"),
        lambda backend: backend.append_journal("h", "a", 0, b"a"),
        lambda backend: backend.make_journal("g", "b", b"a"),
        lambda backend: backend.read_journal("g", "a"),
        lambda backend: backend.list_journals("g"),
        lambda backend: backend.find_journals("g", ["a"]),
        lambda backend: backend.remove_journal("g", "a"),
        lambda backend: list(backend.iter_journal_groups()),
    ],
)
def test_folder_that_went_is_no_empty_one(backend, use):
    backend.append_journal("g", "a", 0, b"a")
    shutil.rmtree(backend.path)
    backend.path.mkdir()
    with pytest.raises(BackendError, match="was emptied or removed"):
        use(backend)
    assert list(backend.path.iterdir()) == []


def test_journal_that_others_removed_while_it_is_open(backend):
    backend.append_journal("g", "a", 0, b"a")
    DirectoryCAStore(backend.path).remove_journal("g", "a")
    backend.append_journal("g", "a", 1, b"b")
    assert backend.find_journals("g", ["a"]) == [False]
    assert backend.read_journal("g", "a") is None
    backend.append_journal("g", "a", 0, b"new")
    assert backend.read_journal("g", "a") == b"new"


@needs_proc
def test_eight_at_most_are_held_open(backend):
    sizes = dict.fromkeys("abcdefghijkl", 0)
    for _ in range(3):
        for name in sizes:
            backend.append_journal("g", name, sizes[name], name.encode())
            sizes[name] += 1
            assert name in opened_in(backend.path)
    assert opened_in(backend.path) == list("efghijkl")
    for name in sizes:
        assert backend.read_journal("g", name) == name.encode() * 3
    backend.remove_journal("g", "l")
    assert opened_in(backend.path) == list("efghijk")
    backend.close()
    assert opened_in(backend.path) == []
    backend.append_journal("g", "a", 3, b"a")
    assert opened_in(backend.path) == ["a"]


@needs_proc
def test_store_that_is_forgotten_leaves_nothing_open(tmp_path):
    backend = DirectoryCAStore(tmp_path / "blocks")
    backend.append_journal("g", "a", 0, b"a")
    assert opened_in(tmp_path) == ["a"]
    copy = pickle.loads(pickle.dumps(backend))
    assert opened_in(tmp_path) == ["a"]
    copy.append_journal("g", "b", 0, b"b")
    del backend, copy
    gc.collect()
    assert opened_in(tmp_path) == []


def test_threads_append_to_more_journals_than_are_held_open(backend):
    """A descriptor that is closed too early would be that of another journal by then."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [Thread(target=append_often, args=(backend, f"w{n}")) for n in range(16)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for number in range(16):
        assert backend.read_journal("g", f"w{number}") == b"w%02d" % number * 20


def append_often(backend, name):
    for number in range(20):
        backend.append_journal("g", name, 3 * number, b"w%02d" % int(name[1:]))


@needs_fork
def test_forked_child_opens_a_journal_itself(backend):
    """Where it is to go on; a file that was opened before the fork is not written to by both."""
    backend.append_journal("g", "a", 0, b"parent")
    child = os.fork()
    if not child:
        try:
            before = backend._journals._idle["g", "a"]._descriptors[0]
            backend.append_journal("g", "a", 6, b", child")
            os.fstat(before)
            after = backend._journals._idle["g", "a"]
            os._exit(0 if after.process is journals_module.Process.current else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend.read_journal("g", "a") == b"parent, child"


@needs_fork
def test_signal_handler_that_forks_in_the_middle_of_an_append(backend, monkeypatch):
    """The child may go on with the call that was interrupted, and must not write as well."""
    child = []

    class View:
        """Forks when the bytes are about to be written, as a signal handler does."""

        def __new__(cls, data):
            child.append(os.fork())
            return memoryview(data)

    backend.append_journal("g", "a", 0, b"a")
    monkeypatch.setattr(journals_module, "memoryview", View, raising=False)
    try:
        backend.append_journal("g", "a", 1, b"b")
    except BackendError as error:
        os._exit(0 if "forked in the middle" in str(error) and child == [0] else 1)
    finally:
        if child == [0]:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child[0], 0)[1]) == 0
    assert backend.read_journal("g", "a") == b"ab"


@needs_proc
@pytest.mark.filterwarnings("ignore:Exception ignored in.*__del__")
@pytest.mark.parametrize("offset", [0, 5])
def test_interrupted_append_leaves_nothing_open(backend, offset):
    """The file is closed at once, or held to be appended to and closed with the store."""

    def prepare(name):
        if offset:
            backend.append_journal("g", name, 0, b"first")
        return lambda: backend.append_journal("g", name, offset, b"second")

    count = count_points(prepare("count"))
    for point in range(1, count + 1):
        interrupt_at(point, prepare(f"a{point}"))
        backend.close()
        assert opened_in(backend.path) == []
        data = backend.read_journal("g", f"a{point}")
        assert (b"first" * bool(offset) + b"second").startswith(data or b"")


def test_short_writes_go_on(backend, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:2]))
    backend.append_journal("g", "a", 0, b"first")
    backend.append_journal("g", "a", 5, b"second")
    assert backend.read_journal("g", "a") == b"firstsecond"


@needs_proc
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_write_that_fails(backend, monkeypatch, number):
    def write(file, data):
        if len(data) < 4:
            raise OSError(number, os.strerror(number))
        return real(file, data[:2])

    real = os.write
    backend.append_journal("g", "a", 0, b"first")
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(BackendError, match=os.strerror(number)) as caught:
        backend.append_journal("g", "a", 5, b"second")
    monkeypatch.undo()
    assert caught.value.retryable == (number == errno.EIO)
    assert opened_in(backend.path) == []
    # some of it is there, so that nothing can be said to come next
    assert backend.read_journal("g", "a") == b"firstseco"
    with pytest.raises(BackendError, match="at byte 5: it has 9 bytes"):
        backend.append_journal("g", "a", 5, b"second")


@needs_proc
def test_sync_that_fails(tmp_path, monkeypatch):
    def fsync(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with DirectoryCAStore(tmp_path / "blocks", fsync=True) as backend:
        backend.append_journal("g", "a", 0, b"first")
        monkeypatch.setattr(os, "fsync", fsync)
        for use in (
            lambda: backend.append_journal("g", "a", 5, b"second"),
            lambda: backend.append_journal("g", "b", 0, b"first"),
            lambda: backend.make_journal("g", "c", b"all"),
        ):
            with pytest.raises(BackendError, match=os.strerror(errno.EIO)):
                use()
        monkeypatch.undo()
        assert opened_in(tmp_path) == []
        with pytest.raises(BackendError, match="at byte 5: it has 11 bytes"):
            backend.append_journal("g", "a", 5, b"second")
        assert backend.find_journals("g", ["a", "b", "c"]) == [True, True, False]


@needs_proc
@pytest.mark.parametrize("fsync", [False, True])
def test_what_is_forced_to_the_disk(tmp_path, monkeypatch, fsync):
    synced, real = [], os.fsync

    def note(file):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        real(file)

    with DirectoryCAStore(tmp_path / "blocks", fsync=fsync) as backend:
        monkeypatch.setattr(os, "fsync", note)
        backend.append_journal("g", "a", 0, b"first")
        assert synced == (["a", "journals-g", "ipldstore", "blocks"] if fsync else [])
        synced.clear()
        backend.append_journal("g", "a", 5, b"second")
        assert synced == (["a"] if fsync else [])


def test_call_writes_and_does_nothing_else(backend, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("an append of a chunk calls this")

    backend.append_journal("g", "a", 0, b"first")
    for name in ("stat", "open", "fstat", "listdir", "scandir", "mkdir", "close"):
        monkeypatch.setattr(os, name, refuse)
    backend.append_journal("g", "a", 5, b"second")
    monkeypatch.undo()
    assert backend.read_journal("g", "a") == b"firstsecond"


def test_journal_that_is_too_long(backend, monkeypatch):
    backend.append_journal("g", "a", 0, b"x" * 10)
    for module in (checks_module, journals_module):
        monkeypatch.setattr(module, "MAX_JOURNAL_BYTES", 9)
    for start in (0, 9):
        with pytest.raises(LimitExceededError, match="'a' of group 'g': 10 bytes, at most 9"):
            backend.read_journal("g", "a", start)
    for use in (
        lambda: backend.append_journal("g", "b", 5, b"x" * 5),
        lambda: backend.make_journal("g", "b", b"x" * 10),
    ):
        with pytest.raises(LimitExceededError, match="10 bytes, at most 9"):
            use()
    assert backend.list_journals("g") == {"a": 10}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_system_without_hard_links(backend, monkeypatch, number):
    def link(existing, name):
        raise OSError(number, os.strerror(number), name)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(BackendError, match="no hard links: keep it in a SQLiteCAStore"):
        backend.make_journal("g", "a", b"a")
    monkeypatch.undo()
    assert names_in(backend.path) == ["SHARDING"]


def test_journal_that_was_made_in_spite_of_the_answer(backend, monkeypatch):
    def link(existing, name):
        monkeypatch.undo()
        os.link(existing, name)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)

    monkeypatch.setattr(os, "link", link)
    assert backend.make_journal("g", "a", b"a") is True
    assert backend.make_journal("g", "a", b"b") is False


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_pipe_in_the_place_of_a_journal(backend):
    backend.append_journal("g", "a", 0, b"a")
    os.mkfifo(backend.path / "ipldstore" / "journals-g" / "pipe")
    with pytest.raises(BackendError, match="not a regular file"):
        backend.read_journal("g", "pipe")
    with pytest.raises(BackendError):
        backend.append_journal("g", "pipe", 1, b"a")
    assert backend.list_journals("g") == {"a": 1}
