"""The versions that a block store has of one hierarchy: commits, and the state that moves."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from ipldstore.blockstore.abilities import KeepsPointers
from ipldstore.blockstore.contract import ContentAddressableStore
from ipldstore.cid import Link, as_link, to_text
from ipldstore.errors import (
    BackendError,
    IPLDStoreError,
    ReadOnlyStoreError,
    RepositoryExistsError,
)
from ipldstore.history.commit import Commit
from ipldstore.history.graph import Graph
from ipldstore.history.state import NONCE_BYTES, Operation, State
from ipldstore.limits import MAX_SWAPS
from ipldstore.refs.commits import make_graph
from ipldstore.refs.states import find_state, load_state

Change: TypeAlias = Callable[[State], State]
"""Makes the next state of one; what it returns as it got it stays."""

_LONGEST_PAUSE = 0.25


class Versions:
    """The versions of one repository.

    Nothing of a state is kept: what it is at is read anew by each call, as others move it.
    """

    def __init__(self, blocks: ContentAddressableStore, name: str) -> None:
        self.blocks = blocks
        self.name = name
        self._graph: Graph | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Versions, (self.blocks, self.name)

    def read(self) -> tuple[Link, State]:
        """Return the state as it is now, and its CID."""
        return find_state(self.blocks, self.name)

    def graph(self, state: State) -> Graph:
        """Return how the commits follow each other that a state leads to."""
        if self._graph is None or self._graph.shallow != state.shallow:
            self._graph = make_graph(self.blocks, state)
        return self._graph

    def put_commit(self, commit: Commit) -> Link:
        """Put the block of a commit."""
        return as_link(self.blocks.put_raw(commit.encode(), "dag-cbor"))

    def root_of(self, state: State, tip: Link | None) -> Link | None:
        """Return the hierarchy of a commit; None, which is an empty one, for none."""
        return None if tip is None else self.graph(state).commit(tip).root

    def begin(self, default: str, *, exist_ok: bool) -> None:
        """Make the first state; `RepositoryExistsError` if there is one, unless that is fine."""
        if exist_ok and self._is_there():
            self.read()
            return
        state = State(
            branches={},
            tags={},
            default=default,
            operation=Operation(kind="init", time=now()),
            nonce=_nonce(),
        )
        if not self._swap(None, self._put_state(state)) and not exist_ok:
            raise self._exists()

    def begin_from(self, other: State, shallow: Collection[Link]) -> None:
        """Make the first state from one of another repository, whose commits were copied."""
        state = replace(
            other,
            shallow=frozenset(shallow),
            operation=Operation(kind="clone", time=now()),
            previous=None,
            nonce=_nonce(),
            collecting=None,
            collected=0,
        )
        if not self._swap(None, self._put_state(state)):
            raise self._exists()

    def check_absent(self) -> None:
        """Raise `RepositoryExistsError` if there is such a repository."""
        if self._is_there():
            raise self._exists()

    def _is_there(self) -> bool:
        return _pointers_of(self.blocks).read_pointer(self.name) is not None

    def _exists(self) -> RepositoryExistsError:
        return RepositoryExistsError(
            f"{self.blocks!r} has a repository {self.name!r} already: Repository(blocks), or a "
            "command such as `ipldstore log`, opens it; or name another one"
        )

    def move(self, change: Change) -> tuple[Link, State]:
        """Move on to the next state, whatever others do meanwhile, and return it.

        `change` is called anew for each state that it meets; what it raises leaves all as it is.
        Raises `BackendError` if that cannot be done or, which its note says, nobody can tell
        whether it was done.
        """
        self.check_movable()
        for tries in range(MAX_SWAPS):
            link, state = self.read()
            wanted = change(state)
            if wanted is state:
                return link, state
            wanted = replace(wanted, previous=link, nonce=_nonce())
            new = self._put_state(wanted)
            if self._swap(link, new):
                return new, wanted
            time.sleep(random.uniform(0, min(0.001 * 2 ** min(tries, 10), _LONGEST_PAUSE)))
        raise BackendError(
            f"repository {self.name!r} in {self.blocks!r} was moved by others {MAX_SWAPS} times "
            "in a row before this one was done",
            retryable=True,
        )

    def check_movable(self) -> None:
        """Raise `ReadOnlyStoreError` if it stays as it is."""

    def iter_states(self) -> Iterator[tuple[Link, State]]:
        """Iterate the states, the last first, as far back as their blocks are there."""
        link, state = self.read()
        yield link, state
        while (previous := state.previous) is not None and self.blocks.has(previous):
            state = load_state(self.blocks, previous)
            yield previous, state

    def _put_state(self, state: State) -> Link:
        return as_link(self.blocks.put_raw(state.encode(), "dag-cbor"))

    def _swap(self, old: Link | None, new: Link) -> bool:
        """Move the pointer; whether it was moved is looked for where an answer was lost."""
        pointers = _pointers_of(self.blocks)
        try:
            if pointers.swap_pointer(self.name, old, new):
                return True
        except BackendError as error:
            if self._was_moved(pointers, old, new, error):
                return True
            raise
        return self._leads_to(pointers.read_pointer(self.name), old, new)

    def _was_moved(
        self, pointers: KeepsPointers, old: Link | None, new: Link, error: BackendError
    ) -> bool:
        try:
            return self._leads_to(pointers.read_pointer(self.name), old, new)
        except IPLDStoreError:
            error.add_note(
                f"it cannot be told whether repository {self.name!r} moved to state "
                f"{to_text(new)}; it did if its operations, once they can be read, name that"
            )
            return False

    def _leads_to(self, link: Link | None, old: Link | None, new: Link) -> bool:
        """Whether a state is on the way from what is there now back to the old one."""
        while link is not None and link != old:
            if link == new:
                return True
            link = load_state(self.blocks, link).previous
        return False


class Fixed(Versions):
    """A repository as it was in one state, which does not move."""

    def __init__(self, blocks: ContentAddressableStore, state: Link) -> None:
        super().__init__(blocks, to_text(state))
        self._link = state

    def __reduce__(self) -> tuple[Any, ...]:
        return Fixed, (self.blocks, self._link)

    def read(self) -> tuple[Link, State]:
        return self._link, load_state(self.blocks, self._link)

    def check_movable(self) -> None:
        raise ReadOnlyStoreError(
            f"state {self.name} of a repository stays as it is: clone it to go on with it"
        )


def _pointers_of(blocks: ContentAddressableStore) -> KeepsPointers:
    if not isinstance(blocks, KeepsPointers):
        raise BackendError(
            f"{blocks!r} keeps no pointers, so that no branch can move in it: use a folder, an "
            "SQLite database, a CAR file or a bucket"
        )
    return blocks


def now() -> int:
    """Return the time, in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def _nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)
