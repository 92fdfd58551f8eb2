"""Histories that are made by hand, commit by commit."""

from __future__ import annotations

from ipldstore.cid import Link, make_link
from ipldstore.history.commit import Commit, decode_commit
from ipldstore.history.state import Operation, State

NOON = 1_767_614_400_000_000
"""Noon of 5 January 2026, UTC."""

HOUR = 3_600_000_000

EMPTY = make_link(b"\xa0", "dag-cbor")
"""The root of a hierarchy without a key."""


class History:
    """Commits, in a mapping or a block store, of which there may be refs."""

    def __init__(self, blocks=None):
        self.blocks = blocks
        self.data = {}
        self.generations = {}
        self.loaded = []

    def load(self, link):
        self.loaded.append(link)
        return self.data[link]

    def commit(self, *parents, root=EMPTY, time=None, generation=None, message="", author="Ada"):
        """Make a commit an hour after the last one, and return its CID."""
        before = [self.generations[parent] for parent in parents]
        commit = Commit(
            root=Link(root),
            parents=parents,
            generation=generation or 1 + max(before, default=0),
            time=NOON + HOUR * len(self.data) if time is None else time,
            author=author,
            message=message or f"commit {len(self.data)}",
        )
        link = make_link(commit.encode(), "dag-cbor")
        self.data[link] = commit.encode()
        self.generations[link] = commit.generation
        if self.blocks is not None:
            self.blocks.put_block(link, commit.encode())
        return link

    def read(self, link):
        return decode_commit(link, self.data[link])

    def chain(self, length, *parents):
        """Make so many commits, each before the next one, and return their CIDs."""
        links = []
        for _ in range(length):
            links.append(self.commit(*parents))
            parents = links[-1:]
        return links


def make_state(branches, tags=None, *, default="main", shallow=(), **fields):
    return State(
        branches=branches,
        tags=tags or {},
        default=default,
        shallow=frozenset(shallow),
        operation=Operation(kind="test", time=NOON),
        nonce=bytes(16),
        **fields,
    )


def put_state(blocks, state, name="default"):
    """Put a state, and move the pointer of a repository to it."""
    link = blocks.put_raw(state.encode(), "dag-cbor")
    assert blocks.swap_pointer(name, blocks.read_pointer(name), link)
    return link
