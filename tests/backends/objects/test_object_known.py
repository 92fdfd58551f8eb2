"""What is in a bucket already is neither sent nor asked for more often than it pays.

Requests are counted between the store and a real server.
"""

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from faulty_store import FaultyStore

from ipldstore import BlockNotFoundError, CorruptBlockError, IPLDStore, MappingCAStore, copy
from ipldstore.backends.objects import known
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import Link

LARGE = 100_000


@pytest.fixture
def front(s3):
    with FaultyStore(s3.port) as front:
        yield front


@pytest.fixture
def bucket(s3):
    return s3.make_bucket()


@pytest.fixture
def open_again(s3, front, bucket):
    """Open the bucket as a new process would."""

    def open_again(**more):
        return ObjectCAStore(bucket, **s3.make_options(endpoint=front.endpoint) | more)

    return open_again


def count(front):
    found = Counter("LIST" if "list-type" in path else method for method, path in front.requests)
    front.requests.clear()
    return found


def write(store, number, size):
    for index in range(number):
        store[f"a/c/{index}"] = b"%07d" % index * (size // 7)
    return store.freeze()


def test_a_block_is_sent_once(front, open_again):
    blocks = open_again()
    for _ in range(5):
        blocks.put(b"one")
        blocks.flush()
    assert count(front)["PUT"] == 1


@pytest.mark.parametrize(("size", "most_sent"), [(LARGE, 2), (70, 40)])
def test_a_dataset_that_is_there_is_not_sent_again(front, open_again, size, most_sent):
    root = write(IPLDStore(open_again()), 100, size)
    count(front)
    assert write(IPLDStore(open_again()), 100, size) == root
    requests = count(front)
    assert requests["PUT"] <= most_sent
    assert requests.total() <= 110


def test_what_was_listed_counts_for_minutes_only(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(known.time, "monotonic", lambda: now[0])
    some = known.Known(lambda: iter([[{"path": "old", "size": LARGE}]]))
    assert some.find("old", LARGE)
    for number in range(40):
        assert not some.find(f"new {number}", LARGE)
    assert some.find("old", LARGE)
    now[0] = 301
    assert not some.find("old", LARGE)


def test_all_that_is_put_at_once_waits_for_the_first_page():
    begun, goes_on = threading.Barrier(known._TRIES * 2), threading.Event()

    def pages():
        goes_on.wait(60)
        yield [{"path": f"{index}", "size": LARGE} for index in range(known._TRIES * 2)]

    some = known.Known(pages)

    def find(index):
        begun.wait(60)
        return some.find(f"{index}", LARGE)

    with ThreadPoolExecutor(known._TRIES * 2) as pool:
        found = [pool.submit(find, index) for index in range(known._TRIES * 2)]
        threading.Timer(0.05, goes_on.set).start()
        assert all(each.result() for each in found)


def test_onto_its_base_next_to_nothing_is_asked(front, open_again):
    root = write(IPLDStore(open_again()), 100, LARGE)
    count(front)
    assert write(IPLDStore(open_again(), root=root), 100, LARGE) == root
    requests = count(front)
    assert requests["PUT"] == requests["LIST"] == 0
    assert requests["HEAD"] <= 60


@pytest.mark.parametrize("number", [3, 100])
def test_a_value_of_the_base_that_went_is_sent_again(open_again, number):
    blocks = open_again()
    root = write(IPLDStore(blocks), number, LARGE)
    lost = next(iter(IPLDStore(blocks, root=root).reader.identify_all().values()))
    blocks.store.delete(blocks._path(lost))
    again = open_again()
    assert write(IPLDStore(again, root=root), number, LARGE) == root
    assert open_again().has(lost)


def test_a_value_that_a_read_missed_is_sent_again(open_again):
    root = write(IPLDStore(open_again()), 40, LARGE)
    blocks = open_again()
    store = IPLDStore(blocks, root=root)
    assert write(store, 40, LARGE) == root  # so many that it is not asked for each any more
    lost = store.reader.find(["a", "c", "7"])
    blocks.store.delete(blocks._path(lost))
    with pytest.raises(BlockNotFoundError):
        store["a/c/7"]
    store["a/c/7"] = b"%07d" % 7 * (LARGE // 7)
    assert store.freeze() == root
    assert open_again().has(lost)


def test_what_was_sent_and_went_is_sent_again(open_again):
    blocks = open_again()
    cid = blocks.put(b"one")
    blocks.flush()
    blocks.store.delete(blocks._path(blocks.make_cid(b"one", "raw")))
    with pytest.raises(BlockNotFoundError):
        blocks.get_block(cid)
    blocks.put(b"one")
    blocks.flush()
    assert blocks.get_block(cid) == b"one"


@pytest.mark.parametrize("damage", [None, b"damaged"])
def test_what_was_listed_and_went_is_sent_again(open_again, damage):
    write(IPLDStore(open_again()), 100, LARGE)
    data = b"%07d" % 7 * (LARGE // 7)
    blocks = open_again()
    cid = blocks.make_cid(data, "raw")
    assert blocks.find_missing_lately([cid]) == set()
    if damage is None:
        blocks.store.delete(blocks._path(cid))
    else:
        blocks.store.put(blocks._path(cid), damage)
    with pytest.raises((BlockNotFoundError, CorruptBlockError)):
        blocks.get_block(cid)
    blocks.put_block(cid, data)
    blocks.flush()
    assert blocks.get_block(cid) == data


def test_identity_cids_are_never_missing(open_again):
    assert open_again().find_missing_lately([Link(b"\x01\x55\x00\x01a")]) == set()


def test_what_is_sent_new_is_not_asked_for(front, open_again):
    write(IPLDStore(open_again()), 100, LARGE)
    requests = count(front)
    assert requests["PUT"] == 101
    assert requests["LIST"] == 1


def test_copies_ask_by_listing(front, open_again):
    source = IPLDStore(MappingCAStore())
    for index in range(500):
        source[f"a/c/{index}"] = os.urandom(100)
    source.freeze()
    count(front)
    sent = copy(source, open_again())
    assert sent.blocks == count(front)["PUT"] == 502
    source["a/c/7"] = b"new"
    source.freeze()
    sent = copy(source, open_again())
    assert sent.blocks == 3
    assert count(front).total() <= 3 + 10
    assert copy(source, open_again()).blocks == 0


def test_a_new_bucket_costs_few_requests(front, open_again):
    source = IPLDStore(MappingCAStore())
    for index in range(500):
        source[f"a/c/{index}"] = os.urandom(100)
    source.freeze()
    sent = copy(source, open_again())
    assert count(front).total() <= 1.05 * sent.blocks


def test_a_bucket_that_cannot_be_listed(open_again):
    source = IPLDStore(MappingCAStore())
    root = write(source, 100, LARGE)
    blocks = open_again()
    blocks._known = known.Known(_refuse)
    assert copy(source, blocks).blocks == 101
    again = open_again()
    again._known = known.Known(_refuse)
    assert copy(source, again).blocks == 0
    assert write(IPLDStore(again), 100, LARGE) == root


def _refuse():
    raise PermissionError("403")


def test_a_listing_that_comes_late_is_not_believed(front, open_again):
    source = IPLDStore(MappingCAStore())
    write(source, 100, 700)
    copy(source, open_again())
    late = open_again()
    late._known = known.Known(lambda: iter([[]]))
    count(front)
    assert copy(source, late).blocks == 0
    assert count(front)["PUT"] == 0


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(known, "_MOST_SENT", 10)
    monkeypatch.setattr(known, "_MOST_LISTED", 25)
    pages = [[{"path": f"{p}/{i}", "size": 1} for i in range(10)] for p in range(9)]
    monkeypatch.setattr(known, "PAGE", 10)
    found = known.Known(lambda: iter(pages))
    for number in range(100):
        found.note_sent(bytes([number]))
    assert len(found._sent) == 10
    listing = found.list_for(10_000)
    assert len(listing.objects) == 30
    assert not listing.is_complete


def test_an_old_listing_is_made_anew(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(known.time, "monotonic", lambda: now[0])
    begun = []
    found = known.Known(lambda: begun.append(1) or iter([[]]))
    found.list_for(1)
    found.list_for(1)
    assert len(begun) == 1
    now[0] = 301.0
    found.list_for(1)
    assert len(begun) == 2
