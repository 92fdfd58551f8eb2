"""A CAR archive as a block store: the one file that a dataset is kept in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipldstore.backends.carfile.archive import Archive
from ipldstore.backends.carfile.beginning import make_archive, open_archive
from ipldstore.backends.carfile.sections import Section
from ipldstore.backends.paths import local_path
from ipldstore.basics.locks import Guard
from ipldstore.blockstore.contract import ContentAddressableStore, StoredBlock, flat
from ipldstore.blockstore.pointers import check_pointer_name
from ipldstore.cid import (
    DAG_CBOR,
    CIDLike,
    Link,
    as_link,
    codec_of,
    identity_data,
    to_text,
    verify_block,
)
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNameError,
    ReadOnlyStoreError,
)
from ipldstore.formats.car import encode_header, encode_section_head
from ipldstore.history.kinds import is_state
from ipldstore.limits import MAX_STATE_BYTES

_EMPTY_HIERARCHY = b"\xa0"
_POINTER = "default"
"""The one pointer of an archive."""


class CARStore(ContentAddressableStore):
    """Keeps blocks in one CAR archive.

    Blocks are appended as they are put. An archive made here is of version 1 with one root, at
    first that of the empty hierarchy; each ``freeze`` writes its root in place of it. So it is a
    valid archive after every freeze, with the blocks of earlier roots still in it; ``to_car``
    writes one without them. What a crash left half-written at the end is not read, and cut off by
    the next writer. A file that is made is on the disk, with its header, before anything is put
    into it.

    One store writes at a time: it holds a lock from its first put until `close`. Others read what
    was there when they opened the archive, or called `refresh`. Archives of version 2, or with
    several roots or none, are only read; an index in them is used, and not relied on.

    It keeps one pointer, ``default``, which is the root where that is the state of a repository.
    Then the roots of hierarchies that are frozen on it are not written into the archive.

    It needs a POSIX system.

    Parameters
    ----------
    path
        The file. It is made by the first put when it does not exist, in a folder that does.
    default_hash
        The hash function that names new blocks.
    read_only
        Whether the store refuses to write, and to begin without a file.
    fsync
        Whether what is flushed is forced to the disk, blocks before the root. Without, when the
        machine (not the process) goes down, blocks of the last seconds may be lost, and the root
        may be there without its blocks; roots whose blocks are there are opened by their CIDs.
    allow_padding
        Whether zeros may follow the last section, as in archives that are padded for Filecoin. What
        follows them is an error then. Writing cuts them off.

    Raises
    ------
    CarFormatError
        If the file is no CAR archive; also later, where it is malformed.
    BackendError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from ipldstore import IPLDStore
    >>> with tempfile.TemporaryDirectory() as folder, CARStore(folder + "/data.car") as archive:
    ...     store = IPLDStore(archive)
    ...     store["a/0"] = b"chunk"
    ...     root = store.freeze()
    ...     IPLDStore(CARStore(folder + "/data.car", read_only=True))["a/0"]
    b'chunk'
    """

    inline_limit = 64 << 10
    is_shared = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        default_hash: str = "sha2-256",
        read_only: bool = False,
        fsync: bool = False,
        allow_padding: bool = False,
    ) -> None:
        super().__init__(default_hash=default_hash)
        self.path = local_path(path)
        self.read_only = read_only
        self.fsync = fsync
        self.allow_padding = allow_padding
        root = self.make_cid(_EMPTY_HIERARCHY, "dag-cbor")
        head = encode_section_head(root, len(_EMPTY_HIERARCHY))
        self._placeholder = root
        self._beginning = encode_header(root) + head + _EMPTY_HIERARCHY
        self._guard = Guard(self._leave_to_parent)
        self._archive: Archive | None = None
        self._has_failed = False
        with self._failing("cannot open"):
            self._reading()

    def __repr__(self) -> str:
        return f"CARStore({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CARStore) and self.path == other.path

    def __hash__(self) -> int:
        return hash((CARStore, self.path))

    def __reduce__(self) -> tuple[Any, ...]:
        options = {
            name: getattr(self, name)
            for name in ("default_hash", "read_only", "fsync", "allow_padding")
        }
        return _reopen, (self.path, options)

    @property
    def noted_root(self) -> Link | None:
        """The archive's root; None if it has none or several, or is not there yet."""
        with self._failing("cannot read"):
            return _root_of(self._reading())

    def read_roots(self) -> list[Link]:
        """Return all roots that the archive names.

        Raises
        ------
        CarFormatError
            If it is an empty file, or was only begun.
        BackendError
            If there is no file.
        """
        with self._failing("cannot read"):
            archive = self._reading()
            if archive is None:
                raise self._unbegun()
            return archive.layout.roots

    def _unbegun(self) -> BackendError | CarFormatError:
        """Make the error for a file that is not there, or holds no whole header yet."""
        if not self.path.exists():
            return BackendError(f"no CAR archive {str(self.path)!r}")
        size = self.path.stat().st_size
        return CarFormatError(
            f"only the first {size} bytes of a CAR archive, whose making was stopped"
            if size
            else "an empty file, expected a CAR archive",
            offset=size,
        )

    @property
    def breaks_off_at(self) -> int | None:
        """Byte of the file from which on nothing could be read, if it has been read so far."""
        archive = self._archive
        return archive.end if archive is not None and archive.is_cut_short else None

    def get_raw(self, cid: Link) -> bytes:
        with self._failing("cannot read a block from", cid):
            archive, section = self._find(cid)
            if archive is None or section is None:
                raise BlockNotFoundError(f"no block {to_text(cid)} in {self!r}{_torn(archive)}")
            return archive.read(section)

    def put_block(self, cid: Link, data: bytes) -> None:
        if identity_data(cid) is not None:
            return
        data = flat(data)
        with self._guard(), self._failing("cannot keep a block in", cid):
            archive = self._writing()
            section = self._section(archive, cid)
            if section is None or section.cid != cid or section.size != len(data):
                archive.append(cid, data)
            elif archive.read(section) != data:
                archive.overwrite(section, data)

    def has_raw(self, cid: Link) -> bool:
        return self.size_of(cid) is not None

    def size_of(self, cid: Link) -> int | None:
        if (data := identity_data(cid)) is not None:
            return len(data)
        with self._failing("cannot look for a block in", cid):
            _, section = self._find(cid)
        return None if section is None else section.size

    def iter_blocks(self) -> Iterator[StoredBlock]:
        with self._failing("cannot list the blocks in"):
            archive = self._reading()
            for section in () if archive is None else archive.iter_sections():
                yield StoredBlock(section.cid, section.size)

    def note_root(self, root: Link) -> None:
        """Make a root that of the archive, whose blocks are there; one only read keeps its own.

        So does one whose root is the state of a repository, which `swap_pointer` moves.

        Raises
        ------
        BackendError
            If it cannot be written, its block is missing, or the file was replaced by another one.
        ReadOnlyStoreError
            If it has not the length of the root that the archive has.
        """
        with self._guard(), self._failing("cannot write the root of"):
            self._check_failed()
            if _root_of(self._opened()) == root or self._is_only_read():
                return
            archive = self._writing()
            self._check_current(archive)
            if self._names_state(archive):
                return
            if not archive.find(root):
                raise BackendError(f"block {root}, the root, is not in {self!r}: write anew")
            self._write_root(archive, root)

    def _write_root(self, archive: Archive, root: Link) -> None:
        self._sync(archive)
        archive.write_root(root)
        self._sync(archive)

    def read_pointer(self, name: str) -> Link | None:
        """Return the archive's root if it is the state of a repository, as the file has it now.

        Raises
        ------
        InvalidNameError
            If the name is not ``default``: an archive holds one repository.
        BackendError
            If it cannot be told: the root's block is missing or damaged, or the file.
        CarFormatError
            If the file is no CAR archive any more.
        """
        _check_name(name)
        with self._guard(), self._failing("cannot read the pointer of"):
            self._refresh()
            return self._state_of(self._opened())

    def swap_pointer(self, name: str, old: Link | None, new: CIDLike) -> bool:
        """Make another state the archive's root, with its block in the archive.

        The first one takes the place of the empty hierarchy only.

        Raises
        ------
        InvalidNameError
            If the name is not ``default``: an archive holds one repository.
        BackendError
            If it cannot be written, there is no such state, the root is a hierarchy that would be
            lost, or its block is missing or damaged.
        CarFormatError
            If the file is no CAR archive any more.
        ReadOnlyStoreError
            If the archive or the store is only read, or the CID has another length than its root.
        """
        _check_name(name)
        new = as_link(new)
        with self._guard(), self._failing("cannot move the pointer of"):
            if old is not None and not self.read_only and self._opened() is None:
                return False
            archive = self._writing()
            self._check_current(archive)
            if self._state_of(archive) != old:
                return False
            if old is None:
                self._check_empty(archive)
            if not self._is_state(archive, new):
                raise BackendError(f"block {new} in {self!r} is not the state of a repository")
            self._write_root(archive, new)
            return True

    def iter_pointers(self) -> Iterator[str]:
        return iter(() if self.read_pointer(_POINTER) is None else (_POINTER,))

    def _state_of(self, archive: Archive | None) -> Link | None:
        """Return the root of an archive if it is the state of a repository."""
        root = _root_of(archive)
        if archive is None or root is None:
            return None
        return root if self._is_state(archive, root) else None

    def _is_state(self, archive: Archive, cid: Link) -> bool:
        """Whether a block of an archive is a state; an error if it is missing or damaged."""
        if codec_of(cid) != DAG_CBOR or identity_data(cid) is not None:
            return False
        section = self._section(archive, cid)
        if section is None:
            raise BackendError(f"no block {to_text(cid)} in {self!r}{_torn(archive)}")
        if section.size > MAX_STATE_BYTES:
            return False
        data = archive.read(section)
        try:
            verify_block(cid, data)
        except (CorruptBlockError, InvalidCIDError) as error:
            raise BackendError(f"cannot tell what block {to_text(cid)} is: {error}") from error
        return is_state(data)

    def _names_state(self, archive: Archive) -> bool:
        """Whether the root is a state, as far as its block can be read: damage is to be mended."""
        try:
            return self._state_of(archive) is not None
        except BackendError:
            return False

    def _check_empty(self, archive: Archive) -> None:
        """Refuse to make a repository of an archive whose root nothing would lead to then."""
        (root,) = archive.layout.roots
        section = self._section(archive, root)
        if section is None or archive.read(section) != _EMPTY_HIERARCHY:
            raise BackendError(
                f"{str(self.path)!r} is the archive of the hierarchy {root}, which would be lost: "
                "make the repository in a new file, and commit the hierarchy there"
            )

    def flush(self) -> None:
        with self._guard():
            self._flush()

    def _flush(self) -> None:
        with self._failing("cannot flush"):
            archive = self._archive
            if archive is not None and archive.is_locked:
                self._check_failed()
                self._check_current(archive)
                archive.settle()
                self._sync(archive)

    def _check_failed(self) -> None:
        if self._has_failed:
            raise BackendError(
                f"what was put into {str(self.path)!r} since its last flush could not be forced to "
                "the disk, and is not in it: open it with a new CARStore, and write that again"
            )

    def _sync(self, archive: Archive) -> None:
        """Force what was written to the disk, or take it back: trying again proves nothing.

        Systems forget what they could not write once they said so.
        """
        if not self.fsync:
            return
        try:
            archive.sync()
        except OSError:
            self._has_failed = True
            archive.take_back()
            raise

    def refresh(self) -> None:
        """See what others have appended since, and their root.

        Raises
        ------
        CarFormatError
            If the file is no CAR archive any more, or what was appended is malformed.
        BackendError
            If it cannot be read, or is gone and is only to be read.
        """
        with self._guard(), self._failing("cannot read"):
            self._refresh()

    def _refresh(self) -> None:
        archive = self._archive
        if archive is None or archive.is_locked:
            return
        if archive.is_current():
            archive.refresh()
        else:
            self._drop()
            self._opened()

    def close(self) -> None:
        """Flush, and let go of the file and of the lock; what is used after that opens it anew."""
        with self._guard():
            try:
                self._flush()
            finally:
                self._drop()

    def _drop(self) -> None:
        archive = self._archive
        if archive is not None:
            # what is closed twice does no harm, but an interrupt might leave out the second step
            archive.close()
            self._archive = None

    def _leave_to_parent(self) -> None:
        if self._archive is not None:
            self._archive.leave_to_parent()
            self._archive = None

    def _reading(self) -> Archive | None:
        archive = self._archive
        if archive is not None and not archive.is_closed:
            return archive
        with self._guard():
            return self._opened()

    def _opened(self) -> Archive | None:
        archive = self._archive
        if archive is not None and archive.is_closed:
            # an interrupt came in the middle of that
            self._drop()
        if self._archive is None:
            self._archive = open_archive(
                self.path, self._beginning, allow_padding=self.allow_padding
            )
        if self._archive is None and self.read_only:
            raise self._unbegun()
        return self._archive

    def _writing(self) -> Archive:
        if self.read_only:
            raise ReadOnlyStoreError(f"{self!r} was opened in read-only mode")
        self._check_failed()
        archive = self._opened()
        if archive is None:
            if not self.path.parent.is_dir():
                raise BackendError(f"no folder {str(self.path.parent)!r}: make it first")
            archive = self._archive = make_archive(self.path, self._beginning)
        if not archive.is_locked:
            archive.lock(self._placeholder)
        return archive

    def _is_only_read(self) -> bool:
        archive = self._opened()
        return self.read_only or (
            archive is not None and (archive.layout.version != 1 or len(archive.layout.roots) != 1)
        )

    def _check_current(self, archive: Archive) -> None:
        if not archive.is_current():
            raise BackendError(
                f"{str(self.path)!r} was removed, replaced or cut short while it was written to: "
                "close the store and write anew"
            )

    def _find(self, cid: Link) -> tuple[Archive | None, Section | None]:
        archive = self._reading()
        if archive is None:
            return None, None
        with self._guard():
            return archive, self._section(archive, cid)

    def _section(self, archive: Archive, cid: Link) -> Section | None:
        try:
            return next(iter(archive.find(cid)), None)
        except CarFormatError:
            if archive.is_locked:
                self._check_current(archive)
            raise

    @contextmanager
    def _failing(self, what: str, cid: Link | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            block = "" if cid is None else f"block {to_text(cid)}: "
            raise BackendError(f"{block}{what} {str(self.path)!r}: {error.strerror}") from error
        except CarFormatError as error:
            note = f"in {str(self.path)!r}"
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            raise


def _check_name(name: str) -> None:
    check_pointer_name(name)
    if name != _POINTER:
        raise InvalidNameError(
            f"a CAR archive holds one repository, with the name {_POINTER!r}, found {name!r}"
        )


def _root_of(archive: Archive | None) -> Link | None:
    roots = [] if archive is None else archive.layout.roots
    return roots[0] if len(roots) == 1 else None


def _torn(archive: Archive | None) -> str:
    if archive is None or not archive.is_cut_short:
        return ""
    return f", which is cut short or damaged within the section at byte {archive.end}"


def _reopen(path: Path, options: dict[str, Any]) -> CARStore:
    return CARStore(path, **options)
