"""The nodes that a tree knows to be in the block store, because it loaded or put them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from ipldstore.cid import DAG_CBOR, Link, codec_of
from ipldstore.errors import BlockNotFoundError
from ipldstore.limits import MAX_KEPT_LINKS
from ipldstore.tree.decode import decode_directory, decode_document, decode_stub
from ipldstore.tree.documents import Document
from ipldstore.tree.encode import Encoder, Put
from ipldstore.tree.keys import METADATA_NAMES
from ipldstore.tree.nodes import Directory, Entry, Page, PageList, is_inlined
from ipldstore.tree.pages import Load, load_pages

_FIRST_BOUND = 1024


class Kept:
    """The CIDs of nodes that were loaded or put; of too many, those that came last.

    Of nodes that the hierarchy no longer names it is freed now and then, each time that as many
    have come as were left the last time.
    """

    def __init__(self) -> None:
        self._links: dict[Link, None] = {}
        self._bound = _FIRST_BOUND

    @property
    def links(self) -> list[Link]:
        """The CIDs."""
        return list(self._links)

    def add(self, link: Link) -> None:
        """Add a node."""
        self._links[link] = None
        if len(self._links) > MAX_KEPT_LINKS:
            self._links = dict.fromkeys(islice(self._links, MAX_KEPT_LINKS // 2, None))

    def forget(self, links: Collection[Link]) -> None:
        """Remove nodes."""
        self._links = {link: None for link in self._links if link not in links}

    def prune(self, root: Link | None, top: Directory | None, name: Put) -> None:
        """Forget what a hierarchy does not name, if it is time to do so."""
        if len(self._links) > self._bound:
            named = set(iter_named(root, top, name))
            self._links = {link: None for link in self._links if link in named}
            self._bound = max(_FIRST_BOUND, 2 * len(self._links))


def iter_named(root: Link | None, top: Directory | None, name: Put) -> Iterator[Link]:
    """Iterate the nodes that a hierarchy in memory names, as far as it is loaded.

    Parameters
    ----------
    root, top
        Its root, None while it is not frozen, and its root directory, None while not loaded.
    name
        Returns the CID that a dag-cbor block has.
    """
    if root is not None:
        yield root
    stack = [] if top is None else [top]
    while stack:
        directory = stack.pop()
        if directory.stub is not None and (link := decode_stub(directory.stub)) is not None:
            yield link
        maps: Iterable[dict[str, Entry]] = [directory.entries]
        if (pages := directory.pages) is not None:
            yield from _lists_of(pages, name)
            yield from _iter_page_links(pages)
            maps = _iter_maps(pages)
        for entries in maps:
            yield from _iter_entries(entries, name)
            stack += [entry for entry in entries.values() if isinstance(entry, Directory)]


def _iter_entries(entries: dict[str, Entry], name: Put) -> Iterator[Link]:
    for entry in entries.values():
        if isinstance(entry, Link):
            if codec_of(entry) == DAG_CBOR:
                yield entry
        elif isinstance(entry, Document) and not is_inlined(entry.encoded, entry.depth):
            yield name(entry.encoded)


def _iter_maps(pages: PageList) -> Iterator[dict[str, Entry]]:
    for child in pages.children:
        if isinstance(child, Page):
            yield child.entries
        elif isinstance(child, PageList):
            yield from _iter_maps(child)


def _iter_page_links(pages: PageList) -> Iterator[Link]:
    for child in pages.children:
        if isinstance(child, PageList):
            yield from _iter_page_links(child)
        elif (link := child.link if isinstance(child, Page) else child) is not None:
            yield link


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


def touch_loaded(top: Directory, lost: Collection[Link], load: Load) -> None:
    """Mark all nodes that are loaded to be encoded and put anew, once those that are lost are.

    Raises
    ------
    BlockNotFoundError
        If one that is lost is not loaded.
    """
    stack = [("", top)]
    while stack:
        path, directory = stack.pop()
        directory.stub = None
        try:
            for entries in _touch_maps(directory, lost, load):
                _load_lost(entries, lost, load)
                stack += [
                    (f"{path}{segment}/", entry)
                    for segment, entry in entries.items()
                    if isinstance(entry, Directory)
                ]
        except BlockNotFoundError as error:
            raise BlockNotFoundError(
                f"{error}: it belongs to {path or 'the root'!r} and was there when this store "
                "loaded or put it: put it back, or remove what it belongs to"
            ) from error


def _touch_maps(
    directory: Directory, lost: Collection[Link], load: Load
) -> Iterator[dict[str, Entry]]:
    if not isinstance(directory.content, PageList):
        yield directory.content
        return
    for page in load_pages(directory.content, lost, load):
        page.link = None
        yield page.entries


def _load_lost(entries: dict[str, Entry], lost: Collection[Link], load: Load) -> None:
    for segment, entry in entries.items():
        if isinstance(entry, Link) and entry in lost:
            data = load(entry)
            entries[segment] = (
                decode_document(entry, data)
                if segment in METADATA_NAMES
                else decode_directory(entry, data)
            )
