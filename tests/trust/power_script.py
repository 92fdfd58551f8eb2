"""Writes to new block stores of all kinds and says what it was promised; run under strace.

Argument: a folder. In it, each kind of store is made in the folders KIND and KIND-fsync, which is
what it was opened with, and in KIND-after, where all was written without fsync before, and is
written again with it. The file `marks` is told each root whose freeze, and each block whose flush,
has returned.
"""

import os
import sys
from pathlib import Path

KINDS = ("directory", "sqlite", "car")

FIRST = {"a/.zarray": b'{"shape":[4]}', "a/0": b"first " * 300, "a/1": b"chunk " * 200}
SECOND = FIRST | {"a/1": b"new " * 1500, "a/2": b"appended " * 100, "b": b"value"}
THIRD = {"c/0": b"imported " * 400, "c/1": b"too " * 300, "a/1": FIRST["a/1"]}
LAST = SECOND | {"d/0": b"written after the import " * 100}
BLOCK = b"a block of no hierarchy " * 50
DAMAGED = b"a block that is damaged " * 50

HIERARCHIES = (FIRST, SECOND, THIRD, LAST)


def open_blocks(kind, folder, fsync=False):
    """Open the block store of a kind in a folder that exists."""
    from ipldstore.backends.carfile.store import CARStore
    from ipldstore.backends.directory.store import DirectoryCAStore
    from ipldstore.backends.sqlite.store import SQLiteCAStore

    if kind == "directory":
        return DirectoryCAStore(Path(folder) / "new" / "blocks", fsync=fsync)
    if kind == "sqlite":
        return SQLiteCAStore(Path(folder) / "blocks.sqlite", fsync=fsync)
    return CARStore(Path(folder) / "data.car", fsync=fsync)


def make_archive(values):
    """Return the CAR archive of a hierarchy."""
    from ipldstore.faces import IPLDStore

    store = IPLDStore()
    store.update(values)
    return store.to_car()


def write(kind, folder, fsync, archive, mark):
    """Do all that writes, in two sessions, and mark what is promised."""
    from ipldstore.faces import IPLDStore

    with open_blocks(kind, folder, fsync) as blocks:
        store = IPLDStore(blocks)
        store.update(FIRST)
        mark(f"root {store.freeze()}")
        mark(f"block {blocks.put(BLOCK)}")
        store.update(SECOND)
        mark(f"root {store.freeze()}")
        damage(kind, folder, blocks)
        mark(f"block {blocks.put(DAMAGED)}")
    with open_blocks(kind, folder, fsync) as blocks:
        store = IPLDStore(blocks)
        mark(f"blocks {store.import_car(archive)}")
        mark(f"root {store.freeze()}")
        store.clear()
        store.update(LAST)
        mark(f"root {store.freeze()}")


def damage(kind, folder, blocks):
    """Keep a block and damage it on the disk; not in a database, which is no place of ours."""
    if kind == "sqlite":
        return
    blocks.put(DAMAGED)
    files = Path(folder).rglob("*.data" if kind == "directory" else "*.car")
    (file,) = (file for file in files if DAMAGED in file.read_bytes())
    descriptor = os.open(file, os.O_WRONLY)
    os.pwrite(descriptor, b"x" * 600, file.read_bytes().index(DAMAGED) + 300)
    os.fsync(descriptor)
    os.close(descriptor)


def write_after(kind, folder, mark):
    """Write with fsync what was written without; a database is open in both ways at once."""
    from ipldstore.faces import IPLDStore

    first = open_blocks(kind, folder)
    store = IPLDStore(first)
    store.update(FIRST)
    store.freeze()
    if kind == "car":
        first.close()
    with open_blocks(kind, folder, fsync=True) as second:
        store = IPLDStore(second)
        store.update(FIRST)
        mark(f"root {store.freeze()}")
    first.close()


def main(folder: str) -> None:
    archive = make_archive(THIRD)
    marks = os.open(f"{folder}/marks", os.O_WRONLY | os.O_CREAT)

    def mark(text):
        os.write(marks, text.encode())

    for kind in KINDS:
        for name in (kind, f"{kind}-fsync", f"{kind}-after"):
            mark(f"begin {name}")
            os.mkdir(f"{folder}/{name}")
            if name.endswith("-after"):
                write_after(kind, f"{folder}/{name}", mark)
            else:
                write(kind, f"{folder}/{name}", name.endswith("-fsync"), archive, mark)


if __name__ == "__main__":
    main(sys.argv[1])
