"""Copying a root between block stores: what is moved, in which order, after which mishaps."""

import subprocess
import sys
import threading
import tracemalloc

import pytest

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    copy_root,
)
from ipldstore.cid import as_link, make_link, to_text
from ipldstore.testing import IDENTITY_HELLO, MISSING

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"


class Watched(MappingCAStore):
    """Notes what is read and put, and fails when it is told to."""

    def __init__(self, mapping=None):
        super().__init__(mapping)
        self.read, self.put_order = [], []
        self.puts_left = None
        self.lock = threading.Lock()

    def get_raw(self, cid):
        self.read.append(to_text(cid))
        return super().get_raw(cid)

    def put_block(self, cid, data):
        with self.lock:
            if self.puts_left == 0:
                raise BackendError("the disk is full")
            if self.puts_left is not None:
                self.puts_left -= 1
        super().put_block(cid, data)
        self.put_order.append(to_text(cid))


@pytest.fixture(scope="module")
def hierarchy():
    """Pages, inlined and linked directories, a value of several blocks, values that repeat."""
    store = IPLDStore()
    for i in range(7000):
        store[f"long/{i}"] = b"%d" % (i % 700)
    for i in range(300):
        store[f"group/c/{i}"] = b"chunk %d" % i
    store["group/file"] = bytes(range(256)) * 4096 * 3
    store["group/zarr.json"] = b'{"a":"%s"}' % (b"x" * 9000)
    store.freeze()
    return store


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_all_of_it_arrives(hierarchy, workers):
    target = Watched()
    copied = copy_root(hierarchy.root_cid, hierarchy.backend, target, workers=workers)
    everything = hierarchy.backend.mapping
    assert target.mapping == {cid: everything[cid] for cid in target.mapping}
    assert IPLDStore(target, root=hierarchy.root_cid).to_car() == hierarchy.to_car()
    assert copied == (len(target.mapping), sum(map(len, target.mapping.values())), 0)
    assert len(target.put_order) == len(set(target.put_order))


@pytest.mark.parametrize("workers", [1, 8])
def test_children_are_put_before_their_parents(hierarchy, workers):
    target = OrderChecking()
    copy_root(hierarchy.root_cid, hierarchy.backend, target, workers=workers)
    assert target.nodes > 4
    assert target.put_order[-1] == str(hierarchy.root_cid)


class OrderChecking(Watched):
    """Fails when a dag-cbor block comes before a block that it leads to."""

    nodes = 0

    def put_block(self, cid, data):
        if cid[1] == 0x71:
            self.nodes += 1
            for child in links_in(data):
                assert to_text(child) in self.mapping
        super().put_block(cid, data)


def links_in(data):
    """Find the links in a DAG-CBOR block by their head, without decoding it."""
    head = b"\xd8\x2a\x58\x25\x00"
    at = data.find(head)
    while at >= 0:
        yield data[at + 5 : at + 41]
        at = data.find(head, at + 41)


def test_only_what_is_missing_is_moved(hierarchy):
    target = MappingCAStore()
    first = copy_root(hierarchy.root_cid, hierarchy.backend, target)
    changed = IPLDStore(hierarchy.backend, root=hierarchy.root_cid)
    changed["long/77"] = b"changed"
    root = changed.freeze()
    source = Watched(hierarchy.backend.mapping)
    before = dict(target.mapping)
    copied = copy_root(root, source, target)
    new = {cid: data for cid, data in target.mapping.items() if cid not in before}
    assert str(root) in new
    assert copied[:2] == (len(new), sum(map(len, new.values())))
    assert 2 <= copied.blocks <= 4
    assert copied.skipped == first.blocks - copied.blocks + 1
    assert sorted(source.read) == sorted(new)


def test_again_reads_nothing_from_the_source(hierarchy):
    target = MappingCAStore()
    first = copy_root(hierarchy.root_cid, hierarchy.backend, target)
    assert copy_root(hierarchy.root_cid, MappingCAStore(), target) == (0, 0, first.blocks)


def test_a_node_that_is_there_without_its_children(hierarchy):
    root = str(hierarchy.root_cid)
    target = MappingCAStore({root: hierarchy.backend.mapping[root]})
    copied = copy_root(root, hierarchy.backend, target)
    assert copied.skipped == 1
    assert IPLDStore(target, root=root).to_car() == hierarchy.to_car()


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("puts", [0, 1, 5, 700, 1000])
def test_resumed_after_an_error_of_the_target(hierarchy, workers, puts):
    target = Watched()
    target.puts_left = puts
    with pytest.raises(BackendError, match="the disk is full"):
        copy_root(hierarchy.root_cid, hierarchy.backend, target, workers=workers)
    assert len(target.mapping) == puts
    assert str(hierarchy.root_cid) not in target.mapping
    target.puts_left = None
    copied = copy_root(hierarchy.root_cid, hierarchy.backend, target, workers=workers)
    assert copied.skipped == puts
    assert len(target.put_order) == len(set(target.put_order))
    assert IPLDStore(target, root=hierarchy.root_cid).to_car() == hierarchy.to_car()


KILLED = """
import os, sys
from ipldstore import DirectoryCAStore, copy_root
root, source, target, count = sys.argv[1:]
def progress(blocks, size):
    if blocks == int(count):
        os._exit(9)
copy_root(root, DirectoryCAStore(source), DirectoryCAStore(target), progress=progress)
"""


def test_resumed_after_being_killed(hierarchy, tmp_path):
    root = str(hierarchy.root_cid)
    source, target = tmp_path / "source", tmp_path / "target"
    total = copy_root(root, hierarchy.backend, DirectoryCAStore(source)).blocks
    command = [sys.executable, "-c", KILLED, root, str(source), str(target), "500"]
    assert subprocess.run(command, check=False).returncode == 9
    assert not DirectoryCAStore(target).has(root)
    copied = copy_root(root, DirectoryCAStore(source), DirectoryCAStore(target))
    assert copied.skipped >= 500
    assert copied.blocks + copied.skipped == total
    assert IPLDStore(DirectoryCAStore(target), root=root).to_car() == hierarchy.to_car()


def test_progress_counts_up_in_the_callers_thread(hierarchy):
    calls = []

    def progress(blocks, size):
        assert threading.current_thread() is threading.main_thread()
        calls.append((blocks, size))

    copied = copy_root(hierarchy.root_cid, hierarchy.backend, MappingCAStore(), progress=progress)
    assert calls[-1] == copied[:2]
    assert [blocks for blocks, _ in calls] == list(range(1, copied.blocks + 1))
    assert [size for _, size in calls] == sorted(size for _, size in calls)


def test_progress_can_stop_it(hierarchy):
    def progress(blocks, size):
        if blocks == 10:
            raise KeyboardInterrupt

    target = MappingCAStore()
    with pytest.raises(KeyboardInterrupt):
        copy_root(hierarchy.root_cid, hierarchy.backend, target, progress=progress)
    assert 10 <= len(target.mapping) < 40


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
@pytest.mark.parametrize("kind", ["root", "leaf"])
def test_a_bad_block_of_the_source(hierarchy, kind, damage):
    root = str(hierarchy.root_cid)
    mapping = dict(hierarchy.backend.mapping)
    cid = root if kind == "root" else str(make_link(b"3"))
    expected = BlockNotFoundError
    if damage == "missing":
        del mapping[cid]
    else:
        mapping[cid] = b"damaged"
        expected = CorruptBlockError
    target = MappingCAStore()
    with pytest.raises(expected, match=cid):
        copy_root(root, MappingCAStore(mapping), target)
    assert root not in target.mapping
    assert cid not in target.mapping


def test_an_error_stops_it_soon(hierarchy):
    target = Watched()
    source = Watched({**hierarchy.backend.mapping, str(make_link(b"3")): b"damaged"})
    with pytest.raises(CorruptBlockError):
        copy_root(hierarchy.root_cid, source, target, workers=2)
    at = source.read.index(str(make_link(b"3")))
    assert len(source.read) - at < 10


def test_no_more_is_held_than_the_workers_need():
    source, target = DirectoryLess(), DirectoryLess()
    store = IPLDStore(source)
    for i in range(64):
        store[str(i)] = bytes([i]) * (1 << 20)
    root = store.freeze()
    tracemalloc.start()
    try:
        assert copy_root(root, source, target, workers=2).bytes > 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
    assert target.kept == source.kept


class DirectoryLess(MappingCAStore):
    """Keeps 1 MiB of one byte as that byte."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    def put_block(self, cid, data):
        self.kept[cid] = data[:1] if len(data) == 1 << 20 else data

    def get_raw(self, cid):
        data = self.kept[cid]
        return data * (1 << 20) if len(data) == 1 else data

    def has_raw(self, cid):
        return cid in self.kept


def test_one_raw_block():
    source = MappingCAStore()
    source.put(b"hello")
    target = MappingCAStore()
    assert copy_root(HELLO, source, target) == (1, 5, 0)
    assert target.mapping == {HELLO: b"hello"}


def test_an_identity_cid_has_nothing_to_copy():
    assert copy_root(IDENTITY_HELLO, MappingCAStore(), MappingCAStore()) == (0, 0, 0)


def test_onto_itself(hierarchy):
    copied = copy_root(hierarchy.root_cid, hierarchy.backend, hierarchy.backend)
    assert copied[:2] == (0, 0)


def test_a_root_that_is_nowhere():
    with pytest.raises(BlockNotFoundError, match=MISSING):
        copy_root(MISSING, MappingCAStore(), MappingCAStore())


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(workers):
    with pytest.raises(ValueError, match="greater than 0"):
        copy_root(HELLO, MappingCAStore(), MappingCAStore(), workers=workers)


def test_blocks_of_a_foreign_hash_function():
    source = MappingCAStore(default_hash="blake2b-256")
    store = IPLDStore(source)
    store["a/0"] = b"chunk"
    root = store.freeze()
    target = MappingCAStore()
    assert copy_root(root, source, target).blocks == 2
    assert target.mapping == source.mapping
    assert as_link(root)[1:5] == b"\x71\xa0\xe4\x02"


def test_threads_are_gone_afterwards(hierarchy):
    copy_root(hierarchy.root_cid, hierarchy.backend, MappingCAStore())
    assert not [t for t in threading.enumerate() if t.name.startswith("ipldstore-copy")]
