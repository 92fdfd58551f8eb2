"""Checks of what a block store holds after a writer was stopped, however hard."""

from power_script import BLOCK, DAMAGED, HIERARCHIES, LAST, open_blocks

from ipldstore import (
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    IPLDStore,
)
from ipldstore.cid import make_link, to_text

NOT_THERE = (BlockNotFoundError, CorruptBlockError, CarFormatError)


def root_of(values):
    store = IPLDStore()
    store.update(values)
    return str(store.freeze())


VALUES = {root_of(values): values for values in ({}, *HIERARCHIES)}
(EMPTY, *_) = VALUES
LAST_ROOT = root_of(LAST)
BLOCKS = {to_text(make_link(data)): data for data in (BLOCK, DAMAGED)}


def next_mark(marks):
    """Return what the script would have been promised after some promises."""
    first, second, third, last = map(root_of, HIERARCHIES)
    block, damaged = BLOCKS
    expected = [f"root {first}", f"block {block}", f"root {second}", f"block {damaged}"]
    expected += [f"blocks {third}", f"root {third}", f"root {last}", ""]
    assert marks == expected[: len(marks)]
    return expected[len(marks)]


def read_root(blocks, root):
    """Return a hierarchy's values, None where something of it is known not to be there."""
    try:
        return dict(IPLDStore(blocks, root=root))
    except NOT_THERE:
        return None


def check_nothing_is_wrong(blocks):
    for root, values in VALUES.items():
        assert read_root(blocks, root) in (None, values)


def check_promises(blocks, marks):
    for mark in marks:
        what, cid = mark.split(" ")
        if what == "block":
            assert blocks.get_block(cid) == BLOCKS[cid]
        else:
            assert read_root(blocks, cid) == VALUES[cid]


def check_named_root(blocks, marks, next_mark):
    """The root that an archive names is the last one that was promised, or the one on its way."""
    roots = [mark.split(" ")[1] for mark in [*marks, next_mark] if mark.startswith("root ")]
    expected = roots[-2:] if next_mark.startswith("root ") else roots[-1:]
    if not any(mark.startswith("root ") for mark in marks):
        expected += [EMPTY, "None"]
    root = blocks.noted_root
    assert str(root) in expected
    assert root is None or read_root(blocks, root) == VALUES[str(root)]


def write_again(kind, folder, how):
    with open_blocks(kind, folder, fsync=how != "plain") as blocks:
        store = open_hierarchy(blocks, how)
        store.clear()
        store.update(LAST)
        assert str(store.freeze()) == LAST_ROOT
    with open_blocks(kind, folder) as blocks:
        assert read_root(blocks, LAST_ROOT) == LAST
        if kind == "car" and how == "fsync":
            assert dict(IPLDStore.from_car(blocks.path)) == LAST


def open_hierarchy(blocks, how):
    """Open the hierarchy that an archive names, which may be lost where nothing was synced."""
    try:
        return IPLDStore(blocks)
    except NOT_THERE:
        assert how != "fsync"
        return IPLDStore(blocks, root=EMPTY)


def check_store(kind, folder, how, marks, next_mark):
    fsync = how != "plain"
    with open_blocks(kind, folder) as blocks:
        check_nothing_is_wrong(blocks)
        if fsync:
            check_promises(blocks, marks)
        if kind == "car" and how == "fsync":
            check_named_root(blocks, marks, next_mark)
    try:
        write_again(kind, folder, how)
    except CarFormatError as error:
        assert "copy what can be read" in str(error)
        assert how != "fsync"
