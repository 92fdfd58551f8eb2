"""Faults at every call to a block store, in all that writes into one and reads from one."""

import asyncio
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr
import zarr
from faulty_operations import DATASET, OLD, OPERATIONS, WriteThroughZarr, change, make_old

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    IPLDStoreError,
    MappingCAStore,
    verify,
)
from ipldstore.testing import (
    Fail,
    FaultyStore,
    FlipBit,
    Late,
    Lose,
    Swap,
    Truncate,
    at,
    randomly,
)

pytestmark = pytest.mark.once

ON_ZARR_2 = zarr.__version__.startswith("2.")
ERRORS = {
    "busy": BackendError("the server is busy", retryable=True),
    "full": BackendError("disk full"),
    "io": OSError(5, "I/O error"),
}
FACES = {"inline": None, "network": 0}


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.__name__)
def operation(request):
    if ON_ZARR_2 and request.param is WriteThroughZarr:
        pytest.skip("the store of zarr-python 2 has no asynchronous methods")
    return request.param()


def begin(operation, inline_limit, inner=None):
    """Make a store that has the old content, ready for the operation."""
    backend = FaultyStore(MappingCAStore() if inner is None else inner, inline_limit=inline_limit)
    store = make_old(backend)
    if hasattr(operation, "prepare"):
        operation.prepare(store)
    backend.calls.clear()
    return store


def values_of(store):
    return {key: bytes(store[key]) for key in store}


def check_old(root, inner):
    """Check that the old hierarchy is complete, from the bytes that are kept."""
    assert verify(root, inner).ok
    assert values_of(IPLDStore(inner, root=root, read_only=True)) == OLD


@pytest.mark.parametrize(
    ("error", "face", "step"),
    [("busy", "inline", 1), ("busy", "network", 2), ("full", "inline", 4), ("io", "inline", 5)],
)
def test_what_writes_fails_at_any_call_and_succeeds_when_done_again(operation, error, face, step):
    old = make_old(MappingCAStore()).root_cid
    clean = begin(operation, FACES[face])
    expected = operation.do(clean)
    count, root, content = len(clean.backend.calls), expected.root_cid, values_of(expected)
    assert count > 3
    for number in range(1, count + 1, step):
        store = begin(operation, FACES[face])
        assert store.root_cid in (None, old)
        store.backend.schedule = at(number, Fail(ERRORS[error]))
        with failing(operation, type(ERRORS[error])):
            operation.do(store)
        ((call, _),) = store.backend.faults
        check_after(operation, store, old, root, call)
        again = operation.do(store)
        assert again.root_cid == root, call
        assert values_of(again) == content
        assert verify(root, again.backend).ok
        check_old(old, store.backend.store)


@contextmanager
def failing(operation, kind):
    """Expect an error, unless the operation has another way."""
    try:
        yield
    except kind:
        return
    assert hasattr(operation, "may_absorb")


def check_after(operation, store, old, new, call):
    """Check what there is after a failure: the old root, and no other that is not complete."""
    check_old(old, store.backend.store)
    if hasattr(operation, "keeps_root"):
        assert store.root_cid == old
    elif store.root_cid not in (None, old):
        # all blocks are kept when the block store is told of the root, or nothing went wrong
        assert store.root_cid == new
        assert verify(new, store.backend.store).ok
        assert call.operation == "note" or store.backend.calls[-1].operation == "note"


def test_a_folder_of_blocks_is_left_whole_too(operation, tmp_path):
    """What is on disk after a failure, opened anew, as after the end of the process."""
    old = make_old(MappingCAStore()).root_cid
    clean = begin(operation, None, DirectoryCAStore(tmp_path / "clean"))
    operation.do(clean)
    for number in range(1, len(clean.backend.calls) + 1, 9):
        folder = tmp_path / str(number)
        store = begin(operation, None, DirectoryCAStore(folder))
        store.backend.schedule = at(number, Fail(ERRORS["full"]))
        with failing(operation, BackendError):
            operation.do(store)
        check_old(old, DirectoryCAStore(folder))


def test_late_and_reordered_blocks_are_all_there_after_the_operation(operation):
    clean = operation.do(begin(operation, None))
    for seed in range(2):
        store = begin(operation, None)
        store.backend.schedule = randomly(seed, 0.6, [Late()])
        done = operation.do(store)
        assert done.root_cid == clean.root_cid
        assert verify(done.root_cid, getattr(done.backend, "store", done.backend)).ok


def test_what_is_late_when_the_process_ends_leaves_the_old_root(operation):
    old = make_old(MappingCAStore()).root_cid
    store = begin(operation, None)
    flushes = iter(range(1, 100))

    def schedule(call):
        if call.operation == "put":
            return Late()
        if call.operation == "flush" and next(flushes):
            return Fail(BackendError("the process ends"))
        return None

    store.backend.schedule = schedule
    try:
        operation.do(store)
    except BackendError:
        assert store.root_cid in (None, old)
    store.backend.forget()
    check_old(old, store.backend.store)


# zarr's words for what an attempt that failed left, where it looks for what to consolidate
@pytest.mark.filterwarnings("ignore:Object at .* is not recognized:UserWarning")
def test_random_faults_until_it_is_done(operation):
    """Ten failures on the way, and the same root at the end."""
    root = operation.do(begin(operation, None)).root_cid
    for seed in range(2):
        store = begin(operation, None)
        store.backend.schedule = randomly(seed, 0.02, [Fail(ERRORS["busy"])])
        failures = 0
        while True:
            try:
                done = operation.do(store)
            except BackendError:
                failures += 1
                if failures == 10:
                    store.backend.schedule = None
            else:
                break
        assert done.root_cid == root


class TestRepair:
    """A verification that repairs never raises for a fault; it reports, and is done again."""

    def broken(self):
        source = make_old(MappingCAStore())
        change(source)
        root = source.freeze()
        target = MappingCAStore(dict(source.backend.mapping))
        names = sorted(target.mapping)
        for name in names[::3]:
            del target.mapping[name]
        for name in names[1::3]:
            target.mapping[name] = b"damaged"
        return root, source.backend, target

    @pytest.mark.parametrize("side", ["source", "target"])
    def test_every_call(self, side):
        def run(schedule):
            root, source, target = self.broken()
            faulty = FaultyStore(source if side == "source" else target, schedule)
            sides = (target, faulty) if side == "source" else (faulty, source)
            report = verify(root, sides[0], repair_from=sides[1])
            return root, source, target, faulty, report

        *_, faulty, report = run(None)
        assert report.ok
        for number in range(1, len(faulty.calls) + 1, 7):
            root, source, target, faulty, report = run(at(number, Fail(ERRORS["full"])))
            assert len(faulty.faults) == 1
            assert len(report.problems) == 1
            assert verify(root, target, repair_from=source).ok
            assert verify(root, target).ok


DAMAGES = {
    "busy": lambda: Fail(ERRORS["busy"]),
    "io": lambda: Fail(ERRORS["io"]),
    "missing": lambda: Fail(BlockNotFoundError("no such block")),
    "bit": lambda: FlipBit(77),
    "first bit": lambda: FlipBit(0),
    "cut": lambda: Truncate(1),
    "empty": lambda: Truncate(1 << 30),
    "other block": lambda: Swap(b"old chunk"),
}


def read_as_mapping(store):
    return values_of(store)


def read_by_get(store):
    return {key: store.get(key) for key in OLD}


def read_through_zarr(store):
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()

    async def read():
        buffers = await asyncio.gather(*(store.get(key, prototype) for key in OLD))
        return [None if buffer is None else buffer.to_bytes() for buffer in buffers]

    return asyncio.run(read())


def list_keys(store):
    return sorted(store)


def look_for_keys(store):
    return [key in store for key in (*OLD, "a", "dir/no", "no/0")]


def read_parts(store):
    return store.listdir("dir") if ON_ZARR_2 else asyncio.run(list_directory(store, "dir"))


async def list_directory(store, path):
    return sorted([name async for name in store.list_dir(path)])


READS = [read_as_mapping, read_by_get, read_through_zarr, list_keys, look_for_keys, read_parts]


@contextmanager
def refused_or_right(expected):
    """Yield a list for what is read; if nothing is raised, it has to be what is expected."""
    found = []
    try:
        yield found
    except (IPLDStoreError, OSError) as error:
        assert not isinstance(error, KeyError)
    else:
        assert found == [expected]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("read", READS)
def test_what_is_read_is_right_or_refused(read, damage, face):
    if read is read_through_zarr and ON_ZARR_2:
        pytest.skip("the store of zarr-python 2 has no asynchronous methods")
    inner = MappingCAStore()
    root = make_old(inner).root_cid
    backend = FaultyStore(inner, inline_limit=FACES[face])
    expected = read(IPLDStore(backend, root=root))
    count = len(backend.calls)
    for number in range(1, count + 1, 1 if count < 50 else 23):
        backend.schedule = at(number, DAMAGES[damage]())
        with refused_or_right(expected) as found:
            found.append(read(IPLDStore(backend, root=root)))
        backend.schedule = None
    assert read(IPLDStore(backend, root=root)) == expected


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_arrays_are_never_filled_in_for_what_cannot_be_read(damage, face):
    """Zarr fills in where it is told that there is no chunk; here it must not be."""
    inner = MappingCAStore()
    store = IPLDStore(inner)
    DATASET.to_zarr(store, consolidated=False)
    root = store.freeze()
    backend = FaultyStore(inner, inline_limit=FACES[face])

    def read():
        store = IPLDStore(backend, root=root, read_only=True)
        group = zarr.open_group(store, mode="r")
        return [np.asarray(group[name][:]).tolist() for name in ("s", "t")]

    expected = [DATASET.s.values.tolist(), DATASET.t.values.tolist()]
    assert read() == expected
    for number in range(1, len(backend.calls) + 1):
        backend.schedule = at(number, DAMAGES[damage]())
        with refused_or_right(expected) as found:
            found.append(read())
        backend.schedule = None
        backend.calls.clear()


@pytest.mark.parametrize("damage", ["busy", "missing", "bit"])
def test_datasets_are_right_or_refused(damage):
    inner = MappingCAStore()
    store = IPLDStore(inner)
    DATASET.to_zarr(store, consolidated=True)
    root = store.freeze()
    backend = FaultyStore(inner)

    def read():
        with xr.open_zarr(IPLDStore(backend, root=root), consolidated=True) as dataset:
            return dataset.compute().to_dict()

    expected = read()
    for number in range(1, len(backend.calls) + 1, 3):
        backend.schedule = at(number, DAMAGES[damage]())
        with refused_or_right(expected) as found:
            found.append(read())
        backend.schedule = None
        backend.calls.clear()


def lost(inner, whole):
    """Return the blocks that one store lacks of another."""
    return inner.find_missing(block.cid for block in whole.iter_blocks())


class TestSilentFaults:
    """What no writer can see: a put that says done and is not. It is never taken for sound."""

    @pytest.mark.parametrize("fault", [Lose(), FlipBit(9), Truncate(1), Swap(b"x")], ids=repr)
    def test_a_block_that_was_not_kept_is_found_and_mended(self, fault):
        clean = begin_change(None)
        clean.freeze()
        whole, count = clean.backend.store, len(clean.backend.calls)
        for number in range(1, count + 1):
            store = begin_change(at(number, fault, on=["put"]))
            inner = store.backend.store
            try:
                root = store.freeze()
            except BlockNotFoundError:
                # a value that was lost at once is noticed
                assert isinstance(fault, Lose)
                inner.put_many((link, whole.get_block(link)) for link in lost(inner, whole))
                assert verify(store.freeze(), inner).ok
                continue
            if not store.backend.faults:
                break
            (problem,) = verify(root, inner).problems
            assert problem.kind == ("missing" if isinstance(fault, Lose) else "corrupt")
            fresh = IPLDStore(inner, root=clean.root_cid) if problem.keys != ("",) else None
            if fresh is not None:
                with pytest.raises((BlockNotFoundError, CorruptBlockError)):
                    values_of(fresh)
            assert verify(root, inner, repair_from=whole).repaired == (problem.cid,)
            assert verify(root, inner).ok
        assert number > 9


def begin_change(schedule):
    store = make_old(FaultyStore(MappingCAStore()))
    store.backend.calls.clear()
    store.backend.schedule = schedule
    change(store)
    return store
