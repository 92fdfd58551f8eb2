"""What is made good in an archive when the machine went down while it was written to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from ipldstore.backends.carfile.sections import Layout, Section, iter_sections
from ipldstore.cid import Link, make_link, verify_block
from ipldstore.dag import iter_dag
from ipldstore.errors import (
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    InvalidCIDError,
    InvalidNodeError,
)
from ipldstore.formats.car import encode_section_head


class Archive(Protocol):
    """What is asked of an archive."""

    end: int

    @property
    def layout(self) -> Layout: ...
    def find(self, cid: Link, /) -> Sequence[Section]: ...
    def read(self, section: Section, /) -> bytes: ...


def is_complete(archive: Archive) -> bool:
    """Whether all blocks under the root of an archive are among those that it found."""
    try:
        return all(
            data is not None or archive.find(link)
            for link, data in iter_dag(archive.layout.roots[0], lambda link: _load(archive, link))
        )
    except (BlockNotFoundError, CarFormatError, CorruptBlockError, InvalidNodeError):
        return False


def _load(archive: Archive, link: Link) -> bytes:
    sections = archive.find(link)
    if not sections:
        raise BlockNotFoundError(f"no block {link}")
    data = archive.read(sections[0])
    verify_block(link, data)
    return data


def rename_damaged(archive: Archive, descriptor: int, placeholder: Link) -> bool:
    """Give blocks behind the root's whose bytes are not those of their CIDs the right CIDs.

    A freeze puts the root's block last, so these blocks were put after it, and their bytes may be
    lost, which would make the archive invalid for all that check it. Where the root's block is the
    first, as in archives that are exported, nothing can be told by that. Returns whether there were
    any.
    """
    (root,) = archive.layout.roots
    section = next(iter(archive.find(root)), None)
    if section is None or (section.offset == archive.layout.sections and root != placeholder):
        return False
    damaged = list(_iter_damaged(archive, iter_sections(descriptor, section.end, archive.end)))
    for section, head in damaged:
        os.pwrite(descriptor, head, section.offset)
    return bool(damaged)


def _iter_damaged(archive: Archive, sections: Iterator[Section]) -> Iterator[tuple[Section, bytes]]:
    """Iterate the sections that are damaged, each with a head that is right and as long."""
    for section in sections:
        data = archive.read(section)
        try:
            verify_block(section.cid, data)
        except CorruptBlockError:
            head = encode_section_head(make_link(data), section.size)
            if len(head) == section.start - section.offset:
                yield section, head
        except InvalidCIDError:
            pass
