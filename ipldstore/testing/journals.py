"""Tests that every block store has to pass that keeps journals, to be run with pytest.

This is `ipldstore.blockstore.abilities.KeepsJournals` in the form of tests. The module needs
pytest.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import pytest

from ipldstore.blockstore.abilities import KeepsJournals
from ipldstore.cid import as_link
from ipldstore.errors import BackendError, InvalidNameError
from ipldstore.testing.pointers import NO_NAMES, WHOLE_SECONDS, PointerTests

_SIZES = (1, 16 << 10, 70_000, 3, 64 << 10, 5, 40_000, 40_000, 7)
"""Bytes that are appended at once: less and more than stores may keep together."""

_MADE, _NOT_MADE = 0, 3
"""The exit codes of processes that make a journal."""


class JournalTests(PointerTests):
    """The contract of a block store that keeps journals, and that of one that keeps pointers.

    Inherit it in place of `PointerTests`. Some tests start processes, by spawn, which get the store
    by pickle; they are skipped where a store says by `is_shared` that it is of one process.

    Attributes
    ----------
    appends : int
        How often each of several threads or processes appends.

    Examples
    --------
    >>> from ipldstore import DirectoryCAStore
    >>> class TestDirectory(JournalTests):
    ...     def make_backend(self, folder, default_hash="sha2-256"):
    ...         return DirectoryCAStore(folder / "blocks", default_hash=default_hash)
    """

    appends: int = 20

    def test_store_keeps_journals(self, backend: Any) -> None:
        assert isinstance(backend, KeepsJournals)
        _check_nothing(backend)
        backend.remove_journal("g", "a")
        _check_nothing(backend)

    def test_what_was_appended_is_read(self, backend: Any) -> None:
        backend.append_journal("g", "a", 0, b"first")
        assert backend.read_journal("g", "a") == b"first"
        backend.append_journal("g", "a", 5, b", second")
        written = b"first, second"
        assert type(backend.read_journal("g", "a")) is bytes
        for start in range(len(written) + 3):
            assert backend.read_journal("g", "a", start) == written[start:]
        assert backend.list_journals("g") == {"a": len(written)}
        assert backend.find_journals("g", ["a"]) == [True]

    def test_much_is_appended(self, backend: Any) -> None:
        written, borders = b"", [0]
        for number, size in enumerate(_SIZES):
            backend.append_journal("g", "a", len(written), _data(number, size))
            written += _data(number, size)
            borders.append(len(written))
            assert backend.read_journal("g", "a") == written
            assert backend.list_journals("g") == {"a": len(written)}
        for border in borders:
            for start in (max(0, border - 1), border, border + 1):
                assert backend.read_journal("g", "a", start) == written[start:]

    def test_appending_goes_on_after_a_close(self, backend: Any) -> None:
        backend.append_journal("g", "a", 0, b"first")
        backend.close()
        backend.append_journal("g", "a", 5, b"second")
        assert backend.read_journal("g", "a") == b"firstsecond"

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_journal_of_no_name_is_refused(self, backend: Any, name: str) -> None:
        for group, journal in ((name, "a"), ("g", name)):
            with pytest.raises(InvalidNameError):
                backend.append_journal(group, journal, 0, b"data")
            with pytest.raises(InvalidNameError):
                backend.make_journal(group, journal, b"data")
            with pytest.raises(InvalidNameError):
                backend.read_journal(group, journal)
            with pytest.raises(InvalidNameError):
                backend.find_journals(group, [journal])
            with pytest.raises(InvalidNameError):
                backend.remove_journal(group, journal)
        with pytest.raises(InvalidNameError):
            backend.list_journals(name)
        _check_nothing(backend)

    def test_journals_are_apart_and_listed(self, backend: Any) -> None:
        groups = ("g", "g-1", "a", "journals-a", "pointer-a")
        for group in groups:
            for name in self.names:
                backend.append_journal(group, name, 0, f"{group} {name}".encode())
        for group in groups:
            listed = {name: len(group) + 1 + len(name) for name in self.names}
            assert backend.list_journals(group) == listed
            for name in self.names:
                assert backend.read_journal(group, name) == f"{group} {name}".encode()
        assert sorted(backend.iter_journal_groups()) == sorted(groups)

    def test_journals_are_no_blocks_and_no_pointers(self, backend: Any) -> None:
        backend.put(b"block")
        backend.flush()
        try:
            listed = sorted(backend.iter_blocks())
        except BackendError:
            pytest.skip("this store cannot list its blocks")
        backend.append_journal("pointer-a", "a", 0, b"data")
        backend.make_journal("g", "default", b"data")
        assert sorted(backend.iter_blocks()) == listed
        assert list(backend.iter_pointers()) == []
        assert backend.read_pointer("default") is None

    def test_nothing_is_appended_in_vain(self, backend: Any) -> None:
        with pytest.raises(BackendError):
            backend.append_journal("g", "a", 0, b"")
        with pytest.raises(BackendError):
            backend.make_journal("g", "a", b"")
        _check_nothing(backend)

    @pytest.mark.parametrize("offset", [0, 1, 4, 6, 1 << 20, -1])
    def test_bytes_that_do_not_come_next_are_refused(self, backend: Any, offset: int) -> None:
        backend.append_journal("g", "a", 0, b"first")
        with pytest.raises(BackendError):
            backend.append_journal("g", "a", offset, b"second")
        assert backend.read_journal("g", "a") == b"first"

    @pytest.mark.parametrize("offset", [1, 1 << 20, -1])
    def test_journal_that_is_not_there_is_not_gone_on_with(self, backend: Any, offset: int) -> None:
        with pytest.raises(BackendError):
            backend.append_journal("g", "a", offset, b"data")
        _check_nothing(backend)

    def test_journal_is_made_once(self, backend: Any) -> None:
        assert backend.make_journal("g", "a", b"first") is True
        assert backend.make_journal("g", "a", b"other") is False
        assert backend.make_journal("g", "a", b"first, and more") is False
        assert backend.read_journal("g", "a") == b"first"
        # as after an answer that was lost
        assert backend.make_journal("g", "a", b"first") is True
        assert backend.list_journals("g") == {"a": 5}

    def test_journal_that_was_appended_to_is_not_made(self, backend: Any) -> None:
        backend.append_journal("g", "a", 0, b"first")
        assert backend.make_journal("g", "a", b"other") is False
        backend.append_journal("g", "a", 5, b"second")
        assert backend.read_journal("g", "a") == b"firstsecond"

    def test_journal_that_was_made_is_not_begun(self, backend: Any) -> None:
        backend.make_journal("g", "a", b"first")
        with pytest.raises(BackendError):
            backend.append_journal("g", "a", 0, b"other")
        assert backend.read_journal("g", "a") == b"first"

    def test_long_journal_is_made(self, backend: Any) -> None:
        assert backend.make_journal("g", "a", _data(1, 200_000)) is True
        assert backend.read_journal("g", "a") == _data(1, 200_000)
        assert backend.read_journal("g", "a", 150_000) == _data(1, 200_000)[150_000:]

    def test_removed_journal_is_gone(self, backend: Any) -> None:
        for name in ("a", "b"):
            for number in range(3):
                backend.append_journal("g", name, number * 70_000, _data(number, 70_000))
        backend.remove_journal("g", "a")
        assert backend.read_journal("g", "a") is None
        assert backend.list_journals("g") == {"b": 210_000}
        assert backend.find_journals("g", ["a", "b"]) == [False, True]
        backend.remove_journal("g", "a")
        assert list(backend.iter_journal_groups()) == ["g"]
        backend.remove_journal("g", "b")
        _check_nothing(backend)
        backend.append_journal("g", "a", 0, b"new")
        assert backend.read_journal("g", "a") == b"new"

    def test_journals_are_found_in_the_order_of_their_names(self, backend: Any) -> None:
        for name in ("b", "d"):
            backend.make_journal("g", name, name.encode())
        wanted = ["d", "a", "b", "d", "c"]
        assert backend.find_journals("g", wanted) == [True, False, True, True, False]
        assert backend.find_journals("other", wanted) == [False] * 5
        assert backend.find_journals("g", []) == []

    def test_later_one_is_not_found_without_the_earlier(self, backend: Any) -> None:
        """It is looked for first, and was made last."""

        def make() -> None:
            for number in range(self.appends):
                backend.make_journal("g", f"a{number}", b"a%d" % number)
                backend.make_journal("g", f"b{number}", b"b%d" % number)

        with _beside(make):
            for number in range(self.appends):
                has_later = False
                while not has_later:
                    has_later, has_earlier = backend.find_journals(
                        "g", [f"b{number}", f"a{number}"]
                    )
                    assert has_earlier or not has_later

    def test_blocks_are_there_before_a_record_of_them_is(self, backend: Any) -> None:
        other = self.open_again(backend)
        appended = as_link(backend.put_raw(b"appended", "raw"))
        backend.append_journal("g", "a", 0, b"appended")
        assert other.get_block(appended) == other.read_journal("g", "a")
        made = as_link(backend.put_raw(b"made", "raw"))
        backend.make_journal("g", "b", b"made")
        assert other.get_block(made) == other.read_journal("g", "b")

    def test_another_store_sees_what_is_appended(self, backend: Any) -> None:
        other = self.open_again(backend)
        assert other.read_journal("g", "a") is None
        written = b""
        for number, size in enumerate(_SIZES):
            backend.append_journal("g", "a", len(written), _data(number, size))
            before, written = len(written), written + _data(number, size)
            assert other.read_journal("g", "a", before) == written[before:]
            assert other.read_journal("g", "a") == written
            assert other.list_journals("g") == {"a": len(written)}
            assert list(other.iter_journal_groups()) == ["g"]
            assert other.find_journals("g", ["a"]) == [True]
        other.remove_journal("g", "a")
        _check_nothing(backend)

    def test_another_store_begins_a_journal_of_its_own(self, backend: Any) -> None:
        backend.append_journal("g", "a", 0, b"first")
        other = self.open_again(backend)
        with pytest.raises(BackendError):
            other.append_journal("g", "a", 0, b"other")
        other.append_journal("g", "b", 0, b"other")
        backend.append_journal("g", "a", 5, b"second")
        assert other.read_journal("g", "a") == b"firstsecond"
        assert backend.read_journal("g", "b") == b"other"

    def test_copy_does_not_carry_on_what_it_cannot(self, backend: Any) -> None:
        """It appends where the journal ends, or refuses to."""
        backend.append_journal("g", "a", 0, b"first")
        other = self.open_again(backend)
        backend.append_journal("g", "a", 5, b"second")
        with pytest.raises(BackendError):
            other.append_journal("g", "a", 5, b"others")
        assert backend.read_journal("g", "a") == b"firstsecond"

    def test_one_of_many_threads_makes_a_journal(self, backend: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: backend.make_journal("g", "a", b"%d" % n), range(8)))
        assert made.count(True) == 1
        assert backend.read_journal("g", "a") == b"%d" % made.index(True)

    def test_one_of_many_processes_makes_a_journal(self, backend: Any) -> None:
        self._require_shared(backend)
        exits = _run([(_make, (backend, number)) for number in range(4)])
        assert sorted(exits) == [_MADE, _NOT_MADE, _NOT_MADE, _NOT_MADE]
        assert backend.read_journal("g", "a") == b"%d" % exits.index(_MADE)

    def test_threads_append_to_their_journals(self, backend: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: _append_often(backend, n, self.appends), range(8)))
        _check_journals(backend, 8, self.appends)

    def test_processes_append_to_their_journals(self, backend: Any) -> None:
        self._require_shared(backend)
        exits = _run([(_append_often, (backend, n, self.appends)) for n in range(4)])
        assert exits == [0] * 4
        _check_journals(backend, 4, self.appends)

    def test_reader_sees_what_another_process_wrote_and_no_more(self, backend: Any) -> None:
        self._require_shared(backend)
        with _writing(backend) as told:
            for size in told:
                found = backend.read_journal("g", "w0")
                assert len(found) >= size
                assert found == _beginning(0, len(found))
                half = backend.read_journal("g", "w0", size // 2)
                assert half == _beginning(0, size // 2 + len(half))[size // 2 :]
                assert backend.list_journals("g")["w0"] >= size
                if size >= len(_records(0, self.appends)):
                    break

    def test_killed_process_leaves_what_it_appended(self, backend: Any) -> None:
        self._require_shared(backend)
        with _writing(backend) as told:
            size = next(size for size in told if size >= len(_records(0, self.appends)))
        found = backend.read_journal("g", "w0")
        assert len(found) >= size
        assert found == _beginning(0, len(found))
        _append_often(backend, 1, 2)
        assert backend.read_journal("g", "w1") == _records(1, 2)


def _data(number: int, size: int) -> bytes:
    """Return bytes that tell where they are from."""
    word = b"%d:" % number
    return (word * (size // len(word) + 1))[:size]


def _record(writer: int, number: int) -> bytes:
    return _data(100 * writer + number, 100 + 1000 * (number % 5))


def _records(writer: int, count: int) -> bytes:
    return b"".join(_record(writer, number) for number in range(count))


def _beginning(writer: int, size: int) -> bytes:
    """Return so many bytes of all that a writer ever appends."""
    data = bytearray()
    number = 0
    while len(data) < size:
        data += _record(writer, number)
        number += 1
    return bytes(data[:size])


def _check_nothing(backend: Any) -> None:
    """Check that there is no journal of the names that are tried."""
    assert backend.read_journal("g", "a") is None
    assert backend.list_journals("g") == {}
    assert backend.find_journals("g", ["a", "b"]) == [False, False]
    assert list(backend.iter_journal_groups()) == []


def _check_journals(backend: Any, writers: int, count: int) -> None:
    expected = {f"w{writer}": _records(writer, count) for writer in range(writers)}
    sizes = {name: len(data) for name, data in expected.items()}
    assert backend.list_journals("g") == sizes
    assert {name: backend.read_journal("g", name) for name in sizes} == expected


def _append_often(backend: Any, writer: int, count: int) -> None:
    for _ in _append(backend, writer, count):
        pass


def _append(backend: Any, writer: int, count: int) -> Iterator[int]:
    """Append records, and yield after each how many bytes there are."""
    size = 0
    for number in range(count):
        data = _record(writer, number)
        backend.append_journal("g", f"w{writer}", size, data)
        size += len(data)
        yield size


def _append_for_ever(backend: Any, sender: Connection) -> None:
    for size in _append(backend, 0, sys.maxsize):
        sender.send(size)


def _make(backend: Any, number: int) -> None:
    is_made = backend.make_journal("g", "a", b"%d" % number)
    sys.exit(_MADE if is_made else _NOT_MADE)


def _run(calls: list[Any]) -> list[int]:
    """Call functions in processes of their own, and return the exit codes."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=call, args=arguments) for call, arguments in calls]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join(WHOLE_SECONDS)
        return [-1 if process.exitcode is None else process.exitcode for process in processes]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


@contextmanager
def _writing(backend: Any) -> Iterator[Iterator[int]]:
    """Have a process append for ever, that tells after each time how many bytes there are.

    It is killed at the end.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_append_for_ever, args=(backend, sender))
    process.start()
    sender.close()

    def told() -> Iterator[int]:
        while True:
            assert receiver.poll(WHOLE_SECONDS)
            yield receiver.recv()

    try:
        yield told()
    finally:
        process.kill()
        process.join()
        receiver.close()


@contextmanager
def _beside(work: Any) -> Iterator[None]:
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
