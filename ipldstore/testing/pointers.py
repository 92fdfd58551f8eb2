"""Tests that every block store has to pass that keeps pointers, to be run with pytest.

This is `ipldstore.blockstore.abilities.KeepsPointers` in the form of tests. The module needs
pytest.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pytest

from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.cid import Link, as_link, make_link
from ipldstore.errors import BackendError, InvalidNameError
from ipldstore.history.state import Operation, State, decode_state
from ipldstore.testing.contract import IDENTITY_HELLO, BackendTests


def _make_state(label: str, previous: Link | None = None) -> bytes:
    """Make the state of an empty repository that a label tells from others."""
    operation = Operation(kind=label, time=0)
    return State(
        branches={},
        tags={},
        default="main",
        operation=operation,
        previous=previous,
        nonce=bytes(16),
    ).encode()


STATES = [_make_state(label) for label in "abc"]
A, B, C = (make_link(data, "dag-cbor") for data in STATES)

NAMES = ("default", "a", "0", "con", "nul", "com1", "a-b_c", "pointer-a", "x" * 64)
"""Names that pointers may have."""

NO_NAMES = (
    "",
    "A",
    "a/b",
    "../a",
    "..",
    ".a",
    "-a",
    "_a",
    "a.b",
    "a b",
    "a\n",
    "\0",
    "ä",
    "x" * 65,
)
"""Texts that are no names of pointers."""

WHOLE_SECONDS = 120
"""How long the processes of a test may take."""


class PointerTests(BackendTests):
    """The contract of a block store that keeps pointers, and that of block stores.

    Inherit it in place of `BackendTests`. Some tests start processes, by spawn, which get the store
    by pickle; they are skipped where a store says by `is_shared` that it is of one process.

    Attributes
    ----------
    swaps : int
        How often each of several threads or processes moves a pointer.
    names : sequence of str
        Names that pointers may have; ``default`` is one of them.
    keeps_states_only : bool
        Whether a pointer may be at nothing but the state of a repository, whose block is there.

    Examples
    --------
    >>> from ipldstore import DirectoryCAStore
    >>> class TestDirectory(PointerTests):
    ...     def make_backend(self, folder, default_hash="sha2-256"):
    ...         return DirectoryCAStore(folder / "blocks", default_hash=default_hash)
    """

    swaps: int = 20
    names: Sequence[str] = NAMES
    keeps_states_only: bool = False

    def open_again(self, backend: Any) -> Any:
        """Open another store on the blocks of one, as another process would.

        Parameters
        ----------
        backend
            The store.
        """
        self._require_shared(backend)
        return pickle.loads(pickle.dumps(backend))

    def test_store_keeps_pointers(self, backend: Any) -> None:
        assert isinstance(backend, KeepsPointers)
        assert backend.read_pointer("default") is None
        assert list(backend.iter_pointers()) == []

    def test_first_swap_makes_the_pointer(self, backend: Any) -> None:
        _put_states(backend)
        assert backend.swap_pointer("default", A, B) is False
        assert backend.read_pointer("default") is None
        assert backend.swap_pointer("default", None, A) is True
        assert backend.read_pointer("default") == A
        assert type(backend.read_pointer("default")) is Link
        assert backend.swap_pointer("default", None, B) is False
        assert backend.read_pointer("default") == A

    def test_swap_from_another_cid_changes_nothing(self, backend: Any) -> None:
        _put_states(backend)
        backend.swap_pointer("default", None, A)
        assert backend.swap_pointer("default", B, C) is False
        assert backend.swap_pointer("default", B, A) is False
        assert backend.read_pointer("default") == A

    def test_pointer_moves_and_comes_back(self, backend: Any) -> None:
        _put_states(backend)
        moves = [(None, A), (A, B), (B, A), (A, A), (A, C)]
        for old, new in moves:
            assert backend.swap_pointer("default", old, new) is True
            assert backend.read_pointer("default") == new
        assert backend.swap_pointer("default", A, B) is False

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_pointer_of_no_name_is_refused(self, backend: Any, name: str) -> None:
        with pytest.raises(InvalidNameError):
            backend.read_pointer(name)
        with pytest.raises(InvalidNameError):
            backend.swap_pointer(name, None, A)
        assert list(backend.iter_pointers()) == []

    def test_pointers_are_apart_and_listed(self, backend: Any) -> None:
        cids = {name: _put_state(backend, name) for name in self.names}
        for name, cid in cids.items():
            assert backend.swap_pointer(name, None, cid) is True
        assert {name: backend.read_pointer(name) for name in self.names} == cids
        assert sorted(backend.iter_pointers()) == sorted(self.names)

    def test_pointer_is_at_any_cid(self, backend: Any) -> None:
        if self.keeps_states_only:
            pytest.skip("this store keeps pointers to states only")
        cids = [
            make_link(b"raw"),
            make_link(b"other", 0x0129, "blake2b-256"),
            make_link(b"long", "dag-pb", "sha2-512"),
            as_link(IDENTITY_HELLO),
        ]
        for old, new in zip([None, *cids], cids, strict=False):
            assert backend.swap_pointer("default", old, new) is True
            assert backend.read_pointer("default") == new

    def test_pointers_are_no_blocks(self, backend: Any) -> None:
        _put_states(backend)
        backend.flush()
        try:
            listed = sorted(backend.iter_blocks())
        except BackendError:
            pytest.skip("this store cannot list its blocks")
        for name in self.names:
            backend.swap_pointer(name, None, A)
        assert sorted(backend.iter_blocks()) == listed
        assert len(listed) >= len(STATES)

    def test_blocks_are_there_before_the_pointer_is(self, backend: Any) -> None:
        other = self.open_again(backend)
        cid = _put_state(backend, "a")
        assert backend.swap_pointer("default", None, cid) is True
        assert other.get_block(other.read_pointer("default")) == _make_state("a")

    def test_another_store_sees_and_moves_pointers(self, backend: Any) -> None:
        _put_states(backend)
        backend.swap_pointer("default", None, A)
        other = self.open_again(backend)
        assert other.read_pointer("default") == A
        assert list(other.iter_pointers()) == ["default"]
        assert other.swap_pointer("default", A, B) is True
        assert backend.swap_pointer("default", A, C) is False
        assert backend.swap_pointer("default", B, C) is True
        backend.close()
        assert other.read_pointer("default") == backend.read_pointer("default") == C

    def test_one_of_many_threads_makes_a_pointer(self, backend: Any) -> None:
        cids = [_put_state(backend, str(number)) for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            moved = list(pool.map(lambda cid: backend.swap_pointer("default", None, cid), cids))
        assert moved.count(True) == 1
        assert backend.read_pointer("default") == cids[moved.index(True)]

    def test_threads_lose_no_swap(self, backend: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda writer: _move_often(backend, writer, self.swaps), range(8)))
        _check_history(backend, _all_moves(8, self.swaps))

    def test_processes_lose_no_swap(self, backend: Any) -> None:
        self._require_shared(backend)
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=_move_often, args=(backend, writer, self.swaps))
            for writer in range(4)
        ]
        try:
            for process in processes:
                process.start()
            for process in processes:
                process.join(WHOLE_SECONDS)
            assert [process.exitcode for process in processes] == [0] * 4
        finally:
            _end(processes)
        _check_history(backend, _all_moves(4, self.swaps))

    def test_killed_process_leaves_a_pointer_that_moves_on(self, backend: Any) -> None:
        self._require_shared(backend)
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_move_for_ever, args=(backend, sender))
        process.start()
        sender.close()
        done = []
        try:
            for _ in range(self.swaps):
                assert receiver.poll(WHOLE_SECONDS)
                done.append((0, receiver.recv()))
            process.kill()
            with suppress(EOFError, OSError):
                while True:
                    done.append((0, receiver.recv()))
        finally:
            _end([process])
            receiver.close()
        _move(backend, 1, 0)
        found = _read_history(backend)
        # the last one may have been done, and not been told
        assert found in ([(1, 0), *reversed(done)], [(1, 0), (0, len(done)), *reversed(done)])

    def _require_shared(self, backend: Any) -> None:
        if not self.can_pickle or not backend.is_shared:
            pytest.skip("this store is of one process")


def _put_state(backend: Any, label: str, previous: Link | None = None) -> Link:
    return as_link(backend.put_raw(_make_state(label, previous), "dag-cbor"))


def _put_states(backend: Any) -> None:
    backend.put_many(zip((A, B, C), STATES, strict=True))


def _move(backend: Any, writer: int, number: int) -> None:
    """Put a state that says whose it is and where the pointer is, and move the pointer there."""
    is_done = False
    while not is_done:
        old = backend.read_pointer("default")
        new = _put_state(backend, f"{writer} {number}", old)
        is_done = backend.swap_pointer("default", old, new)


def _move_often(backend: Any, writer: int, count: int) -> None:
    for number in range(count):
        _move(backend, writer, number)


def _move_for_ever(backend: Any, sender: Connection) -> None:
    number = 0
    while True:
        _move(backend, 0, number)
        sender.send(number)
        number += 1


def _all_moves(writers: int, count: int) -> list[tuple[int, int]]:
    return [(writer, number) for writer in range(writers) for number in range(count)]


def _read_history(backend: Any) -> list[tuple[int, int]]:
    """Return whose moves led to where the pointer is, the last one first."""
    found = []
    at = backend.read_pointer("default")
    while at is not None:
        state = decode_state(at, backend.get_block(at))
        writer, number = state.operation.kind.split()
        found.append((int(writer), int(number)))
        at = state.previous
    return found


def _check_history(backend: Any, moves: list[tuple[int, int]]) -> None:
    assert sorted(_read_history(backend)) == moves


def _end(processes: Iterable[Any]) -> None:
    for process in processes:
        if process.pid is not None:
            process.kill()
            process.join()
