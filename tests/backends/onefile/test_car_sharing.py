"""Several stores on one archive: who writes when, who sees what, and files that were replaced."""

import os
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from ipldstore import BackendError, BlockNotFoundError, IPLDStore
from ipldstore.backends.carfile.archive import Archive
from ipldstore.backends.carfile.store import CARStore
from ipldstore.cid import make_link
from tests.archives.carbytes import make_block, read_car

HELLO = make_block(b"hello", "raw")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.car"


@pytest.fixture
def backend(path):
    with CARStore(path) as backend:
        yield backend


def freeze(backend, **values):
    store = IPLDStore(backend)
    store.update(values)
    return store.freeze()


def test_reader_sees_what_was_there_and_more_after_refresh(backend, path):
    first = freeze(backend, a=b"1")
    with CARStore(path, read_only=True) as reader:
        assert dict(IPLDStore(reader)) == {"a": b"1"}
        second = freeze(backend, a=b"2")
        assert make_link(b"2") not in reader
        assert IPLDStore(reader).root_cid == first
        reader.refresh()
        assert reader.get(make_link(b"2")) == b"2"
        assert IPLDStore(reader).root_cid == second


def test_refresh_after_the_archive_was_replaced(backend, path, tmp_path):
    freeze(backend, a=b"1")
    with CARStore(path, read_only=True) as reader:
        with CARStore(tmp_path / "other.car") as other:
            freeze(other, a=b"other")
        backend.close()
        os.replace(tmp_path / "other.car", path)
        assert dict(IPLDStore(reader)) == {"a": b"1"}
        reader.refresh()
        assert dict(IPLDStore(reader)) == {"a": b"other"}


def test_one_writer_at_a_time(backend, path):
    backend.put(b"hello")
    with closing(CARStore(path)) as second:
        with pytest.raises(BackendError, match="another store is writing") as caught:
            second.put(b"more")
        assert caught.value.retryable
        assert second.get(HELLO.cid) == b"hello"
        backend.close()
        second.put(b"more")
        with pytest.raises(BackendError):
            backend.put(b"less")


def test_second_writer_goes_on_where_the_first_stopped(backend, path):
    with CARStore(path) as second:
        assert HELLO.cid not in second
        backend.put(b"hello")
        with CARStore(path) as third:
            assert third.get(HELLO.cid) == b"hello"
            backend.put(b"after third looked")
            backend.close()
            third.put(b"third")
        second.put(b"second")
    _, blocks = read_car(path.read_bytes())
    assert [block.data for block in blocks[1:]] == [
        b"hello",
        b"after third looked",
        b"third",
        b"second",
    ]


def test_store_that_is_forgotten_lets_others_write(path):
    CARStore(path).put_raw(b"hello", "raw")
    CARStore(path).put_raw(b"more", "raw")
    assert len(read_car(path.read_bytes())[1]) == 3


def test_archive_that_something_else_appends_to(backend, path):
    backend.put(b"hello")
    with open(path, "ab") as file:
        file.write(b"x")
    with pytest.raises(BackendError, match="has 140 bytes, expected 139: something else writes"):
        backend.put(b"more")
    assert path.stat().st_size == 140


@pytest.mark.parametrize("replace", [lambda path: path.unlink(), lambda path: os.truncate(path, 9)])
def test_file_that_went_away_is_not_frozen(backend, path, replace):
    store = IPLDStore(backend)
    store["a"] = b"hello"
    replace(path)
    for call in (store.freeze, backend.close):
        with pytest.raises(
            BackendError, match=r"removed, replaced or cut short|something else writes"
        ):
            call()


def test_export_onto_itself_is_noticed_by_the_next_freeze(backend, path):
    freeze(backend, a=b"hello")
    store = IPLDStore(backend)
    store.to_car(path, overwrite=True)
    assert dict(IPLDStore(backend)) == {"a": b"hello"}
    store["b"] = b"more"
    with pytest.raises(BackendError, match="replaced"):
        store.freeze()
    with pytest.raises(BackendError, match="replaced"):
        backend.close()
    with pytest.raises(BlockNotFoundError, match=r"values that were written went from .*'b'"):
        store.freeze()
    assert dict(IPLDStore.from_car(path)) == {"a": b"hello"}
    store["b"] = b"more"
    assert freeze(backend, b=b"more") == store.freeze()
    assert dict(IPLDStore.from_car(path)) == {"a": b"hello", "b": b"more"}


def let_numbers_go(backend, folder):
    """Close a store, and have other files take the number of the one that it read."""
    backend.close()
    other = folder / "other"
    other.write_bytes(bytes(100_000))
    return [FileIO(other) for _ in range(3)]


def test_close_in_the_middle_of_a_read(backend, path, monkeypatch):
    def pread(*arguments):
        monkeypatch.setattr(os, "pread", real_pread)
        others.extend(let_numbers_go(backend, path.parent))
        return real_pread(*arguments)

    def read(archive, section):
        monkeypatch.setattr(os, "pread", pread)
        return real_read(archive, section)

    others, real_pread, real_read = [], os.pread, Archive.read
    backend.put(b"hello")
    monkeypatch.setattr(Archive, "read", read)
    assert backend.get_block(HELLO.cid) == b"hello"
    assert len(others) == 3
    monkeypatch.setattr(Archive, "read", real_read)
    assert backend.get_block(HELLO.cid) == b"hello"
    for file in others:
        file.close()


@pytest.mark.parametrize("begun", [False, True])
def test_close_in_the_middle_of_a_listing(backend, path, begun):
    blocks = [bytes([i]) * 20_000 for i in range(4)]
    for data in blocks:
        backend.put(data)
    listing = backend.iter_blocks()
    listed = [next(listing)] if begun else []
    others = let_numbers_go(backend, path.parent)
    listed.extend(listing)
    assert {block.cid for block in listed} >= {make_link(data) for data in blocks}
    for file in others:
        file.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing to count by")
def test_closed_store_holds_no_file(backend, path):
    backend.put(b"hello")
    backend.close()
    numbers = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    assert path not in numbers
