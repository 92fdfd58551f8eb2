"""The bound of a cache: which blocks go, when, and with several processes at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from layer_blocks import block
from layer_stores import CountingSource

from ipldstore import BackendError, DirectoryCAStore, MappingCAStore
from ipldstore.backends.layers.cache import CachingCAStore
from ipldstore.cid import make_link

SCRIPT = Path(__file__).with_name("cache_script.py")
BLOCKS = {make_link(block(number)): number for number in range(1000)}


@pytest.fixture
def cache(tmp_path):
    return DirectoryCAStore(tmp_path / "cache")


@pytest.fixture
def store(cache):
    source = CountingSource({str(cid): block(number) for cid, number in BLOCKS.items()})
    return CachingCAStore(source, cache, max_bytes=1000)


def kept(cache):
    return sorted(BLOCKS[found.cid] for found in cache.iter_blocks())


def total(cache):
    return sum(file.stat().st_size for file in cache.path.glob("??/*.data"))


def read(store, *numbers):
    for number in numbers:
        assert store.get_block(make_link(block(number))) == block(number)


def start(folder, max_bytes, first, stop):
    arguments = [sys.executable, str(SCRIPT), str(folder), *map(str, (max_bytes, first, stop))]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


def test_a_full_cache_is_within_the_bound(store, cache):
    read(store, *range(10))
    assert kept(cache) == list(range(10))
    assert total(cache) == 1000


def test_the_oldest_go_until_an_eighth_is_free(store, cache):
    read(store, *range(11))
    assert kept(cache) == list(range(3, 11))
    assert total(cache) == 800


def test_use_counts_and_not_age(store, cache):
    read(store, *range(10), 0, 2)
    read(store, 10)
    assert kept(cache) == [0, 2, 5, 6, 7, 8, 9, 10]
    assert len(store.source.gets) == 11


async def test_use_by_tasks_counts(store, cache):
    for number in (*range(10), 0, 2, 10):
        await store.get_block_async(make_link(block(number)))
    assert kept(cache) == [0, 2, 5, 6, 7, 8, 9, 10]


def test_what_is_written_counts(store, cache):
    for number in range(10):
        store.put_raw(block(number), "raw")
    store.put_raw(block(0), "raw")
    store.put_many([(make_link(block(10)), block(10))])
    assert kept(cache)[0] == 0
    assert total(cache) <= 1000


def test_the_bound_holds_after_each_put(store, cache):
    for number in range(100):
        read(store, number)
        assert total(cache) <= 1000
        assert number in kept(cache)


def test_what_went_is_fetched_again(store, cache):
    read(store, *range(11), 0)
    assert store.source.gets.count(str(make_link(block(0)))) == 2
    assert 0 in kept(cache)


def test_order_is_that_of_the_files(cache, store):
    """What another process, or an earlier one, left behind goes by the times of its files."""
    for number in range(10):
        cache.put(block(number))
        (file,) = (path for path in cache.path.glob("??/*.data") if path.stat().st_mtime > 1e9)
        os.utime(file, (1000 - number, 1000 - number))
    read(store, 10)
    assert kept(cache) == [0, 1, 2, 3, 4, 5, 6, 10]


@pytest.mark.parametrize(("size", "is_kept"), [(1000, True), (1001, False)])
def test_block_as_large_as_the_bound(store, cache, size, is_kept):
    read(store, 0, 1)
    large = b"x" * size
    cid = store.put_raw(large, "raw")
    assert (cid in cache) == is_kept
    assert store.get_block(cid) == large
    assert total(cache) == (1000 if is_kept else 200)


def test_folder_that_is_too_large_already(cache):
    read(CachingCAStore(source_of(300), cache), *range(300))
    assert total(cache) == 30_000
    read(CachingCAStore(source_of(300), cache, max_bytes=2000), 7, 299)
    assert total(cache) == 30_000
    read(CachingCAStore(source_of(301), cache, max_bytes=2000), 300)
    assert 7 in kept(cache)
    assert total(cache) == 1700


def source_of(count):
    return MappingCAStore({str(make_link(block(n))): block(n) for n in range(count)})


def test_other_files_are_left_alone(store, cache):
    others = ("_README", "QJ/.put-1-abandoned", "QJ/notes.txt", "QJ/broken.data", "QJ/AA.data")
    for name in others:
        path = cache.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 5000)
    read(store, *range(30))
    assert all((cache.path / name).stat().st_size == 5000 for name in others)
    assert len(kept(cache)) in (8, 9, 10)


def test_folder_is_not_looked_through_at_each_put(cache, tmp_path):
    class Counting(DirectoryCAStore):
        scans = 0

        def iter_blocks(self):
            self.scans += 1
            return super().iter_blocks()

    folder = Counting(cache.path)
    store = CachingCAStore(source_of(1000), folder, max_bytes=20_000)
    read(store, *range(1000))
    # one scan for each 2,500 bytes put, and a second where that finds too much
    assert folder.scans <= 1 + 2 * 100_000 // 2_500
    assert total(cache) <= 20_000


def test_many_threads_stay_near_the_bound(store, cache):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: read(store, number), list(range(300)) * 2))
    read(store, 999, 998, 997, 996)
    assert total(cache) <= 1000


def test_two_processes_share_the_bound(cache):
    processes = [start(cache.path, 10_000, first, first + 400) for first in (0, 400)]
    for process in processes:
        finish(process)
    assert 5_000 <= total(cache) <= 10_000 + 10_000 // 8 + 2 * 100


def test_use_by_another_process_counts(store, cache):
    read(store, *range(10))
    finish(start(cache.path, 1000, 0, 1))
    read(store, 10)
    assert kept(cache) == [0, 4, 5, 6, 7, 8, 9, 10]


def test_bound_takes_a_folder():
    with pytest.raises(TypeError, match="takes a DirectoryCAStore as cache, not MappingCAStore"):
        CachingCAStore(MappingCAStore(), MappingCAStore(), max_bytes=1000)


@pytest.mark.parametrize("max_bytes", [0, -1])
def test_bound_is_positive(cache, max_bytes):
    with pytest.raises(ValueError, match=f"max_bytes is {max_bytes}, expected a positive"):
        CachingCAStore(MappingCAStore(), cache, max_bytes=max_bytes)


def test_blocks_of_a_folder(cache):
    cid = make_link(b"hello", "dag-cbor", "blake2b-256")
    cache.put_block(cid, b"hello")
    (found,) = cache.iter_blocks()
    assert (found.cid, found.size) == (make_link(b"hello", "raw", "blake2b-256"), 5)
    (file,) = cache.path.glob("??/*.data")
    assert found.time_ns == file.stat().st_mtime_ns
    os.utime(file, (5, 5))
    cache.touch_block(cid)
    assert file.stat().st_mtime > 1e9
    cache.remove_block(cid)
    assert list(cache.iter_blocks()) == []
    cache.remove_block(cid)
    cache.touch_block(cid)


@pytest.mark.parametrize(
    ("call", "said"), [("remove_block", "cannot remove"), ("touch_block", "cannot touch")]
)
def test_faults_of_a_folder(cache, call, said):
    (cache.path / "QJ").write_text("in the way")
    with pytest.raises(BackendError, match=said):
        getattr(cache, call)(make_link(b"hello"))
    assert list(cache.iter_blocks()) == []


def test_folder_that_is_gone_cannot_be_looked_through(cache):
    cache.path.joinpath("SHARDING").unlink()
    cache.path.rmdir()
    with pytest.raises(BackendError, match="cannot look through"):
        list(cache.iter_blocks())
