"""`setdefault` as one step: of several threads that set a key at once the first one wins."""

from threading import Barrier, Thread

import pytest
from watched import CountingStore

from ipldstore import InvalidKeyError, IPLDStore, MappingCAStore, ReadOnlyStoreError
from ipldstore.cid import RAW, codec_of

VALUES = {
    "a/0": [b"0", b"1", b"2", b"3"],
    "a/1": [bytes([index]) * 3_000_000 for index in range(4)],
    ".zattrs": [b'{"a":%d}' % index for index in range(4)],
    ".zarray": [b"no JSON %d" % index for index in range(4)],
}


class Slow(MappingCAStore):
    """Puts a block only when all threads have looked and are about to put theirs."""

    def __init__(self, threads):
        super().__init__({})
        self._met = Barrier(threads)

    def put_block(self, cid, data):
        if codec_of(cid) == RAW and len(data) < 100:
            self._met.wait(timeout=20)
        super().put_block(cid, data)


def set_at_once(store, key, values):
    returned = []
    threads = [
        Thread(target=lambda value=value: returned.append(store.setdefault(key, value)))
        for value in values
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return returned


@pytest.mark.parametrize("key", VALUES)
def test_all_threads_get_the_value_of_the_first(key):
    for _ in range(10):
        store = IPLDStore()
        returned = set_at_once(store, key, VALUES[key])
        assert returned == [store[key]] * 4
        assert store[key] in VALUES[key]


def test_all_threads_that_found_nothing_get_the_value_of_the_first():
    store = IPLDStore(Slow(4))
    returned = set_at_once(store, "a/0", VALUES["a/0"])
    assert returned == [store["a/0"]] * 4


def test_what_is_there_is_returned_and_nothing_is_put():
    store = IPLDStore(CountingStore())
    store.update({"a/0": b"value", ".zattrs": b'{"a":1}'})
    root = store.freeze()
    store.backend.reset()
    assert store.setdefault("a/0", b"other") == b"value"
    assert store.setdefault("a/0") == b"value"
    assert store.setdefault(".zattrs", b"{}") == b'{"a":1}'
    assert store.backend.puts == []
    assert store.root_cid == root


def test_what_is_returned_is_what_is_kept():
    store = IPLDStore()
    assert store.setdefault("zarr.json", b'{ "b" : 1, "a" : 2 }') == b'{"a":2,"b":1}'
    assert store.setdefault("a/0", bytearray(b"value")) == b"value"
    assert type(store.setdefault("a/1", memoryview(b"value"))) is bytes
    assert dict(store) == {"zarr.json": b'{"a":2,"b":1}', "a/0": b"value", "a/1": b"value"}


def test_a_read_only_view_gives_what_is_there_and_sets_nothing():
    store = IPLDStore()
    store["a/0"] = b"value"
    view = store.with_read_only(True)
    assert view.setdefault("a/0", b"other") == b"value"
    with pytest.raises(ReadOnlyStoreError):
        view.setdefault("a/1", b"other")
    assert dict(store) == {"a/0": b"value"}


def test_in_a_fork_it_is_a_change_like_others():
    store = IPLDStore()
    store["a/0"] = b"value"
    fork = store.fork()
    assert fork.setdefault("a/0", b"other") == b"value"
    assert fork.setdefault("a/1", b"new") == b"new"
    store.merge(fork)
    assert dict(store) == {"a/0": b"value", "a/1": b"new"}


@pytest.mark.parametrize("value", [None, 7, "text", [1]])
def test_what_is_no_value_names_the_key(value):
    store = IPLDStore()
    for use in store.setdefault, store.__setitem__:
        with pytest.raises(TypeError, match=f"'a/0'.*not {type(value).__name__}"):
            use("a/0", value)
    with pytest.raises(InvalidKeyError):
        store.setdefault("a//0", value)
    assert dict(store) == {}
