"""Where in a hierarchy faults are: the keys they concern, found once all blocks were looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ipldstore.cid import Link, to_text
from ipldstore.limits import MAX_SEGMENTS
from ipldstore.verifying.report import Problem

MAX_KEYS = 10
"""How many keys a problem names; a chunk may be that of millions of keys."""


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """Something wrong with a block, wherever it stands."""

    kind: str
    cid: Link
    message: str


class Parent:
    """A block that leads to others.

    `inner` are the blocks below it that lead to others themselves, each under what the keys below
    it begin with: empty, or segments with a slash after each. `faults` are what is wrong directly
    below it, or with itself, and the keys' ends. `levels` is how many directories stand within each
    other in the block, `size` the bytes of content in a block of a file. `is_list` tells a list of
    pages from a page, in a block of either. `version` says which commit the block is, None
    if it is none. Commits below stand under None, as they concern no key.
    """

    __slots__ = ("cid", "faults", "inner", "is_list", "levels", "size", "version")

    def __init__(self, cid: Link, *, size: int | None = None, is_list: bool = False) -> None:
        self.cid = cid
        self.size = size
        self.is_list = is_list
        self.version: str | None = None
        self.inner: list[tuple[str | None, Parent]] = []
        self.faults: list[tuple[str | None, Fault]] = []
        self.levels = 0


class _Trace:
    """The ways on which a parent is reached."""

    __slots__ = ("count", "depth", "prefixes", "versions")

    def __init__(self) -> None:
        self.count = 0
        self.depth = 0
        self.prefixes: list[str] = []
        self.versions: list[str] = []

    def follow(self, here: _Trace, parent: Parent, label: str | None) -> None:
        """Add the ways that lead through a parent, and there to what stands under a label."""
        for version in here.versions if parent.version is None else [parent.version]:
            if len(self.versions) < MAX_KEYS and version not in self.versions:
                self.versions.append(version)
        if label is None:
            return
        if parent.version is not None:
            self.add(1, 0, [label])
            return
        prefixes = (prefix + label for prefix in here.prefixes)
        self.add(here.count, here.depth + label.count("/"), prefixes)

    def add(self, count: int, depth: int, prefixes: Iterable[str]) -> None:
        self.count += count
        self.depth = max(self.depth, depth)
        for prefix in prefixes:
            is_known = len(self.prefixes) >= MAX_KEYS or prefix in self.prefixes
            if not is_known and prefix.count("/") < MAX_SEGMENTS:
                self.prefixes.append(prefix)


def find_problems(root: Parent) -> list[Problem]:
    """Return what is wrong in a hierarchy, with the keys that each fault concerns, sorted.

    Shared blocks are passed once, so that it takes no longer than there are links. What is nested
    too deep is reported once, at the first block on its way that is, and not what lies below.
    """
    traces: dict[Parent, _Trace] = {root: _Trace()}
    traces[root].add(1, 0, [""])
    found: dict[Fault, _Trace] = {}
    for parent in _parents_first(root):
        here = traces.pop(parent, None)
        if here is None:
            continue
        is_too_deep = here.depth + parent.levels >= MAX_SEGMENTS
        faults = [("", _too_deep(parent.cid))] if is_too_deep else parent.faults
        for ending, fault in faults:
            found.setdefault(fault, _Trace()).follow(here, parent, ending)
        for label, inner in () if is_too_deep else parent.inner:
            traces.setdefault(inner, _Trace()).follow(here, parent, label)
    problems = [
        Problem(
            fault.kind,
            to_text(fault.cid),
            tuple(sorted(trace.prefixes)),
            trace.count,
            fault.message,
            tuple(trace.versions),
        )
        for fault, trace in found.items()
    ]
    return sorted(problems, key=lambda problem: (problem.keys, problem.cid, problem.message))


def _too_deep(cid: Link) -> Fault:
    message = f"block {to_text(cid)}: directories nested so that keys have more segments than "
    return Fault("limit", cid, f"{message}the {MAX_SEGMENTS} that are allowed")


def _parents_first(root: Parent) -> Iterator[Parent]:
    """Iterate all parents below one, each after all that lead to it."""
    ordered: list[Parent] = []
    seen = {root}
    stack = [(root, iter(root.inner))]
    while stack:
        parent, inner = stack[-1]
        for _, child in inner:
            if child not in seen:
                seen.add(child)
                stack.append((child, iter(child.inner)))
                break
        else:
            ordered.append(parent)
            stack.pop()
    return reversed(ordered)
