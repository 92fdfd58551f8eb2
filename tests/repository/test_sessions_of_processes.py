"""Sessions in which several processes write, by whatever starts them, with no line more."""

from __future__ import annotations

import gc
import json
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from threading import Semaphore, Thread
from typing import Any

import pytest
from interrupts import interrupt_at
from servers import S3

from ipldstore import (
    BackendError,
    CommitConflictError,
    DetachedStoreError,
    DirectoryCAStore,
    InvalidNodeError,
    IPLDStore,
    MappingCAStore,
    NoChangesError,
    ReadOnlyStoreError,
    RefError,
    Repository,
    SessionEndedError,
    SQLiteCAStore,
    UnfrozenChangesError,
    UnfrozenChangesWarning,
    open_block_store,
)
from ipldstore.journals import joining, records
from ipldstore.journals.records import iter_frames
from ipldstore.repository import journaling, shared

LOCAL = ["folder", "fsync", "sqlite"]
MODULES = tuple(module.__file__ for module in (joining, journaling, records, shared))


@pytest.fixture(params=[*LOCAL, "s3"])
def repo(request: Any, tmp_path: Any) -> Iterator[Repository]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            blocks: Any = SQLiteCAStore(tmp_path / "blocks.sqlite")
        elif request.param == "s3":
            server = stack.enter_context(S3(tmp_path))
            blocks = open_block_store(server.make_bucket(), **server.make_options())
        else:
            blocks = DirectoryCAStore(tmp_path / "blocks", fsync=request.param == "fsync")
        yield stack.enter_context(Repository.create(blocks))


def write(session: Any, keys: dict[str, bytes | None]) -> None:
    for key, value in keys.items():
        if value is None:
            del session[key]
        else:
            session[key] = value


def in_process(work: Any, *arguments: Any, start: str = "spawn") -> None:
    """Run a function in another process, and wait for it."""
    process = multiprocessing.get_context(start).Process(target=work, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_others_write_is_committed(repo: Repository, start: str) -> None:
    if start == "fork" and not repo.blocks.is_local:
        pytest.skip("connections to object stores do not survive a fork")
    with repo.writable(message="together") as session:
        session["a/0"] = b"mine"
        assert session.id == session.id
        in_process(write, session, {"a/1": b"theirs", "a/0": b"later"}, start=start)
        in_process(write, session, {"a/2": b"third", "a/1": None}, start=start)
        assert dict(session) == {"a/0": b"later", "a/2": b"third"}
    expected = IPLDStore(repo.blocks)
    write(expected, {"a/0": b"later", "a/2": b"third"})
    assert repo.readonly().root_cid == expected.freeze()
    assert [version.message for version in repo.log()] == ["together"]
    assert repo.sessions() == []


def see(session: Any, key: str, value: bytes) -> None:
    assert session[key] == value
    session[f"{key}-seen"] = value


def test_others_see_what_was_written_before(repo: Repository) -> None:
    session = repo.writable()
    session["a/0"] = b"mine"
    in_process(see, session, "a/0", b"mine")
    in_process(see, session, "a/0-seen", b"mine")
    assert set(session) == {"a/0", "a/0-seen", "a/0-seen-seen"}
    session.commit("seen")


def test_a_directory_that_another_process_deleted_is_gone(repo: Repository) -> None:
    with repo.writable(message="begun") as session:
        write(session, {"a/0": b"0", "b/0": b"0"})
    session = repo.writable()
    session["a/1"] = b"1"
    in_process(clear, session)
    assert dict(session) == {"c": b"new"}
    session.commit("cleared")
    assert dict(repo.readonly()) == {"c": b"new"}


def clear(session: Any) -> None:
    session.clear()
    session["c"] = b"new"


def test_who_goes_on_after_the_commit_is_refused(repo: Repository) -> None:
    session = repo.writable()
    session["a"] = b"1"
    copy = pickle.dumps(session)
    session.commit("first")
    in_process(refused, copy)
    assert dict(session) == {"a": b"1"}
    session["a"] = b"2"
    session.commit("second")
    assert repo.readonly()["a"] == b"2"


def refused(copy: bytes) -> None:
    session = pickle.loads(copy)
    with pytest.raises(SessionEndedError, match="was committed"):
        session["b"] = b"late"


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_changes_at_once_are_a_conflict_that_writing_again_settles(repo: Repository) -> None:
    session = repo.writable()
    other = repo.resume(session.id)
    third = repo.resume(session.id)
    other["a/0"] = b"other"
    third["a/0"] = b"third"
    with pytest.raises(CommitConflictError, match="several processes") as caught:
        session.commit("both")
    assert caught.value.keys == ("a/0",)
    other["a/1"] = b"goes on"
    session["a/0"] = b"settled"
    session.commit("settled")
    assert dict(repo.readonly()) == {"a/0": b"settled", "a/1": b"goes on"}
    assert len(list(repo.log())) == 1


def test_a_session_is_gone_on_with_where_it_was_left(repo: Repository) -> None:
    code = (
        "import os, sys, pickle; session = pickle.load(sys.stdin.buffer); "
        "session['a/1'] = b'acknowledged'; os.kill(os.getpid(), 9)"
    )
    session = repo.writable("main", message="begun")
    session["a/0"] = b"mine"
    died = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(session), check=False)
    assert died.returncode == -9
    name = session.id
    with pytest.warns(UnfrozenChangesWarning, match="not committed, and kept"):
        del session
        gc.collect()
    (unfinished,) = repo.sessions()
    assert (unfinished.id, unfinished.branch, unfinished.message) == (name, "main", "begun")
    assert unfinished.writers == 1 + repo.blocks.has_quick_journals
    with repo.resume(name) as resumed:
        assert dict(resumed) == {"a/0": b"mine", "a/1": b"acknowledged"}
    assert next(iter(repo.log())).message == "begun"
    assert repo.sessions() == []


def test_an_abandoned_session_is_gone(repo: Repository) -> None:
    session = repo.writable()
    session["a"] = b"1"
    name = session.id
    repo.abandon(name)
    assert repo.sessions() == []
    with pytest.raises(SessionEndedError):
        session["b"] = b"2"
    with pytest.raises(RefError, match="or not any more"):
        repo.resume(name)
    session._writer.unfrozen.clear()


def test_after_an_exception_the_session_stays(repo: Repository) -> None:
    with suppress(ZeroDivisionError), repo.writable(message="fails") as session:
        session["a"] = b"1"
        _ = 1 / 0
    with pytest.warns(UnfrozenChangesWarning, match="not committed, and kept"):
        del session
        gc.collect()
    (unfinished,) = repo.sessions()
    assert list(repo.log()) == []
    with repo.resume(unfinished.id):
        pass
    assert dict(repo.readonly()) == {"a": b"1"}


def test_a_session_lets_go_of_what_it_wrote(repo: Repository) -> None:
    session = repo.writable()
    session["a"] = b"1"
    session.abandon()
    assert repo.sessions() == []


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_a_forked_process_writes_before_its_parent(repo: Repository) -> None:
    session = repo.writable(message="by the child")
    if not repo.blocks.has_quick_journals:
        in_process(not_told, session, start="fork")
        assert session.id
    in_process(write, session, {"a": b"1"}, start="fork")
    assert dict(session) == {"a": b"1"}
    session.commit()
    assert dict(repo.readonly()) == {"a": b"1"}


def not_told(session: Any) -> None:
    with pytest.raises(DetachedStoreError, match=r"session\.id"):
        session["a"] = b"lost"


def test_in_memory_a_session_is_of_one_process() -> None:
    repo = Repository.create(MappingCAStore())
    session = repo.writable()
    session["a"] = b"1"
    with pytest.raises(ReadOnlyStoreError, match="of one process"):
        _ = session.id
    session.commit("in memory")
    assert repo.sessions() == []


def refuse(session: Any) -> None:
    with pytest.raises(DetachedStoreError, match=r"a session on CARStore.* is of one process"):
        session["b"] = b"2"


def test_in_a_car_file_other_processes_are_told_why_they_cannot_write(tmp_path: Any) -> None:
    with Repository.create(str(tmp_path / "x.car")) as repo:
        session = repo.writable()
        session["a"] = b"1"
        assert pickle.loads(pickle.dumps(session))["a"] == b"1"
        in_process(refuse, session)
        session.commit("alone")


@pytest.mark.parametrize("name", ["../x", "A", "", "x" * 65])
@pytest.mark.parametrize("repo", ["folder"], indirect=True)
def test_what_names_no_session(repo: Repository, name: str) -> None:
    with pytest.raises(RefError, match="there is no session"):
        repo.resume(name)
    with pytest.raises(RefError, match="there is no session"):
        repo.abandon(name)


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
@pytest.mark.filterwarnings("error::ipldstore.UnfrozenChangesWarning")
def test_who_is_told_that_the_session_ended_is_not_told_that_it_is_kept(repo: Repository) -> None:
    for late in (lambda one: one.commit("late"), lambda one: one.update({"b": b"late"})):
        session = repo.writable()
        session["a"] = b"1"
        repo.abandon(session.id)
        with pytest.raises(SessionEndedError):
            late(session)
        del session
        gc.collect()


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
@pytest.mark.parametrize("version", ["zarr.json", ".zarray"])
def test_a_conflict_names_the_chunk_of_its_array(repo: Repository, version: str) -> None:
    metadata = {
        "zarr.json": {"node_type": "array", "shape": [9, 9], "chunk_key_encoding": "default"},
        ".zarray": {"shape": [9, 9], "dimension_separator": "/"},
    }[version]
    key = "rain/c/0/2" if version == "zarr.json" else "rain/0/2"
    session = repo.writable()
    session[f"rain/{version}"] = json.dumps(metadata).encode()
    one, two = repo.resume(session.id), repo.resume(session.id)
    one[key], two[key] = b"one", b"two"
    one["notes/a.txt"], two["notes/a.txt"] = b"one", b"two"
    with pytest.raises(CommitConflictError, match=r"'rain': chunk \(0, 2\): changed by") as caught:
        session.commit("both")
    document, chunk = caught.value.conflicts
    assert (document.kind, document.path, document.name) == ("document", "notes", "notes/a.txt")
    assert (chunk.kind, chunk.path, chunk.name, chunk.chunk) == ("chunk", "rain", key, (0, 2))
    session.abandon()


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_a_refused_commit_leaves_when_the_session_was_begun(repo: Repository) -> None:
    session = repo.writable()
    one, two = repo.resume(session.id), repo.resume(session.id)
    one["a"], two["a"] = b"one", b"two"
    before = repo.sessions()
    with pytest.raises(CommitConflictError):
        session.commit("both")
    assert [(one.id, one.begun, one.last) for one in repo.sessions()] == [
        (one.id, one.begun, one.last) for one in before
    ]
    session.abandon()


def test_a_coordinator_that_died_is_followed_by_another(repo: Repository, monkeypatch: Any) -> None:
    session = repo.writable(message="once")
    session["a"] = b"1"
    name = session.id
    monkeypatch.setattr("ipldstore.repository.journaling.Journals.end", died)
    monkeypatch.setattr("ipldstore.repository.journaling.Journals.reopen", died)
    with pytest.raises(Died):
        session.commit("once")
    monkeypatch.undo()
    assert len(list(repo.log())) == 1
    with repo.resume(name) as resumed:
        assert dict(resumed) == {"a": b"1"}
    assert len(list(repo.log())) == 1
    assert repo.sessions() == []
    session._writer.unfrozen.clear()


class Died(BaseException):
    pass


def died(journals: Any) -> bool:
    raise Died


def url_of(blocks: Any) -> str:
    path = str(blocks.path)
    return f"sqlite:{path}" if isinstance(blocks, SQLiteCAStore) else path


@pytest.mark.parametrize("repo", ["folder", "sqlite"], indirect=True)
def test_a_job_array(repo: Repository) -> None:
    """Processes that know nothing but where the repository is, and the session's name."""
    code = (
        "import sys, ipldstore; place, name, number = sys.argv[1:]; "
        "session = ipldstore.Repository(place).resume(name); "
        "session[f'a/c/{number}'] = number.encode()"
    )
    session = repo.writable(message="array")
    command = [sys.executable, "-c", code, url_of(repo.blocks), session.id]
    running = [subprocess.Popen([*command, str(number)]) for number in range(20)]
    assert [process.wait(60) for process in running] == [0] * 20
    session.commit()
    expected = {f"a/c/{number}": str(number).encode() for number in range(20)}
    assert dict(repo.readonly()) == expected
    assert [version.message for version in repo.log()] == ["array"]


def test_what_takes_the_place_of_all_begins_the_session_anew(repo: Repository) -> None:
    other = IPLDStore(repo.blocks)
    other["b"] = b"of another root"
    root = other.freeze()
    session = repo.writable()
    session["a"] = b"1"
    worker = repo.resume(session.id)
    worker["c"] = b"3"
    with pytest.raises(UnfrozenChangesError):
        session.set_root(root)
    assert dict(session) == {"a": b"1", "c": b"3"}
    worker["c"] = b"4"
    session.set_root(root, discard=True)
    with pytest.raises(SessionEndedError):
        worker["c"] = b"5"
    session["d"] = b"4"
    session.normalize()
    assert dict(repo.resume(session.id)) == {"b": b"of another root", "d": b"4"}
    session.commit("all of it")
    assert dict(repo.readonly()) == {"b": b"of another root", "d": b"4"}
    assert repo.sessions() == []


def test_two_that_commit_one_session(repo: Repository) -> None:
    session = repo.writable(message="begun")
    session["a"] = b"1"
    other = repo.resume(session.id)
    other["b"] = b"2"
    other.commit("by the other")
    with pytest.raises(SessionEndedError):
        session.commit("again")
    assert [version.message for version in repo.log()] == ["by the other"]
    assert dict(repo.readonly()) == {"a": b"1", "b": b"2"}
    session._writer.unfrozen.clear()


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_a_conflict_names_the_chunks(repo: Repository) -> None:
    session = repo.writable()
    other = repo.resume(session.id)
    for key in ("a/c/0", "a/c/1"):
        session[key] = b"1"
    for key in ("a/c/0", "a/c/1"):
        other[key] = b"2"
    with pytest.raises(CommitConflictError, match="'a/c/0', 'a/c/1'"):
        session.commit("both")
    session.abandon()


def test_forks_are_merged_into_a_session_of_others(repo: Repository) -> None:
    session = repo.writable()
    session["a"] = b"1"
    fork = session.fork()
    fork["b"] = b"2"
    worker = repo.resume(session.id)
    session.merge(fork)
    assert dict(worker) == {"a": b"1", "b": b"2"}
    worker["c"] = b"3"
    session.commit("merged")
    assert dict(repo.readonly()) == {"a": b"1", "b": b"2", "c": b"3"}


def test_a_fork_is_what_a_session_begins_with(repo: Repository) -> None:
    session = repo.writable()
    fork = session.fork()
    fork["a/c/0"] = b"1"
    fork["a/c/1"] = b"1"
    session.merge(fork)
    session["a/c/1"] = b"2"
    worker = repo.resume(session.id)
    assert dict(worker) == {"a/c/0": b"1", "a/c/1": b"2"}
    session.commit("merged")
    assert dict(repo.readonly()) == {"a/c/0": b"1", "a/c/1": b"2"}


@pytest.mark.skipif(not hasattr(IPLDStore, "rename"), reason="zarr 3 has no rename")
def test_what_is_renamed_is_so_for_all(repo: Repository) -> None:
    with repo.writable(message="before") as session:
        session["a/.zgroup"] = b'{"zarr_format": 2}'
    session = repo.writable()
    session.rename("a", "b")
    worker = repo.resume(session.id)
    assert list(worker) == ["b/.zgroup"]
    worker["b/0"] = b"1"
    worker.rename("b", "c")
    assert sorted(session) == ["c/.zgroup", "c/0"]
    session.commit("renamed")
    assert sorted(repo.readonly()) == ["c/.zgroup", "c/0"]


def test_a_refused_write_is_not_in_the_session(repo: Repository, monkeypatch: Any) -> None:
    session = repo.writable()
    session["a"] = b"1"
    assert session.id
    with monkeypatch.context() as patch:
        patch.setattr(repo.blocks, "append_journal", fail)
        for key in ("a", "b"):
            with pytest.raises(BackendError, match="no room"):
                session[key] = b"refused"
    assert dict(session) == {"a": b"1"}
    session["c"] = b"3"
    session.commit("all that was written")
    assert dict(repo.readonly()) == {"a": b"1", "c": b"3"}


def fail(*arguments: Any) -> None:
    raise BackendError("no room")


@pytest.mark.parametrize("repo", ["folder"], indirect=True)
@pytest.mark.parametrize("position", [0, 3, 5, 9, 13, 20, 60])
def test_a_damaged_record_is_found(repo: Repository, position: int) -> None:
    session = repo.writable()
    session["a"] = b"1"
    session["b"] = b"2"
    name = session.id
    (journal,) = (
        path for path in repo.blocks.path.glob("ipldstore/journals-*/w-*") if path.is_file()
    )
    data = bytearray(journal.read_bytes())
    data[position] ^= 4
    journal.write_bytes(data)
    assert [one.id for one in repo.sessions()] == [name]
    with pytest.raises(BackendError, match="is damaged"):
        repo.resume(name)
    repo.abandon(name)
    assert repo.sessions() == []
    session._writer.unfrozen.clear()


@pytest.mark.parametrize("repo", ["folder"], indirect=True)
def test_a_damaged_step_is_named(repo: Repository) -> None:
    session = repo.writable()
    session["a"] = b"1"
    (step,) = repo.blocks.path.glob("ipldstore/journals-*/step-*")
    step.write_bytes(b"\xa0")
    with pytest.raises(InvalidNodeError, match=f"session {session.id} is damaged"):
        repo.sessions()
    assert repo.abandon(session.id) is None
    assert repo.sessions() == []
    session._writer.unfrozen.clear()


def test_threads_that_write_one_key_leave_what_the_journal_says(repo: Repository) -> None:
    session = repo.writable()
    name = session.id
    keys = [f"a/{number}" for number in range(4)]

    def work(number: int) -> None:
        for turn in range(12):
            key = keys[turn % len(keys)]
            if turn % 5 == 4:
                session.pop(key, None)
            else:
                session[key] = b"%d, %d" % (number, turn)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert dict(repo.resume(name)) == dict(session)
    session.commit("by threads")
    assert dict(repo.readonly()) == dict(session)


class Waiting(list[Any]):
    """What threads wait for, which tells how many came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = Semaphore(0)

    def append(self, item: Any) -> None:
        super().append(item)
        self.came.release()


def test_what_threads_wait_for_is_appended_together(repo: Repository, monkeypatch: Any) -> None:
    session = repo.writable()
    assert session.id
    session["a/0"] = b"0"
    waiting = session._writer._waiting = Waiting()
    append = repo.blocks.append_journal
    appended: list[int] = []

    def append_when_all_wait(group: str, name: str, offset: int, data: bytes) -> None:
        if not appended:
            assert all(waiting.came.acquire(timeout=60) for _ in range(5))
        appended.extend(len(frame.records) for frame in iter_frames(data, offset))
        append(group, name, offset, data)

    monkeypatch.setattr(repo.blocks, "append_journal", append_when_all_wait)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda number: write(session, {f"a/{number}": b"1"}), range(5)))
    assert sum(appended) == 5
    assert len(appended) <= 2
    session.commit("by threads")
    assert dict(repo.readonly()) == {f"a/{number}": b"1" for number in range(5)}


def test_no_journals_are_listed_for_a_chunk(repo: Repository, monkeypatch: Any) -> None:
    session = repo.writable()
    assert session.id
    session["a/0"] = b"0"
    with monkeypatch.context() as patch:
        patch.setattr(repo.blocks, "list_journals", fail)
        write(session, {"a/0": b"1", "a/1": b"1"})
    session.commit("written")
    assert dict(repo.readonly()) == {"a/0": b"1", "a/1": b"1"}


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_workers_of_joblib(repo: Repository) -> None:
    joblib = pytest.importorskip("joblib", reason="writes with joblib")
    with repo.writable(message="by joblib") as session:
        session["a/0"] = b"0"
        works = (joblib.delayed(write)(session, {f"a/{number}": b"1"}) for number in range(1, 9))
        joblib.Parallel(n_jobs=2)(works)
        assert len(session) == 9
    assert dict(repo.readonly()) == {f"a/{number}": b"1" if number else b"0" for number in range(9)}


def test_a_session_that_another_process_opened_again_is_followed(repo: Repository) -> None:
    session = repo.writable()
    session["k"] = b"1"
    name = session.id
    stale = repo.resume(name)
    coordinator = repo.resume(name)
    coordinator._session.journals.close()  # and dies
    resumed = repo.resume(name)
    resumed["k"] = b"2"
    assert session["k"] == stale["k"] == b"2"
    stale["l"] = b"3"
    session.commit("all")
    assert dict(repo.readonly()) == {"k": b"2", "l": b"3"}


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
@pytest.mark.parametrize("faults", [1, 3])
def test_a_commit_that_cannot_read_loses_nothing(
    repo: Repository, monkeypatch: Any, faults: int
) -> None:
    session = repo.writable()
    session["k"] = b"1"
    other = repo.resume(session.id)
    other["l"] = b"2"
    read, left = type(repo.blocks).read_journal, [faults]

    def fail_at_first(*arguments: Any) -> Any:
        if arguments[2].startswith("w-") and left[0]:
            left[0] -= 1
            raise BackendError("cannot read")
        return read(*arguments)

    monkeypatch.setattr(type(repo.blocks), "read_journal", fail_at_first)
    while left[0]:
        with pytest.raises(BackendError, match="cannot read"):
            session.commit("all")
    session.commit("all")
    assert dict(repo.readonly()) == {"k": b"1", "l": b"2"}


def test_what_was_appended_though_it_failed_is_seen(repo: Repository, monkeypatch: Any) -> None:
    session = repo.writable()
    session["k"] = b"1"
    other = repo.resume(session.id)
    with monkeypatch.context() as patch:
        patch.setattr(session._session.journals, "check_open", fail)
        with pytest.raises(BackendError, match="no room"):
            session["k"] = b"2"
    session["l"] = b"3"
    assert dict(session) == dict(other) == {"k": b"2", "l": b"3"}
    session.commit("all")
    assert dict(repo.readonly()) == {"k": b"2", "l": b"3"}


@pytest.mark.parametrize("repo", LOCAL, indirect=True)
def test_a_refused_write_is_taken_back_once_journals_can_be_read(
    repo: Repository, monkeypatch: Any
) -> None:
    session = repo.writable()
    session["k"] = b"1"
    assert session.id
    with monkeypatch.context() as patch:
        for name in ("append_journal", "read_journal"):
            patch.setattr(repo.blocks, name, fail)
        with pytest.raises(BackendError, match="no room"):
            session["k"] = b"refused"
    session["l"] = b"2"
    session.commit("all")
    assert dict(repo.readonly()) == {"k": b"1", "l": b"2"}


def test_a_write_that_failed_is_no_conflict_with_the_next_try(
    repo: Repository, monkeypatch: Any
) -> None:
    session = repo.writable()
    session["a/c/0"] = b"0"
    assert session.id
    append = type(repo.blocks).append_journal

    def fail_afterwards(*arguments: Any) -> None:
        append(*arguments)
        fail()

    with monkeypatch.context() as patch:
        patch.setattr(type(repo.blocks), "append_journal", fail_afterwards)
        with pytest.raises(BackendError, match="no room"):
            session["a/c/0"] = b"1"
    session["a/c/0"] = b"2"
    session.commit("all")
    assert dict(repo.readonly()) == {"a/c/0": b"2"}


def test_a_thread_that_writes_while_another_commits_is_not_refused(
    repo: Repository, monkeypatch: Any
) -> None:
    session = repo.writable()
    session["k"] = b"1"
    assert session.id
    journals = session._session.journals
    check = journals.check_open

    def commit_before() -> None:
        monkeypatch.undo()
        thread = Thread(target=session.commit, args=("by another thread",))
        thread.start()
        thread.join()
        check()

    monkeypatch.setattr(journals, "check_open", commit_before)
    session["l"] = b"2"
    assert dict(session) == {"k": b"1", "l": b"2"}
    with suppress(NoChangesError):  # where the other thread had it, too
        session.commit("after that")
    assert dict(repo.readonly()) == {"k": b"1", "l": b"2"}


@pytest.mark.parametrize("repo", ["folder"], indirect=True)
def test_a_write_that_is_interrupted_leaves_all_processes_with_the_same(repo: Repository) -> None:
    for point in range(1, 60):
        session = repo.writable()
        session["k"] = b"old"
        interrupt_at(point, partial(session.__setitem__, "k", b"new"), within=MODULES)
        session["m"] = b"1"
        assert dict(session) == dict(repo.resume(session.id))
        session.abandon()


def test_an_interrupt_at_the_end_of_a_commit_is_one(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = repo.writable(message="done")
    session["a/0"] = b"x"
    assert session.id

    def interrupt(writer: shared.SharedWriter, first: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shared.SharedWriter, "leave", interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.commit()
    assert repo.readonly()["a/0"] == b"x"
    with pytest.raises(SessionEndedError):
        session["a/1"] = b"y"
    assert repo.sessions() == []


def test_a_write_that_goes_on_in_a_forked_process_is_one(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = repo.writable(message="forked in the middle")
    assert session.id
    grant = shared.SharedWriter._grant
    forks = iter([True])

    def forked(writer: shared.SharedWriter, wish: Any) -> None:
        if next(forks, False):
            writer._drop_waiting()
        grant(writer, wish)

    monkeypatch.setattr(shared.SharedWriter, "_grant", forked)
    session["a/0"] = b"x"
    session.commit()
    assert repo.readonly()["a/0"] == b"x"
