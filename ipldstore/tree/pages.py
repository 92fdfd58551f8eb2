"""Paged directories: find the page of a segment, and iterate pages, loading what is reached."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from ipldstore.cid import Link
from ipldstore.errors import InvalidNodeError
from ipldstore.limits import MAX_LIST_DEPTH
from ipldstore.tree.decode import decode_pages, link_of
from ipldstore.tree.nodes import Directory, Entries, Entry, Page, PageList, made_of, unpacked
from ipldstore.tree.order import natural_key
from ipldstore.tree.packed import Packed

Load: TypeAlias = Callable[[Link], bytes]

_BEFORE, _AHEAD = 48, 32
_FEW = 3
"""Fewer pages than these tell nothing about those that follow."""


def find_page(pages: PageList, segment: str, load: Load) -> Page:
    """Return the page that holds a segment, or would hold it."""
    key = natural_key(segment)
    end: str | None = None
    for _ in range(MAX_LIST_DEPTH):
        index = max(0, bisect_right(pages.keys, key) - 1)
        child = _load_child(pages, index, end, load)
        if isinstance(child, Page):
            return child
        end = end_of(pages, index, end)
        pages = child
    raise _too_deep()


def pages_ahead(pages: PageList, segment: str, under_way: Collection[Link]) -> list[Link]:
    """Return the pages after that of a segment which are likely to be wanted, too.

    Zarr reads chunks in their order. Where a quarter of the pages just before were wanted, which
    are loaded or under way, some of the next ones will be. Nothing is loaded for that.
    """
    key = natural_key(segment)
    for _ in range(MAX_LIST_DEPTH):
        index = max(0, bisect_right(pages.keys, key) - 1)
        child = pages.children[index]
        if not isinstance(child, PageList):
            break
        pages = child
    before = pages.children[max(0, index - _BEFORE) : index]
    wanted = sum(not isinstance(child, Link) or child in under_way for child in before)
    if wanted < _FEW or wanted * 4 < len(before):
        return []
    after = pages.children[index + 1 : index + 1 + _AHEAD]
    return [child for child in after if isinstance(child, Link)]


def end_of(pages: PageList, index: int, end: str | None) -> str | None:
    """Return the natural key before which a child ends, given where the list itself does."""
    return pages.keys[index + 1] if index + 1 < len(pages.keys) else end


def _too_deep() -> InvalidNodeError:
    return InvalidNodeError(f"lists of pages nested more than {MAX_LIST_DEPTH} levels deep")


def load_page(pages: PageList, index: int, load: Load) -> Page:
    """Return a page of a flat list, loaded; errors as `find_page`."""
    page = _load_child(pages, index, None, load)
    if not isinstance(page, Page):
        raise InvalidNodeError("a list of pages leads to both maps and lists")
    return page


def _load_child(pages: PageList, index: int, end: str | None, load: Load) -> Page | PageList:
    child = pages.children[index]
    if isinstance(child, Link):
        end = end_of(pages, index, end)
        child = decode_pages(child, load(child), pages.firsts[index], end)
        _check_kind(pages, child)
        pages.children[index] = child
    return child


def _check_kind(pages: PageList, child: Page | PageList) -> None:
    if any(not isinstance(other, Link | type(child)) for other in pages.children):
        raise InvalidNodeError("a list of pages leads to both maps and lists")


def iter_pages(
    pages: PageList, load: Load, end: str | None = None, depth: int = 1
) -> Iterator[Page]:
    """Iterate the pages in order, loading each when it is reached; errors as `find_page`."""
    if depth > MAX_LIST_DEPTH:
        raise _too_deep()
    for index in range(len(pages.children)):
        child = _load_child(pages, index, end, load)
        if isinstance(child, Page):
            yield child
        else:
            yield from iter_pages(child, load, end_of(pages, index, end), depth + 1)


def flatten(pages: PageList, load: Load, end: str | None = None, depth: int = 1) -> PageList:
    """Return one list of all pages, having loaded all lists but no further pages."""
    if depth > MAX_LIST_DEPTH:
        raise _too_deep()
    loaded = next((child for child in pages.children if not isinstance(child, Link)), None)
    if isinstance(loaded or _load_child(pages, 0, end, load), Page):
        return pages
    firsts: list[str] = []
    children: list[Link | Page | PageList] = []
    for index in range(len(pages.children)):
        child = _load_child(pages, index, end, load)
        assert isinstance(child, PageList)
        flat = flatten(child, load, end_of(pages, index, end), depth + 1)
        firsts += flat.firsts
        children += flat.children
    return PageList(firsts, children)


def room_of(directory: Directory, segment: str, load: Load) -> Entries:
    """Return the map of entries that holds a segment, or would hold it; errors as `find_page`."""
    content = directory.content
    if isinstance(content, PageList):
        return find_page(content, segment, load).entries
    return content


def writable_room_of(directory: Directory, segment: str, load: Load) -> dict[str, Entry]:
    """Return what `room_of` does, so that any entry can be added or removed."""
    content = directory.content
    if isinstance(content, PageList):
        page = find_page(content, segment, load)
        page.entries = room = unpacked(page.entries)
    else:
        directory.content = room = unpacked(content)
    return room


def put_entry(directory: Directory, segment: str, entry: Entry, load: Load) -> None:
    """Set an entry of a directory, in one step; errors as `find_page`."""
    room = room_of(directory, segment, load)
    if isinstance(room, Packed):
        if room.patch(segment, entry):
            return
        room = writable_room_of(directory, segment, load)
    room[segment] = entry


def touch(
    directory: Directory, segment: str, load: Load, replaced: list[Link] | None = None
) -> None:
    """Mark what holds a segment to be encoded anew.

    The blocks that will be replaced by that are added to `replaced`.
    """
    links = [link_of(directory)]
    directory.stub = None
    content = directory.content
    if isinstance(content, PageList):
        page = find_page(content, segment, load)
        links.append(page.link)
        page.link = None
    if replaced is not None:
        replaced += [link for link in links if link is not None]


def iter_entries(directory: Directory, load: Load) -> Iterator[tuple[str, Entry]]:
    """Iterate segments and entries of a directory in natural order, page by page."""
    content = directory.content
    if isinstance(content, PageList):
        for page in iter_pages(content, load):
            yield from _in_order(page.entries)
    else:
        yield from _in_order(content)


def scan_entries(directory: Directory, load: Load) -> Iterator[tuple[str, Entry]]:
    """Iterate as `iter_entries`, keeping nothing of what is loaded for it."""
    content = directory.content
    if isinstance(content, PageList):
        yield from _scan(content, None, load, 1)
    else:
        yield from _in_order(content)


def scan_for(directory: Directory, segment: str, load: Load) -> Entry | None:
    """Return an entry, None if there is none, keeping nothing of what is loaded for it."""
    node: Directory | Page | PageList = directory.pages or directory
    end = None
    for _ in range(MAX_LIST_DEPTH + 1):
        if not isinstance(node, PageList):
            return node.entries.get(segment)
        index = max(0, bisect_right(node.keys, natural_key(segment)) - 1)
        end = end_of(node, index, end)
        child = node.children[index]
        if isinstance(child, Link):
            child = decode_pages(child, load(child), node.firsts[index], end)
        node = child
    raise _too_deep()


def _scan(pages: PageList, end: str | None, load: Load, depth: int) -> Iterator[tuple[str, Entry]]:
    if depth > MAX_LIST_DEPTH:
        raise _too_deep()
    for index, child in enumerate(pages.children):
        stop = end_of(pages, index, end)
        node = child
        if isinstance(node, Link):
            node = decode_pages(node, load(node), pages.firsts[index], stop)
            _check_kind(pages, node)
        if isinstance(node, Page):
            yield from _in_order(node.entries)
        else:
            yield from _scan(node, stop, load, depth + 1)


def _in_order(entries: Entries) -> list[tuple[str, Entry]]:
    return sorted(entries.items(), key=lambda item: natural_key(item[0]))


def is_empty(directory: Directory) -> bool:
    """Whether a directory has no entries."""
    return _count(directory.content, 1) == 0


def is_single(directory: Directory) -> bool:
    """Whether a directory has one entry and no more."""
    return _count(directory.content, 2) == 1


def _count(content: Entries | Page | PageList | Link, most: int) -> int:
    """Count entries, and stop at so many; in what is not loaded there is one at least."""
    if isinstance(content, Mapping):
        return len(content)
    if isinstance(content, Page):
        return len(content.entries)
    if isinstance(content, Link):
        return most
    count = 0
    for child in content.children:
        count += _count(child, most)
        if count >= most:
            break
    return count


def entries_of(pages: PageList, load: Load) -> dict[str, Entry]:
    """Load all pages and return their entries in one map."""
    entries: dict[str, Entry] = {}
    for page in iter_pages(pages, load):
        entries.update(page.items())
    return entries


def drop_clean(directory: Directory) -> None:
    """Put links in the place of all loaded blocks below a directory that did not change."""
    content = directory.content
    if isinstance(content, PageList):
        _drop_pages(content)
    else:
        _drop_directories(content)


def _drop_pages(pages: PageList) -> None:
    for index, child in enumerate(pages.children):
        if isinstance(child, PageList):
            _drop_pages(child)
        elif isinstance(child, Page):
            if child.link is None:
                _drop_directories(child.entries)
            else:
                pages.children[index] = child.link


def _drop_directories(entries: Entries) -> None:
    made = made_of(entries)
    for segment, entry in made.items():
        if isinstance(entry, Directory):
            link = link_of(entry)
            if link is None:
                drop_clean(entry)
            else:
                made[segment] = link
