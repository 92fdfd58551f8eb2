"""What may be on a disk after the power went off, by the file operations that came before.

What was synced is there: the bytes of a file after the ``fsync`` of the file, a name after the
``fsync`` of its folder. Of all else any part may be: each write, name, size and removal may have
reached the disk or not, in any order; a write may be there in some of its sectors of 512 bytes
only, and one that makes a file longer up to any byte, where the file then ends; a file may have
grown to its size with zeros where its bytes should be. A sector is a picture of the file at some
time: where a later write to it is there, so are the earlier ones.
"""

import os
from dataclasses import dataclass, replace
from typing import NamedTuple

SECTOR = 512


class Operation(NamedTuple):
    """One change of a file, or what the process had promised by then.

    `kind` is create, mkdir, link, rename, unlink, write, truncate, sync, sync_folder or mark. Files
    are known by number, as their names change; `file` is the one that is made, named or written.
    """

    kind: str
    path: str = ""
    target: str = ""
    file: int = -1
    offset: int = 0
    data: bytes = b""

    @property
    def is_change(self):
        return self.kind not in ("sync", "sync_folder", "mark")

    @property
    def end(self):
        return self.offset + len(self.data)


@dataclass(frozen=True)
class Cut:
    """One way in which the power may go off after `at` operations.

    `lost` are the numbers of operations of which nothing reached the disk. Of the write `torn` only
    the bytes from `start` to `stop` did. With `grown`, files have the sizes that lost writes gave
    them.
    """

    at: int
    lost: frozenset = frozenset()
    torn: int = -1
    start: int = 0
    stop: int = 0
    grown: bool = False


def not_synced(operations, at):
    """Return the numbers of the operations before `at` that the power may still undo."""
    files, folders, found = set(), set(), []
    for number in range(at - 1, -1, -1):
        operation = operations[number]
        if operation.kind == "sync":
            files.add(operation.file)
        elif operation.kind == "sync_folder":
            folders.add(operation.path)
        elif operation.kind in ("write", "truncate"):
            if operation.file not in files:
                found.append(number)
        elif operation.is_change and os.path.dirname(operation.path) not in folders:
            found.append(number)
    return found[::-1]


def files_after(operations, cut):
    """Return what is on the disk: the bytes of each file by its path, None for a folder."""
    names, contents, sizes = {}, {}, {}
    latest = _latest_writes(operations, cut)
    for number, operation in enumerate(operations[: cut.at]):
        if cut.grown and operation.kind == "write":
            sizes[operation.file] = max(sizes.get(operation.file, 0), operation.end)
        if number not in cut.lost and number != cut.torn:
            _apply(operation, names, contents, sizes)
            continue
        for part in _sectors_of(operation):
            if latest.get((part.file, part.offset // SECTOR), -1) > number:
                _apply(part, names, contents, sizes)
        if number == cut.torn:
            _apply(_rest_of(operation, cut), names, contents, sizes)
    found = {path: _content(file, contents, sizes) for path, file in names.items()}
    return {path: data for path, data in found.items() if _is_reachable(path, found)}


def _latest_writes(operations, cut):
    """Return the number of the last write that is there, for each sector of each file."""
    latest = {}
    for number, operation in enumerate(operations[: cut.at]):
        if number not in cut.lost:
            there = _rest_of(operation, cut) if number == cut.torn else operation
            latest.update(((p.file, p.offset // SECTOR), number) for p in _sectors_of(there))
    return latest


def _rest_of(write, cut):
    """Return what is there of the write that is torn."""
    return write._replace(offset=write.offset + cut.start, data=write.data[cut.start : cut.stop])


def _sectors_of(write):
    """Iterate the parts of a write, one a sector; nothing of what is no write."""
    start = write.offset
    while write.kind == "write" and start < write.end:
        stop = min(write.end, (start // SECTOR + 1) * SECTOR)
        data = write.data[start - write.offset : stop - write.offset]
        yield write._replace(offset=start, data=data)
        start = stop


def _content(file, contents, sizes):
    return None if file is None else bytes(contents[file].ljust(sizes.get(file, 0), b"\0"))


def _apply(operation, names, contents, sizes):
    kind, path, file = operation.kind, operation.path, operation.file
    content = contents.setdefault(file, bytearray())
    if kind == "mkdir":
        names[path] = None
    elif kind == "create":
        names[path] = file
    elif kind == "link":
        names[operation.target] = file
    elif kind == "rename":
        names.pop(path, None)
        names[operation.target] = file
    elif kind == "unlink":
        names.pop(path, None)
    elif kind == "write":
        content.extend(bytes(max(0, operation.end - len(content))))
        content[operation.offset : operation.end] = operation.data
    elif kind == "truncate":
        del content[operation.offset :]
        sizes[file] = min(sizes.get(file, 0), operation.offset)


def _is_reachable(path, found):
    """Whether all folders above a path are there, as far as they were made meanwhile."""
    folder = os.path.dirname(path)
    while folder:
        if folder not in found:
            return False
        folder = os.path.dirname(folder)
    return True


def iter_plain_cuts(operations):
    """Iterate what is always tried: at each operation all of it there, none, only names or data."""
    for at in range(len(operations) + 1):
        open_ones = not_synced(operations, at)
        data = frozenset(n for n in open_ones if operations[n].kind in ("write", "truncate"))
        names = frozenset(open_ones) - data
        yield Cut(at)
        if open_ones:
            yield Cut(at, frozenset(open_ones))
            yield Cut(at, data)
            yield Cut(at, data, grown=True)
            yield Cut(at, names)


def iter_more_cuts(operations, random, subsets):
    """Iterate torn writes, single losses and, at each operation, some losses at random."""
    for at in range(len(operations) + 1):
        open_ones = not_synced(operations, at)
        if at and operations[at - 1].kind == "write":
            for cut in iter_tears(operations, at, at - 1):
                yield cut
                others = frozenset(open_ones) - {at - 1}
                if others:
                    yield replace(cut, lost=others)
        for number in open_ones:
            yield Cut(at, frozenset([number]))
            yield Cut(at, frozenset([number]), grown=True)
        for _ in range(subsets if len(open_ones) > 1 else 0):
            yield random_cut(operations, at, open_ones, random)


def iter_tears(operations, at, number):
    """Iterate the parts of a write that may be there: sectors from the front or from the back."""
    write = operations[number]
    size = len(write.data)
    borders = range(-write.offset % SECTOR, size, SECTOR)
    for border in borders:
        if border:
            yield Cut(at, torn=number, stop=border)
            yield Cut(at, torn=number, stop=border, grown=True)
            yield Cut(at, torn=number, start=border, stop=size, grown=True)
    if write.offset >= _size_before(operations, number):
        for stop in {1, size // 2, size - 1} - {0, size}:
            yield Cut(at, torn=number, stop=stop)


def _size_before(operations, number):
    file = operations[number].file
    size = 0
    for operation in operations[:number]:
        if operation.file == file and operation.kind == "write":
            size = max(size, operation.end)
        elif operation.file == file and operation.kind == "truncate":
            size = operation.offset
    return size


def random_cut(operations, at, open_ones, random):
    share = random.choice((0.1, 0.5, 0.9))
    lost = frozenset(number for number in open_ones if random.random() < share)
    cut = Cut(at, lost, grown=random.random() < 0.5)
    writes = [n for n in open_ones if n not in lost and operations[n].kind == "write"]
    if not writes or random.random() < 0.5:
        return cut
    number = random.choice(writes)
    tears = list(iter_tears(operations, at, number))
    if not tears:
        return cut
    tear = random.choice(tears)
    write = operations[number]
    if (write.offset + tear.stop) % SECTOR and tear.stop < len(write.data):
        later = [n for n in open_ones if n > number and operations[n].kind == "write"]
        lost |= {n for n in later if operations[n].file == write.file}
    return replace(tear, lost=lost)
