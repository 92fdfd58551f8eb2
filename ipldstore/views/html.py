"""A hierarchy as HTML, for notebooks: `to_html`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING

from ipldstore.basics.words import number_text, printable, size_text
from ipldstore.cid import to_text
from ipldstore.model.outline import Outline
from ipldstore.store.outline import outline
from ipldstore.views.style import STYLE
from ipldstore.views.words import chunk_shape_text, count_text, shape_text, type_text

if TYPE_CHECKING:
    from ipldstore.store.hierarchy import Hierarchy

MAX_ROWS = 300
"""Groups and arrays that are shown."""

MAX_OPEN_ROWS = 40
"""Up to so many, all groups are unfolded, else the first level only."""

LOCAL_NODES = 64
NETWORK_NODES = 20
"""Blocks that are loaded for a view: in a fraction of a second, or in some turns on a network."""

_MAX_TEXT_LENGTH = 500


def to_html(store: Hierarchy) -> str:
    """Show the groups and arrays of a hierarchy as an HTML element, without scripts.

    A hierarchy that cannot be read shows why; no error is raised. Few blocks are loaded for it.
    """
    try:
        is_local = store.blocks.is_local
        found = outline(store, max_nodes=LOCAL_NODES if is_local else NETWORK_NODES)
        facts, body = _facts_of(found), _tree(found)
    except Exception as error:
        facts, body = [], _element("div", _text(f"{type(error).__name__}: {error}"), "error")
    head = _element("dl", _terms([*_identity(store), *facts]))
    return _element("div", f"<style>{STYLE}</style>{head}{body}", "ipldstore")


def _identity(store: Hierarchy) -> list[tuple[str, str]]:
    """Say which hierarchy it is, and where."""
    root = store.reader.root
    if root is None:
        named = _text("not frozen: freeze() gives the root CID")
    else:
        named = _element("code", _text(to_text(root)), "cid")
    place = _element("code", _text(_tell(lambda: repr(store.blocks))))
    access = "read-only" if store.read_only else "writable"
    return [("Root", named), ("Blocks", f"{place}, {access}")]


def _tell(say: Callable[[], str]) -> str:
    try:
        return say()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _facts_of(found: Outline) -> list[tuple[str, str]]:
    nodes = list(found.walk())
    kinds = [node.kind for node in nodes[found.kind != "array" :]]
    counts = [
        f"{number} {noun}{'s' * (number != 1)}"
        for noun in ("group", "array")
        if (number := kinds.count(noun))
    ]
    text = ", ".join(counts) or "no groups or arrays"
    if found.stored_bytes:
        text += f", {size_text(found.stored_bytes)} in chunks"
    if not all(node.is_loaded for node in nodes):
        text += ", not all loaded"
    return [("Content", _text(text))]


def _tree(found: Outline) -> str:
    nodes = list(found.walk())
    is_small = len(nodes) <= MAX_OPEN_ROWS
    shown = {id(node) for node in nodes[:MAX_ROWS]}
    if found.kind == "array":
        rows = _row(found, shown, is_open=True)
    else:
        rows = _rows(found.children, shown, is_small)
    more = len(nodes) - len(shown)
    if more:
        rows += _element("li", _text(f"and {more:,} more"), "more")
    attributes = _element("dl", _terms(_attributes(found))) if found.kind != "array" else ""
    return attributes + _element("ul", rows, "tree")


def _rows(nodes: Iterable[Outline], shown: set[int], is_open: bool) -> str:
    return "".join(_row(node, shown, is_open=is_open) for node in nodes if id(node) in shown)


def _row(node: Outline, shown: set[int], *, is_open: bool) -> str:
    if node.kind == "array":
        summary, below = _array_cells(node), _element("dl", _terms(_details(node)))
        return _item("array", summary, below)
    below = ""
    if node.attributes:
        below = _element("dl", _terms(_attributes(node)))
    if node.children:
        below += _element("ul", _rows(node.children, shown, is_open))
    return _item("group", _group_cells(node), below, is_open=is_open)


def _item(kind: str, summary: str, below: str, *, is_open: bool = False) -> str:
    opening = f'<details class="{kind}"' + (' open="">' if is_open else ">")
    return f"<li>{opening}<summary>{summary}</summary>{below}</details></li>"


def _group_cells(node: Outline) -> str:
    return _cells(node, type=_text(type_text(node) if node.kind == "directory" else ""))


def _array_cells(node: Outline) -> str:
    return _cells(
        node,
        shape=_text(_dimensions_text(node)),
        type=_text(type_text(node)),
        count=_bar(node) + _text(count_text(node)),
    )


def _cells(node: Outline, **more: str) -> str:
    size = "" if node.stored_bytes is None else size_text(node.stored_bytes)
    cells = {"name": _text(node.name or "/"), **more, "size": _text(size)}
    return "".join(_element("span", content, kind) for kind, content in cells.items())


def _dimensions_text(node: Outline) -> str:
    if node.shape is None or node.dimensions is None:
        return shape_text(node.shape)
    pairs = zip(node.dimensions, node.shape, strict=True)
    return ", ".join(f"{name or '?'}: {number_text(size)}" for name, size in pairs) or "scalar"


def _bar(node: Outline) -> str:
    """Draw how many chunks there are of those that there can be."""
    if node.chunks_present is None or not node.chunks_possible:
        return ""
    percent = 100 * min(node.chunks_present, node.chunks_possible) // node.chunks_possible
    percent = max(percent, 2) if node.chunks_present else 0
    return f'<span><span style="width:{percent}%"></span></span>'


def _details(node: Outline) -> list[tuple[str, str]]:
    terms = [("chunk shape", _text(chunk_shape_text(node)))]
    if node.cid is not None:
        terms.append(("directory", _element("code", _text(node.cid), "cid")))
    return terms + _attributes(node)


def _attributes(node: Outline) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in node.attributes.items()]


def _terms(terms: Iterable[tuple[str, str]]) -> str:
    """Write names, which are text, and what is said of them, which is HTML."""
    return "".join(_element("dt", _text(name)) + _element("dd", said) for name, said in terms)


def _element(name: str, content: str, kind: str = "") -> str:
    return f'<{name} class="{kind}">{content}</{name}>' if kind else f"<{name}>{content}</{name}>"


def _text(text: str) -> str:
    cut = text if len(text) <= _MAX_TEXT_LENGTH else text[: _MAX_TEXT_LENGTH - 1] + "…"
    return escape(printable(cut))
