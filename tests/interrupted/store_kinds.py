"""Stores on this machine, each made anew in a folder, and what may be done with them."""

from typing import NamedTuple

import ipldstore.backends.sqlite.store as sqlite_module
from ipldstore import (
    CachingCAStore,
    CARStore,
    DirectoryCAStore,
    MappingCAStore,
    ObjectCAStore,
    SQLiteCAStore,
    UnionCAStore,
)
from ipldstore.cid import make_link
from ipldstore.history.state import Operation as HistoryOperation
from ipldstore.history.state import State
from ipldstore.testing import FaultyStore

LARGE = 70 << 10
"""Bytes of a block that stores write in threads."""


def make_small_sqlite(folder):
    """Make one whose buffer is full with two small blocks."""
    store = SQLiteCAStore(folder / "small.sqlite")
    assert sqlite_module._BUFFER_BYTES == SMALL_BUFFER
    return store


SMALL_BUFFER = 40


def make_objects(folder, **options):
    from obstore.store import LocalStore

    return ObjectCAStore(LocalStore(folder / "objects", mkdir=True), **options)


def make_cache(folder, **options):
    source = DirectoryCAStore(folder / "source")
    return CachingCAStore(source, DirectoryCAStore(folder / "cache"), **options)


def make_union(folder, **options):
    return UnionCAStore(DirectoryCAStore(folder / "first"), MappingCAStore(), **options)


KINDS = {
    "folder": lambda folder: DirectoryCAStore(folder / "blocks"),
    "folder, fsync": lambda folder: DirectoryCAStore(folder / "blocks", fsync=True),
    "sqlite": lambda folder: SQLiteCAStore(folder / "blocks.sqlite"),
    "sqlite, fsync": lambda folder: SQLiteCAStore(folder / "blocks.sqlite", fsync=True),
    "sqlite, small": make_small_sqlite,
    "car": lambda folder: CARStore(folder / "data.car"),
    "car, fsync": lambda folder: CARStore(folder / "data.car", fsync=True),
    "cache": make_cache,
    "cache, bound": lambda folder: make_cache(folder, max_bytes=64),
    "union": make_union,
    "union, race": lambda folder: make_union(folder, race=True),
    "faulty": lambda folder: FaultyStore(DirectoryCAStore(folder / "blocks")),
    "objects": make_objects,
    "objects, one by one": lambda folder: make_objects(folder, buffer_bytes=0),
}


class Blocks:
    """Makes blocks that are all different, and remembers them."""

    def __init__(self):
        self.made = {}

    def __call__(self, size=20, codec="raw"):
        data = (b"%08d" % len(self.made)).ljust(size, b".")
        if codec == "dag-cbor":
            # a map of one key: a1 61 6b and a byte string of 8 bytes
            data = b"\xa1\x61k\x48" + data[:8]
        if codec == "state":
            data, codec = make_state(len(self.made)), "dag-cbor"
        link = make_link(data, codec)
        self.made[link] = data
        return link, data


def make_state(number):
    operation = HistoryOperation(kind="test", time=number)
    state = State(branches={}, tags={}, default="main", operation=operation, nonce=bytes(16))
    return state.encode()


class Operation(NamedTuple):
    """Something to do with a store.

    Attributes
    ----------
    prepare : callable
        Takes the store and `Blocks`, and returns what `work` works on; it is not interrupted.
    work : callable
        Takes the store and that, and checks what comes of it.
    """

    prepare: object
    work: object


def put(store, block):
    assert store.put_raw(block[1], "raw") == block[0]


def put_many(store, blocks):
    store.put_many(blocks)


def get(store, block):
    assert store.get_block(block[0]) == block[1]


def get_many(store, blocks):
    assert dict(store.get_many(link for link, _ in blocks)) == dict(blocks)


def find_missing(store, blocks):
    missing = make_link(b"missing")
    assert store.find_missing([missing, *(link for link, _ in blocks)]) == {missing}


def list_blocks(store, blocks):
    listed = {found.cid[-32:] for found in store.iter_blocks()}
    assert listed >= {link[-32:] for link, _ in blocks}


def note_root(store, block):
    store.note_root(block[0])
    assert store.noted_root in (None, block[0])


def swap(store, given):
    name, old, (link, _) = given
    at = store.read_pointer(name)
    assert at in (old, link)
    assert store.swap_pointer(name, at, link)
    assert store.read_pointer(name) == link


def list_pointers(store, name):
    assert name in store.iter_pointers()


def pointed(store, blocks):
    """Return a pointer, where it is, and a block that was put and not flushed, to move it to."""
    (block,) = kept(store, blocks, 1, "state")
    old = store.read_pointer("default")
    assert store.swap_pointer("default", old, block[0])
    pending = blocks(codec="state")
    store.put_block(*pending)
    return "default", block[0], pending


def unpointed(store, blocks):
    """Return what `pointed` does for a pointer that is not there yet."""
    block = blocks()
    put(store, block)
    return f"pointer-{len(blocks.made)}", None, block


def append(store, given):
    """Append, and to another journal if it is called again: no more to one once that failed."""
    name, offset, data = given
    given[:] = f"{name}-again", 0, data
    store.append_journal("g", name, offset, data)
    assert store.read_journal("g", name, offset) == data


def make_journal(store, name):
    assert store.make_journal("g", name, b"whole")
    assert store.read_journal("g", name) == b"whole"


def look_at_journals(store, name):
    assert store.find_journals("g", [name, "other"]) == [True, False]
    assert store.list_journals("g")[name] == 5
    assert "g" in store.iter_journal_groups()


def remove_journal(store, name):
    store.remove_journal("g", name)
    assert store.read_journal("g", name) is None


def journal_name(store, blocks):
    link, _ = blocks()
    store.put_block(link, blocks.made[link])
    return f"a{len(blocks.made)}"


def appended(store, blocks):
    """Return a journal, how long it is, what is to be appended; a block is not flushed yet."""
    name = journal_name(store, blocks)
    store.append_journal("g", name, 0, b"x" * 5)
    store.put_block(*blocks())
    return [name, 5, b"second"]


def unappended(store, blocks):
    """Return what `appended` does for a journal that is not there yet."""
    return [journal_name(store, blocks), 0, b"first"]


def kept(store, blocks, count=3, codec="raw"):
    made = [blocks(codec=codec) for _ in range(count)]
    store.put_many(made)
    store.flush()
    return made


def kept_root(store, blocks):
    block = blocks(codec="dag-cbor")
    store.put_block(*block)
    store.flush()
    return block


def pending(store, blocks):
    kept(store, blocks, 1)
    for _ in range(2):
        put(store, blocks())


def closed(store, blocks):
    made = kept(store, blocks)
    store.close()
    return made


OPERATIONS = {
    "put": Operation(lambda store, blocks: blocks(), put),
    "put, opened": Operation(lambda store, blocks: (closed(store, blocks), blocks())[1], put),
    "put a pending one": Operation(
        lambda store, blocks: (pending(store, blocks), list(blocks.made.items())[-1])[1], put
    ),
    "put many": Operation(lambda store, blocks: [blocks(), blocks(LARGE), blocks()], put_many),
    "get": Operation(lambda store, blocks: kept(store, blocks, 1)[0], get),
    "get, opened": Operation(lambda store, blocks: closed(store, blocks)[0], get),
    "get many": Operation(kept, get_many),
    "find missing": Operation(kept, find_missing),
    "list": Operation(kept, list_blocks),
    "flush": Operation(pending, lambda store, _: store.flush()),
    "close": Operation(pending, lambda store, _: store.close()),
    "note root": Operation(kept_root, note_root),
    "swap": Operation(pointed, swap),
    "swap, first": Operation(unpointed, swap),
    "list pointers": Operation(lambda store, blocks: pointed(store, blocks)[0], list_pointers),
    "append": Operation(appended, append),
    "append, first": Operation(unappended, append),
    "make journal": Operation(journal_name, make_journal),
    "look at journals": Operation(lambda *given: appended(*given)[0], look_at_journals),
    "remove journal": Operation(lambda *given: appended(*given)[0], remove_journal),
}

JOURNALS = [name for name in OPERATIONS if "append" in name or "journal" in name]
"""What is done where journals are kept."""
