"""The nodes that a tree knows to be in the block store, because it loaded or put them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice

from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.dag import links_of
from ipldstore.errors import BlockNotFoundError
from ipldstore.limits import MAX_KEPT_LINKS
from ipldstore.tree.decode import link_of
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Encoder, Put
from ipldstore.tree.nodes import Directory, Entries, Entry, Page, PageList, is_inlined, made_of
from ipldstore.tree.pages import Load

_BOUND = 1024


class Kept:
    """The CIDs of nodes that were loaded or put; of too many, those that came last.

    What was replaced by something else is forgotten, now and then: it may stand elsewhere too.
    """

    def __init__(self) -> None:
        self._links: dict[Link, None] = {}
        self._replaced: set[Link] = set()

    @property
    def links(self) -> list[Link]:
        """The CIDs."""
        return list(self._links)

    def __contains__(self, link: Link) -> bool:
        return link in self._links

    def add(self, link: Link) -> None:
        """Add a node."""
        self._links[link] = None
        self._replaced.discard(link)
        if len(self._links) > MAX_KEPT_LINKS:
            self._links = dict.fromkeys(islice(self._links, MAX_KEPT_LINKS // 2, None))

    def forget(self, links: Collection[Link]) -> None:
        """Remove nodes."""
        self._links = {link: None for link in self._links if link not in links}

    def note_replaced(self, links: Iterable[Link]) -> None:
        """Note nodes that may not be named any more."""
        self._replaced.update(links)

    def note_removed(self, entry: Entry) -> None:
        """Note the nodes of an entry that is about to be removed, as far as it is loaded."""
        if isinstance(entry, Directory):
            self.note_replaced(_iter_unloaded(entry))
            self.note_replaced(_iter_stubs(entry))
        elif isinstance(entry, Link):
            self.note_replaced([entry])

    def prune(self, root: Link | None, top: Directory | None, name: Put) -> None:
        """Forget what was replaced and is not named by what is loaded, if it is time to do so."""
        if len(self._replaced) > _BOUND:
            named = chain(iter_loaded(root, top, name), _iter_unloaded(top))
            self.forget(self._replaced.difference(named))
            self._replaced = set()


def iter_loaded(root: Link | None, top: Directory | None, name: Put) -> Iterator[Link]:
    """Iterate the nodes of a hierarchy in memory that are loaded and have not changed.

    The root is None while it is not frozen, the root directory while it is not loaded. `name`
    returns the CID that a dag-cbor block has.
    """
    if root is not None:
        yield root
    yield from _iter_stubs(top)
    for directory, maps in _iter_directories(top):
        if (pages := directory.pages) is not None:
            yield from _lists_of(pages, name)
        for entries in maps:
            for entry in made_of(entries).values():
                if isinstance(entry, Document) and not is_inlined(entry.encoded, entry.depth):
                    yield name(entry.encoded)


def _iter_stubs(top: Directory | None) -> Iterator[Link]:
    """Iterate the blocks of the directories and pages that are loaded and have not changed."""
    for directory, _ in _iter_directories(top):
        if (link := link_of(directory)) is not None:
            yield link
        for part in _iter_parts(directory.pages):
            if not isinstance(part, Link) and part.link is not None:
                yield part.link


def _iter_unloaded(top: Directory | None) -> Iterator[Link]:
    for directory, maps in _iter_directories(top):
        for part in _iter_parts(directory.pages):
            if isinstance(part, Link):
                yield part
        for entries in maps:
            for entry in entries.values():
                if isinstance(entry, Link) and codec_of(entry) == DAG_CBOR:
                    yield entry


def _iter_directories(top: Directory | None) -> Iterator[tuple[Directory, list[Entries]]]:
    """Iterate the directories that are loaded, with those maps of their entries that are."""
    stack = [] if top is None else [top]
    while stack:
        directory = stack.pop()
        pages = directory.pages
        maps = [part.entries for part in _iter_parts(pages) if isinstance(part, Page)]
        if pages is None:
            maps = [directory.entries]
        for entries in maps:
            stack += [entry for entry in made_of(entries).values() if isinstance(entry, Directory)]
        yield directory, maps


def _iter_parts(pages: PageList | None) -> Iterator[Link | Page | PageList]:
    """Iterate pages and lists, those that are not loaded as links, lists after what is in them."""
    for child in () if pages is None else pages.children:
        if isinstance(child, PageList):
            yield from _iter_parts(child)
        yield child


def _lists_of(pages: PageList, name: Put) -> list[Link]:
    """Return the blocks that a long list of pages, none of which has changed, is in."""
    if any(isinstance(child, PageList) or _is_changed(child) for child in pages.children):
        return []
    made: list[Link] = []

    def note(data: bytes) -> Link:
        made.append(name(data))
        return made[-1]

    Encoder(_refuse, note).encode_list(pages)
    return made


def _is_changed(child: Link | Page | PageList) -> bool:
    return isinstance(child, Page) and child.link is None


def _refuse(link: Link) -> bytes:
    raise AssertionError(link)


def iter_values(top: Directory | None) -> Iterator[Link]:
    """Iterate the values in directories that are loaded, but documents in directories."""
    for _, maps in _iter_directories(top):
        for entries in maps:
            for entry in entries.values():
                if isinstance(entry, Link) and codec_of(entry) != DAG_CBOR:
                    yield entry


def is_marked(top: Directory) -> bool:
    """Whether anything loaded below the root directory is to be encoded anew."""
    return any(
        (directory.stub is None and directory is not top)
        or any(map(_is_changed, _iter_parts(directory.pages)))
        for directory, _ in _iter_directories(top)
    )


def touch_loaded(top: Directory) -> None:
    """Mark all nodes that are loaded to be encoded and put anew."""
    for directory, _ in _iter_directories(top):
        directory.stub = None
        for part in _iter_parts(directory.pages):
            if isinstance(part, Page):
                part.link = None


def renew_unloaded(
    top: Directory,
    kept: Kept,
    lost: Collection[Link],
    load: Load,
    put: Callable[[Link, bytes], None],
) -> None:
    """Put those lost nodes again that are not in memory, where they can be had elsewhere.

    Below a node that is not loaded others may stand: those that are kept are looked through. Raises
    `BlockNotFoundError` if one can be had nowhere.
    """
    seen: set[Link] = set()
    stack = list(_iter_unloaded(top))
    while stack:
        link = stack.pop()
        if link in seen or link not in kept:
            continue
        seen.add(link)
        data = _load_lost(link, load) if link in lost else load(link)
        if link in lost:
            put(link, data)
        stack += [child for child in links_of(link, data) if codec_of(child) == DAG_CBOR]


def _load_lost(link: Link, load: Load) -> bytes:
    try:
        return load(link)
    except BlockNotFoundError as error:
        raise BlockNotFoundError(
            f"{error}: it is a directory, or a part of one, that was there when this store loaded "
            "or put it; put it back, write all again into a new store, or open an earlier root"
        ) from error
