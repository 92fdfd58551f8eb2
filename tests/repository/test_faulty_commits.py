"""A fault, an interrupt or a lost answer at every step: the old state or the new, never twice."""

import os
import signal
import sys
from datetime import UTC, datetime
from itertools import count

import pytest
from interrupts import act_at, count_points

from ipldstore import (
    BackendError,
    CARStore,
    DirectoryCAStore,
    IPLDStoreError,
    MappingCAStore,
    NoChangesError,
    ObjectCAStore,
    Repository,
    SQLiteCAStore,
)
from ipldstore.testing import FaultyStore
from ipldstore.testing.faults import Fail, Unanswered, at

TIME = datetime(2026, 1, 5, tzinfo=UTC)
TRIED = 1 << 30 if os.environ.get("IPLDSTORE_EVERY_POINT") else 20


def make_objects(folder):
    store = pytest.importorskip("obstore.store")
    return ObjectCAStore(store.LocalStore(folder / "objects", mkdir=True))


KINDS = {
    "dict": lambda folder: MappingCAStore(),
    "folder": lambda folder: DirectoryCAStore(folder / "blocks"),
    "sqlite": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "car": lambda folder: CARStore(folder / "data.car"),
    "objects": make_objects,
}


@pytest.fixture(params=KINDS)
def blocks(request, tmp_path):
    store = KINDS[request.param](tmp_path)
    yield store
    store.close()


def begin(blocks, moved):
    """Return a repository with a commit, and a session; `moved` by another one meanwhile."""
    repo = Repository.create(blocks)
    with repo.writable(message="first") as store:
        store.update({"a/0": b"0", "a/1": b"1"})
    session = repo.writable()
    session["a/0"] = b"changed"
    if moved:
        with repo.writable(message="other") as store:
            store["a/2"] = b"2"
    return repo, session


def check_before(repo, moved):
    """Check that a session's commit is done or not, and return whether it is."""
    messages = [version.message for version in repo.log()]
    is_done = messages[0] == "mine"
    assert messages == ["mine"] * is_done + ["other"] * moved + ["first"]
    content = {"a/0": b"changed" if is_done else b"0", "a/1": b"1"}
    assert dict(repo.readonly()) == content | ({"a/2": b"2"} if moved else {})
    return is_done


def check_again(repo, session, moved):
    """Check that the same session commits what is not committed yet, and goes on."""
    was_done = check_before(repo, moved)
    try:
        assert session.commit("mine", time=TIME) == repo.branches["main"]
    except NoChangesError:
        assert was_done
    assert check_before(repo, moved)
    with pytest.raises(NoChangesError):
        session.commit("again")
    session["a/3"] = b"3"
    session.commit("last")
    assert repo.readonly()["a/3"] == b"3"
    assert len(list(repo.log())) == 3 + moved
    return was_done


@pytest.mark.parametrize("moved", [False, True], ids=["alone", "beside others"])
def test_a_fault_at_every_call(tmp_path, moved):
    for number in count(1):
        faulty = FaultyStore(DirectoryCAStore(tmp_path / str(number)))
        repo, session = begin(faulty, moved)
        faulty.schedule = at(number, Fail(BackendError("the disk is full")))
        faults = len(faulty.faults)
        try:
            session.commit("mine", time=TIME)
        except IPLDStoreError as error:
            assert "the disk is full" in str(error)
        if len(faulty.faults) == faults:
            break
        faulty.schedule = None
        check_again(repo, session, moved)
    assert number > 4


@pytest.mark.parametrize("moved", [False, True], ids=["alone", "beside others"])
def test_an_answer_that_was_lost(blocks, moved):
    faulty = FaultyStore(blocks)
    repo, session = begin(faulty, moved)
    faulty.schedule = at(1, Unanswered(BackendError("reset")))
    session.commit("mine", time=TIME)
    assert check_before(repo, moved)


@pytest.mark.parametrize("moved", [False, True], ids=["alone", "beside others"])
def test_an_answer_that_was_lost_with_the_server(blocks, moved):
    """Nobody can tell then whether it was done; committing again finds out."""
    faulty = FaultyStore(blocks)
    repo, session = begin(faulty, moved)
    swapped = []

    def schedule(call):
        if swapped:
            return Fail(BackendError("no route")) if call.operation == "read pointer" else None
        if call.operation == "swap pointer":
            swapped.append(call)
            return Unanswered(BackendError("reset"))
        return None

    faulty.schedule = schedule
    with pytest.raises(BackendError, match="reset") as caught:
        session.commit("mine", time=TIME)
    assert "it cannot be told" in caught.value.__notes__[0]
    faulty.schedule = None
    assert check_again(repo, session, moved)


def test_others_move_on_after_a_lost_answer(blocks):
    faulty = FaultyStore(blocks)
    repo, session = begin(faulty, False)
    behind = Repository(blocks)

    def schedule(call):
        if call.operation == "swap pointer":
            return Unanswered(BackendError("reset"))
        if call.operation == "read pointer" and faulty.faults and not behind.tags:
            behind.tag("v1", "main~1")
        return None

    faulty.schedule = schedule
    session.commit("mine", time=TIME)
    faulty.schedule = None
    assert check_before(repo, False)
    assert list(repo.tags) == ["v1"]


@pytest.mark.once
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="points are traced on Python 3.11")
@pytest.mark.parametrize("moved", [False, True], ids=["alone", "beside others"])
def test_an_interrupt_at_any_point(moved):
    def work(session):
        return lambda: session.commit("mine", time=TIME)

    _, session = begin(MappingCAStore(), moved)
    points = count_points(work(session))
    done = set()
    for point in range(1, points + 1, max(1, points // TRIED)):
        repo, session = begin(MappingCAStore(), moved)
        with pytest.raises(KeyboardInterrupt):
            act_at(point, _interrupt, work(session))
        done.add(check_again(repo, session, moved))
    assert done == {False, True}


def _interrupt():
    raise KeyboardInterrupt


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["folder", "sqlite", "car"])
def test_a_process_that_is_killed_at_every_call(kind, tmp_path):
    """It is killed before each of the calls to its block store; the next process goes on."""
    done = set()
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        code = in_a_fork(lambda folder=folder, number=number: commit_killed(kind, folder, number))
        with KINDS[kind](folder) as store:
            repo = Repository(store)
            messages = [version.message for version in repo.log()]
            assert messages in (["first"], ["mine", "first"])
            done.add(messages[0])
            with repo.writable(message="next") as session:
                session["a/1"] = b"next"
            assert repo.readonly()["a/1"] == b"next"
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert number > 4
    assert done == {"first", "mine"}


def in_a_fork(work):
    """Return how a process ended that did something: 0, 1 after an error, or minus the signal."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def commit_killed(kind, folder, number):
    """Commit, and be killed before one of the calls to the block store."""
    faulty = FaultyStore(KINDS[kind](folder))
    repo = Repository.create(faulty)
    with repo.writable(message="first") as session:
        session["a/0"] = b"0"
    session = repo.writable()
    session["a/0"] = b"changed"
    begun = len(faulty.calls)

    def schedule(call):
        if call.number == begun + number:
            os.kill(os.getpid(), signal.SIGKILL)

    faulty.schedule = schedule
    session.commit("mine")
    faulty.schedule = None
    faulty.close()
