"""An archive in an open file: its blocks found by CID, and, under a lock, new ones appended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from weakref import finalize

from ipldstore.backends.carfile import mending
from ipldstore.backends.carfile.files import close_files, lock_file, number_of, write_all
from ipldstore.backends.carfile.indexes import iter_index
from ipldstore.backends.carfile.offsets import Offsets
from ipldstore.backends.carfile.sections import (
    Section,
    find_nonzero,
    is_lost,
    iter_sections,
    read_layout,
    read_section,
)
from ipldstore.cid import Link, multihash_of, split
from ipldstore.errors import BackendError, CarFormatError, ReadOnlyStoreError
from ipldstore.formats.car import after_padding_text, encode_header, encode_section_head, zeros_text
from ipldstore.limits import MAX_CAR_TAIL_BYTES


class Archive:
    """A CAR archive in an open file.

    It is read until the last thread or iterator that uses it has let go of it: the number of a
    file that is closed while it is read may be another file's.

    `layout` is where its parts are, and `end` where the last section that was looked at ends.
    `is_cut_short` says whether the file ended within a section when it was looked through,
    `is_padded` whether there were zeros after the last section then. Zeros are only accepted with
    `allow_padding`, and with nothing after them. `is_locked` says whether it may be written to,
    `is_closed` that nobody is to begin to use it. Raises `CarFormatError` if the file holds no
    archive, and, like all methods, `OSError` if it cannot be read.
    """

    def __init__(self, path: Path, *, allow_padding: bool = False) -> None:
        self.path = path
        self._allow_padding = allow_padding
        # as it is read, and as it is written to, once it is locked
        self._readers: list[FileIO] = []
        self._writers: list[FileIO] = []
        finalize(self, close_files, self._readers)
        self._finalizer = finalize(self, close_files, self._writers)
        # file objects, unlike their numbers, are closed when an interrupt loses them
        self._readers.append(FileIO(path, "rb"))
        self.is_locked = self.is_changed = self.is_closed = False
        self._begun: Section | None = None
        self._last: Section | None = None
        self.layout = read_layout(self._descriptor)
        self._start_over()
        if 0 < self.layout.index_start < os.fstat(self._descriptor).st_size:
            self._load_index()

    @property
    def _descriptor(self) -> int:
        return number_of(self._readers[0])

    @property
    def _writer(self) -> int:
        return number_of(self._writers[0])

    def close(self) -> None:
        """Let go of the lock, which a forked process may hold as well; the file goes with this."""
        self.is_closed = True
        self.is_locked = False
        close_files(self._writers)
        self._finalizer.detach()

    def leave_to_parent(self) -> None:
        """Let go of the file in a forked process, without touching the parent's lock."""
        self._finalizer.detach()
        self.is_closed = True
        self.is_locked = False
        for file in self._writers:
            file.close()

    def _start_over(self) -> None:
        offsets = Offsets()
        # no interrupt can arrive between these
        self._is_scanned = self.is_cut_short = self.is_padded = False
        self.end = self.layout.sections
        self._offsets = offsets

    def _load_index(self) -> None:
        """Take offsets from the archive's own index, to be checked when they are used."""
        layout = self.layout
        try:
            with open(self._descriptor, "rb", closefd=False) as stream:
                stream.seek(layout.index_start)
                for digest, offset in iter_index(stream):
                    if not layout.sections <= layout.payload + offset < self._payload_end():
                        raise CarFormatError(f"CARv2 index names byte {offset} of the payload")
                    self._offsets.add(digest, layout.payload + offset)
        except (CarFormatError, OverflowError):
            self._start_over()

    def _payload_end(self) -> int:
        return self.layout.end or os.fstat(self._descriptor).st_size

    def scan(self) -> None:
        """Look through the sections that were not looked at yet.

        Raises `CarFormatError` if one is malformed.
        """
        end = self._payload_end()
        for section in iter_sections(self._descriptor, self.end, end):
            self._note(section)
        self._is_scanned = True
        self.is_padded = self._allow_padding and self._check_padding(end)
        self.is_cut_short = self.end < end and not self.is_padded
        if self.is_cut_short and self.layout.end is not None:
            has_zeros = os.pread(self._descriptor, 1, self.end) == b"\0"
            raise CarFormatError(
                zeros_text(self.end)
                if has_zeros
                else f"CARv2 payload ends within the section at byte {self.end}",
                offset=self.end,
            )

    def _check_padding(self, end: int) -> bool:
        """Whether zeros follow the last section; raise `CarFormatError` if more follows them."""
        found = find_nonzero(self._descriptor, self.end, end)
        if found is None or found == self.end:
            return self.end < end and found is None
        raise CarFormatError(after_padding_text(self.end, found), offset=found)

    def iter_sections(self) -> Iterator[Section]:
        """Read the heads of all sections, from the first on.

        Raises `CarFormatError` if one is malformed.
        """
        # a generator holds the archive, and so the file
        yield from iter_sections(self._descriptor, self.layout.sections, self._payload_end())

    def _note(self, section: Section) -> None:
        self._offsets.add(split(section.cid).digest, section.offset)
        self.end = section.end

    def is_current(self) -> bool:
        """Whether the path still leads to this file, and nothing of it was cut off."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(status, os.fstat(self._descriptor)) and status.st_size >= self.end

    def refresh(self) -> None:
        """Read the header again, and what was appended."""
        self.layout = read_layout(self._descriptor)
        if self._is_scanned:
            self.scan()

    def find(self, cid: Link) -> list[Section]:
        """Return the sections of a CID's multihash, those that declare the CID itself first."""
        self.settle()
        found = self._look_up(cid)
        if not found and not self._is_scanned:
            if len(self._offsets):
                self._start_over()
            self.scan()
            found = self._look_up(cid)
        return sorted(found, key=lambda section: section.cid != cid)

    def settle(self) -> None:
        """Note what was appended last, or cut it off, if interrupts kept that from being done."""
        if self._last is not None and self._last.end > self.end:
            self._note(self._last)
        if self._begun is not None:
            if self.end < os.fstat(self._descriptor).st_size <= self._begun.end:
                os.ftruncate(self._writer, self.end)
            self._begun = None

    def _look_up(self, cid: Link) -> list[Section]:
        end = self._payload_end()
        found = []
        for offset in self._offsets.find(split(cid).digest):
            try:
                section = read_section(self._descriptor, offset, end)
            except CarFormatError:
                section = None
            if section is not None and multihash_of(section.cid) == multihash_of(cid):
                found.append(section)
            elif self._is_scanned:
                raise CarFormatError(
                    f"section at byte {offset} changed since it was found", offset=offset
                )
        return found

    def read(self, section: Section) -> bytes:
        """Return the bytes of a block."""
        data = os.pread(self._descriptor, section.size, section.start)
        while len(data) < section.size:
            at = section.start + len(data)
            more = os.pread(self._descriptor, section.end - at, at)
            if not more:
                raise CarFormatError(f"archive ends at byte {at}", offset=at)
            data += more
        return data

    def lock(self, placeholder: Link) -> None:
        """Become the only one that writes, look through what is there, and mend what is torn.

        The first `sync` is not left out, as others may have written what is there without one.
        `placeholder` is a root of the length that roots will have. Raises `BackendError` if another
        process writes to the archive, and `ReadOnlyStoreError` if its root cannot be replaced by
        another one.
        """
        self._check_form()
        try:
            self._writers.append(FileIO(self.path, "r+b"))
            lock_file(self._writer, self.path)
            if not self.is_current():
                raise BackendError(
                    f"{str(self.path)!r} was replaced or cut short: close the store to begin anew"
                )
            self._mend(placeholder)
            self._synced_end = self.end
            self.is_locked = self.is_changed = True
        except BaseException:
            self.is_locked = False
            close_files(self._writers)
            self._writers.clear()
            raise

    def _mend(self, placeholder: Link) -> None:
        self.layout = read_layout(self._descriptor)
        self._check_header(placeholder)
        self.scan()
        if self.is_cut_short or self.is_padded:
            self._cut_tail(self._writer)
        if mending.rename_damaged(self, self._writer, placeholder):
            self._start_over()
            self.scan()

    def _check_form(self) -> None:
        roots = self.layout.roots
        if self.layout.version != 1 or len(roots) != 1:
            raise ReadOnlyStoreError(
                f"{str(self.path)!r} is a CARv{self.layout.version} archive with {len(roots)} "
                "roots, and only one of version 1 with one root can be written: import it into "
                "a new one"
            )

    def _check_header(self, placeholder: Link) -> None:
        self._check_form()
        roots = self.layout.roots
        start = os.pread(self._descriptor, self.layout.sections, 0)
        if start != encode_header(roots[0]) or len(start) != len(encode_header(placeholder)):
            raise ReadOnlyStoreError(
                f"the root in the header of {str(self.path)!r} has another form or length than "
                "the roots that this store makes: import it into a new archive, or use the hash "
                "function of its root as default_hash"
            )

    def _cut_tail(self, descriptor: int) -> None:
        end = self._payload_end()
        size = end - self.end
        if not is_lost(descriptor, self.end, end):
            if size > MAX_CAR_TAIL_BYTES:
                raise CarFormatError(
                    f"{str(self.path)!r} is damaged: the section at byte {self.end} is longer than "
                    f"the {size} bytes that are left, too many to be cut off",
                    offset=self.end,
                )
        elif find_nonzero(descriptor, self.end, end) is not None and not mending.is_complete(self):
            raise CarFormatError(
                f"{str(self.path)!r} is damaged: the section at byte {self.end} is lost, and blocks"
                " under the root are not before it: copy what can be read into a new archive",
                offset=self.end,
            )
        os.ftruncate(descriptor, self.end)
        self.is_cut_short = self.is_padded = False

    def append(self, cid: Link, data: bytes) -> None:
        """Write a block behind the last one, or nothing.

        Raises `BackendError` if somebody else changed the file in spite of the lock.
        """
        self.settle()
        self._check_size()
        head = encode_section_head(cid, len(data))
        start = self.end + len(head)
        section = Section(cid, self.end, start, start + len(data))
        self._begun = section
        try:
            self._write(head, self.end)
            self._write(data, start)
            self._last = section
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._writer, self.end)
                self._begun = None
            raise
        self._note(section)
        self._begun = None

    def _check_size(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size != self.end:
            raise BackendError(
                f"{str(self.path)!r} has {size} bytes, expected {self.end}: something else writes "
                "to it; stop that, and close the store to begin anew"
            )

    def overwrite(self, section: Section, data: bytes) -> None:
        """Write the bytes of a block that was damaged."""
        self._write(data, section.start)

    def write_root(self, root: Link) -> None:
        """Put a root into the place of the one in the header."""
        header = encode_header(root)
        if len(header) != self.layout.sections:
            raise ReadOnlyStoreError(
                f"root {root} is not as long as the one in the header of {str(self.path)!r}"
            )
        try:
            self._write(header, 0)
            self.layout = self.layout._replace(roots=[root])
        except BaseException:
            self.layout = read_layout(self._descriptor)
            raise

    def sync(self) -> None:
        """Force what was written to the disk."""
        if self.is_changed:
            self.settle()
            os.fsync(self._writer)
            self._synced_end = self.end
            self.is_changed = False

    def take_back(self) -> None:
        """Cut off what was appended since the last `sync`, or since the archive was locked."""
        with suppress(OSError):
            os.ftruncate(self._writer, self._synced_end)

    def _write(self, data: bytes, offset: int) -> None:
        self.is_changed = True
        write_all(self._writer, data, offset)
