"""The block store with faults: the contract where nothing goes wrong, and each fault."""

import asyncio
import subprocess
import sys
import threading
from hashlib import sha256

import pytest

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CARStore,
    CorruptBlockError,
    DirectoryCAStore,
    MappingCAStore,
    SQLiteCAStore,
)
from ipldstore.cid import make_link
from ipldstore.testing import (
    HELLO_RAW,
    Fail,
    FaultyStore,
    FlipBit,
    JournalTests,
    Late,
    Lose,
    Stall,
    Swap,
    Truncate,
    Unanswered,
    at,
    randomly,
)

pytestmark = pytest.mark.once

DEADLINE = 30
STORES = {
    "mapping": lambda folder: MappingCAStore(),
    "directory": lambda folder: DirectoryCAStore(folder / "blocks"),
    "sqlite": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "car": lambda folder: CARStore(folder / "blocks.car"),
}


@pytest.fixture(params=STORES)
def inner(request, tmp_path):
    with STORES[request.param](tmp_path) as store:
        yield store


class TestWithoutFaults(JournalTests):
    can_pickle = False

    def open_again(self, backend):
        return DirectoryCAStore(backend.store.path)

    def make_backend(self, folder, default_hash="sha2-256"):
        return FaultyStore(DirectoryCAStore(folder / "blocks", default_hash=default_hash))

    def corrupt(self, backend, cid):
        (file,) = backend.store.path.glob("??/*.data")
        file.write_bytes(b"damaged")


class TestAllLate(JournalTests):
    """What is late is read from the wrapper, so that the contract holds."""

    can_pickle = False

    def open_again(self, backend):
        return DirectoryCAStore(backend.store.path)

    def make_backend(self, folder, default_hash="sha2-256"):
        store = DirectoryCAStore(folder / "blocks", default_hash=default_hash)
        return FaultyStore(store, lambda call: Late() if call.operation == "put" else None)

    def test_blocks_are_listed(self, backend):
        backend.put_raw(b"late", "raw")
        assert list(backend.iter_blocks()) == []
        backend.flush()
        assert len(list(backend.iter_blocks())) == 1

    def corrupt(self, backend, cid):
        backend.flush()
        (file,) = backend.store.path.glob("??/*.data")
        file.write_bytes(b"damaged")


CALLS = {
    "get": lambda store: store.get_block(HELLO_RAW),
    "get_async": lambda store: asyncio.run(store.get_block_async(HELLO_RAW)),
    "put": lambda store: store.put_raw(b"hello", "raw"),
    "put_async": lambda store: asyncio.run(store.put_raw_async(b"hello", "raw")),
    "put_block": lambda store: store.put_block(store.make_cid(b"hello", "raw"), b"hello"),
    "put_many": lambda store: store.put_many([(store.make_cid(b"hello", "raw"), b"hello")]),
    "get_many": lambda store: list(store.get_many([HELLO_RAW])),
    "has": lambda store: store.has(HELLO_RAW),
    "size_of": lambda store: store.size_of(store.resolve(HELLO_RAW)),
    "find_missing": lambda store: store.find_missing([store.resolve(HELLO_RAW)]),
    "flush": lambda store: store.flush(),
    "note_root": lambda store: store.note_root(store.resolve(HELLO_RAW)),
}


@pytest.mark.parametrize("error", [BackendError("down", retryable=True), OSError(5, "I/O error")])
@pytest.mark.parametrize("call", CALLS)
def test_every_call_can_fail_once(call, error):
    inner = MappingCAStore()
    inner.put(b"hello")
    store = FaultyStore(inner, at(1, Fail(error)))
    with pytest.raises(type(error)) as caught:
        CALLS[call](store)
    assert caught.value is error
    CALLS[call](store)
    assert [number for (number, _, _), _ in store.faults] == [1]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_can_stall_until_it_is_let_go(call):
    inner, stall = MappingCAStore(), Stall()
    inner.put(b"hello")
    store = FaultyStore(inner, at(1, stall))
    done = threading.Event()
    thread = threading.Thread(target=lambda: (CALLS[call](store), done.set()), daemon=True)
    thread.start()
    assert stall.reached.wait(DEADLINE)
    assert not done.is_set()
    stall.go.set()
    assert done.wait(DEADLINE)
    thread.join()


async def test_an_event_loop_goes_on_while_a_call_stalls():
    inner, stall = MappingCAStore(), Stall()
    inner.put(b"hello")
    store = FaultyStore(inner, at(1, stall))
    waiting = asyncio.create_task(store.get_block_async(HELLO_RAW))
    assert await asyncio.to_thread(stall.reached.wait, DEADLINE)
    assert await store.get_block_async(HELLO_RAW) == b"hello"
    assert not waiting.done()
    stall.go.set()
    assert await waiting == b"hello"


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (FlipBit(0), b"iello"),
        (FlipBit(39), b"hell\xef"),
        (FlipBit(40), b"iello"),
        (Truncate(2), b"hel"),
        (Truncate(9), b""),
        (Swap(b"other"), b"other"),
    ],
    ids=repr,
)
def test_damage_on_the_way_out_and_on_the_way_in(inner, damage, found):
    cid = inner.make_cid(b"hello", "raw")
    assert cid[4:] == sha256(b"hello").digest()
    inner.put(b"hello")
    store = FaultyStore(inner, at(1, damage))
    assert store.get_raw(cid) == found
    store.schedule = at(1, damage, on=["get"])
    with pytest.raises(CorruptBlockError):
        store.get_block(cid)
    assert store.get_block(cid) == inner.get_block(cid) == b"hello"


@pytest.mark.parametrize("damage", [FlipBit(3), Truncate(), Swap(b"other")], ids=repr)
def test_a_block_that_was_put_damaged_is_refused_and_mended_by_the_next_put(inner, damage):
    store = FaultyStore(inner, at(1, damage, on=["put"]))
    cid = store.put_raw(b"hello", "raw")
    store.flush()
    with pytest.raises(CorruptBlockError):
        inner.get_block(cid)
    assert store.put_raw(b"hello", "raw") == cid
    store.flush()
    assert inner.get_block(cid) == b"hello"


def test_an_empty_block_can_be_damaged_too():
    for damage in (FlipBit(5), Truncate(3)):
        assert damage.apply(b"") == b"\0"


def test_a_lost_block_is_gone(inner):
    store = FaultyStore(inner, at(1, Lose()))
    cid = store.put_raw(b"hello", "raw")
    store.flush()
    with pytest.raises(BlockNotFoundError):
        store.get_block(cid)
    store.put_raw(b"hello", "raw")
    assert store.get_block(cid) == b"hello"


def test_late_blocks_arrive_with_the_flush_in_another_order():
    mapping = {}
    store = FaultyStore(MappingCAStore(mapping), lambda call: Late() if call.cid else None, seed=1)
    cids = [str(store.put_raw(b"%d" % number, "raw")) for number in range(9)]
    assert mapping == {}
    store.schedule = None
    assert [store.get_block(cid) for cid in cids] == [b"%d" % number for number in range(9)]
    assert all(map(store.has, cids))
    store.flush()
    assert list(mapping) != cids
    assert sorted(mapping) == sorted(cids)


def test_what_is_late_and_not_flushed_ends_with_the_process():
    store = FaultyStore(MappingCAStore(), at(1, Late()))
    cid = store.put_raw(b"hello", "raw")
    store.forget()
    store.flush()
    assert not store.has(cid)


def test_a_failing_flush_keeps_what_is_late():
    store = FaultyStore(MappingCAStore(), at(1, Late()))
    cid = store.put_raw(b"hello", "raw")
    store.schedule = at(1, Fail(BackendError("full")))
    with pytest.raises(BackendError):
        store.flush()
    assert store.get_block(cid) == b"hello"
    store.flush()
    assert store.store.get_block(cid) == b"hello"


def test_faults_by_chance_are_the_same_for_the_same_seed():
    def faults_of(seed):
        store = FaultyStore(MappingCAStore(), randomly(seed, 0.3, [Lose(), Late(), FlipBit()]))
        for number in range(50):
            store.put_raw(b"%d" % number, "raw")
            store.flush()
        return [(call.number, type(fault).__name__) for call, fault in store.faults]

    assert faults_of(1) == faults_of(1) != faults_of(2)
    assert {name for _, name in faults_of(1)} == {"Lose", "Late", "FlipBit"}
    assert 8 < len(faults_of(1)) < 40


def test_a_fault_where_it_makes_no_sense_is_refused():
    store = FaultyStore(MappingCAStore(), lambda call: Lose())
    with pytest.raises(TypeError, match=r"Lose\(\) cannot befall"):
        store.flush()


def test_calls_are_counted_by_operation():
    store = FaultyStore(MappingCAStore(), at(2, Fail(BackendError("no")), on=["put"]))
    store.put_raw(b"1", "raw")
    store.flush()
    with pytest.raises(BackendError):
        store.put_raw(b"2", "raw")
    assert [call.operation for call in store.calls] == ["put", "flush", "put"]
    assert [call.number for call in store.calls] == [1, 2, 3]


def test_faults_can_be_had_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from ipldstore.testing import FaultyStore, at, Lose\n"
        "import ipldstore.testing\n"
        "assert not hasattr(ipldstore.testing, 'nothing')\n"
        "try: from ipldstore.testing import BackendTests\n"
        "except ImportError: print('sound')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "sound\n"


A, B = make_link(b"a"), make_link(b"b")


def test_fault_of_a_pointer(tmp_path):
    store = DirectoryCAStore(tmp_path)
    faulty = FaultyStore(store, at(1, Fail(BackendError("no")), on={"swap pointer"}))
    with pytest.raises(BackendError, match="no"):
        faulty.swap_pointer("default", None, A)
    assert store.read_pointer("default") is None
    assert faulty.swap_pointer("default", None, A)
    faulty.schedule = at(1, Fail(BackendError("no")), on={"read pointer"})
    with pytest.raises(BackendError, match="no"):
        faulty.read_pointer("default")
    assert faulty.read_pointer("default") == A
    assert [call.operation for call in faulty.calls if call.cid == A] == ["swap pointer"] * 2


def test_swap_that_is_done_and_not_answered(tmp_path):
    store = DirectoryCAStore(tmp_path)
    faulty = FaultyStore(store, at(1, Unanswered(BackendError("no answer"))))
    with pytest.raises(BackendError, match="no answer"):
        faulty.swap_pointer("default", None, A)
    assert store.read_pointer("default") == A
    assert faulty.swap_pointer("default", A, B)


JOURNAL_CALLS = {
    "append journal": lambda store: store.append_journal("g", "a", 5, b"second"),
    "make journal": lambda store: store.make_journal("g", "b", b"whole"),
    "remove journal": lambda store: store.remove_journal("g", "a"),
    "read journal": lambda store: store.read_journal("g", "a", start=1),
    "list journals": lambda store: store.list_journals("g"),
    "find journals": lambda store: store.find_journals("g", ["a"]),
}


@pytest.mark.parametrize("operation", JOURNAL_CALLS)
def test_fault_of_a_journal(tmp_path, operation):
    store = DirectoryCAStore(tmp_path)
    faulty = FaultyStore(store, at(1, Fail(BackendError("no")), on={operation}))
    store.append_journal("g", "a", 0, b"first")
    with pytest.raises(BackendError, match="no"):
        JOURNAL_CALLS[operation](faulty)
    assert store.list_journals("g") == {"a": 5}
    JOURNAL_CALLS[operation](faulty)


@pytest.mark.parametrize("operation", list(JOURNAL_CALLS)[:3])
def test_change_of_a_journal_that_is_done_and_not_answered(tmp_path, operation):
    store = DirectoryCAStore(tmp_path)
    store.append_journal("g", "a", 0, b"first")
    faulty = FaultyStore(store, at(1, Unanswered(BackendError("no answer"))))
    with pytest.raises(BackendError, match="no answer"):
        JOURNAL_CALLS[operation](faulty)
    assert store.list_journals("g") in ({"a": 11}, {"a": 5, "b": 5}, {})


def test_what_is_late_is_there_before_the_pointer(tmp_path):
    store = DirectoryCAStore(tmp_path)
    faulty = FaultyStore(store, at(1, Late()))
    cid = faulty.put_raw(b"late", "raw")
    assert cid not in store
    faulty.swap_pointer("default", None, cid)
    assert store.get_block(cid) == b"late"
    faulty.schedule = at(1, Fail(BackendError("no")), on={"flush"})
    with pytest.raises(BackendError, match="no"):
        faulty.swap_pointer("default", cid, A)
    assert store.read_pointer("default") == cid
