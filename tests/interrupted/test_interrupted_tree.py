"""Whatever interrupts a call, and wherever, the hierarchy is as before it or as after it."""

import os
import pickle
from itertools import count
from threading import Thread

import pytest
from interrupts import act_at, count_points, interrupt_at
from operations import (
    BEFORE,
    CHANGES,
    STEADY,
    change_much,
    content_after,
    delete_what_was_alone,
    forget_roots,
    fresh_root,
    set_again,
    written_anew,
)
from small_pages import shrink

from ipldstore import BackendError, IPLDStore, MappingCAStore, ReentrantCallError

pytestmark = pytest.mark.once

TRIED = 1 << 30 if os.environ.get("IPLDSTORE_EVERY_POINT") else 25
"""How many of the points of a call are tried, evenly spread."""

OPERATIONS = [*CHANGES, *STEADY]


@pytest.fixture(params=["paged", "unpaged"], autouse=True)
def pages(request, monkeypatch):
    if request.param == "paged":
        shrink(monkeypatch)
    forget_roots()
    yield
    forget_roots()


@pytest.fixture(params=["written", "opened", "bare", "changed"])
def begin(request):
    """Makers of a store: all in memory, all on disk, nothing kept in memory, or much changed."""
    blocks = {}
    written = IPLDStore(MappingCAStore(blocks))
    written.update(BEFORE)
    root = written.freeze()

    def make(backend_class=MappingCAStore):
        backend = backend_class(dict(blocks))
        if request.param == "written":
            store = IPLDStore(backend)
            store.update(BEFORE)
            return store
        store = IPLDStore(backend, root=root, cache_bytes=0 if request.param == "bare" else 1 << 20)
        if request.param == "changed":
            change_much(store)
        return store

    return make


def check(store, operation, before):
    """Check that an operation that failed in the middle was done or was not, and can be done."""
    after = content_after(operation, before) if operation in CHANGES else before
    content = in_another_thread(lambda: dict(store))
    assert content in (before, after)
    check_frozen(store, content)
    if content == before:
        operation(store)
    assert dict(store) == after
    check_frozen(store, after)


def check_frozen(store, content):
    """Check that a store freezes as one written anew, all of whose blocks are in its backend."""
    root, blocks = written_anew(content)
    assert store.freeze() == root
    assert blocks.items() <= store.backend.mapping.items()


def in_another_thread(work):
    """Return what a call returns in another thread, which waits for no lock for ever."""
    results = []
    thread = Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(20)
    assert results, "the call failed, or still waits"
    return results[0]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_interrupt_at_every_point(begin, operation):
    before = dict(begin())
    count_points(lambda: operation(begin()))
    store = begin()
    points = count_points(lambda: operation(store))
    assert points > 10
    chosen = range(1, points + 1, -(-points // TRIED))
    tried = 0
    for point in chosen:
        store = begin()
        if interrupt_at(point, lambda store=store: operation(store)):
            check(store, operation, before)
            tried += 1
    assert tried >= len(chosen) - 2


class FailingStore(MappingCAStore):
    """Fails the calls from one on, or one call only."""

    left = None
    lasts = False

    def _count(self):
        if self.left is not None:
            self.left -= 1
            if self.left == 0 or (self.left < 0 and self.lasts):
                raise BackendError("time-out", retryable=True)

    def get_raw(self, cid):
        self._count()
        return super().get_raw(cid)

    def put_block(self, cid, data):
        self._count()
        super().put_block(cid, data)

    def find_missing(self, cids):
        self._count()
        return super().find_missing(cids)

    def flush(self):
        self._count()


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_fault_at_every_call(begin, operation, lasts):
    before = dict(begin())
    for call in count(1):
        store = begin(FailingStore)
        store.backend.left, store.backend.lasts = call, lasts
        try:
            operation(store)
            assert store.backend.left > 0
            break
        except BackendError:
            store.backend.left = None
        check(store, operation, before)


@pytest.mark.parametrize(
    "handle", [lambda store: store.freeze(), change_much], ids=["freeze", "set"]
)
@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.__name__)
def test_signal_handler_at_every_point(begin, operation, handle):
    """It is refused in the middle of a change; where it is not, both are done."""
    after = content_after(operation, dict(begin()))
    refused = 0

    def handler():
        nonlocal refused
        try:
            handle(store)
        except ReentrantCallError:
            refused += 1
        except KeyError:
            """The keys that it deletes are gone."""

    store = begin()
    points = count_points(lambda: operation(store))
    for point in range(1, points + 1, -(-points // TRIED)):
        store = begin()
        act_at(point, handler, lambda store=store: operation(store))
        content = dict(store)
        if handle is not change_much:
            assert content == after
        check_frozen(store, content)
    assert refused


@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.__name__)
def test_interrupted_change_of_a_fork(begin, operation):
    """A fork that was interrupted merges what it holds, no more and no less."""
    before = dict(begin())
    after = content_after(operation, before)
    store = begin()
    fork = store.fork()
    points = count_points(lambda: operation(fork))
    for point in range(1, points + 1, -(-points // TRIED)):
        store = begin()
        fork, root = store.fork(), store.root_cid
        interrupt_at(point, lambda fork=fork: operation(fork))
        store.merge(fork)
        assert dict(store) == dict(fork)
        assert dict(fork) in (before, after)
        if dict(fork) == before:
            operation(fork)
        store.set_root(root, discard=True)
        store.merge(pickle.loads(pickle.dumps(fork)))
        assert dict(store) == dict(fork) == after
        assert store.freeze() == fresh_root(after)


def test_interrupted_merge(begin):
    before = dict(begin())
    after = content_after(set_again, content_after(delete_what_was_alone, before))

    def prepare():
        store = begin()
        forks = [store.fork(), store.fork()]
        set_again(forks[0])
        delete_what_was_alone(forks[1])
        return store, forks

    store, forks = prepare()
    points = count_points(lambda: store.merge(*forks))
    for point in range(1, points + 1, -(-points // TRIED)):
        store, forks = prepare()
        interrupt_at(point, lambda store=store, forks=forks: store.merge(*forks))
        content = in_another_thread(lambda store=store: dict(store))
        assert content in (before, after)
        assert store.freeze() == fresh_root(content)
        store.merge(*forks)
        assert dict(store) == after
        assert store.freeze() == fresh_root(after)


def test_interrupted_opening_of_another_root(begin):
    other = IPLDStore()
    other["other"] = b"content"
    archive = other.to_car()

    def operation(store):
        store.import_car(archive, discard=True)

    before = dict(begin())
    store = begin()
    points = count_points(lambda: operation(store))
    for point in range(1, points + 1, -(-points // TRIED)):
        store = begin()
        interrupt_at(point, lambda store=store: operation(store))
        content = in_another_thread(lambda store=store: dict(store))
        assert content in (before, dict(other))
        assert store.freeze() == fresh_root(content)
        operation(store)
        assert store.root_cid == other.root_cid
