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
    pages from a page, in a block of either.
    """

    __slots__ = ("cid", "faults", "inner", "is_list", "levels", "size")

    def __init__(self, cid: Link, *, size: int | None = None, is_list: bool = False) -> None:
        self.cid = cid
        self.size = size
        self.is_list = is_list
        self.inner: list[tuple[str, Parent]] = []
        self.faults: list[tuple[str, Fault]] = []
        self.levels = 0


class _Trace:
    """The ways on which a parent is reached."""

    __slots__ = ("count", "depth", "prefixes")

    def __init__(self) -> None:
        self.count = 0
        self.depth = 0
        self.prefixes: list[str] = []

    def add(self, count: int, depth: int, prefixes: Iterable[str]) -> None:
        self.count += count
        self.depth = max(self.depth, depth)
        for prefix in prefixes:
            if len(self.prefixes) < MAX_KEYS and prefix.count("/") < MAX_SEGMENTS:
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
            trace = found.setdefault(fault, _Trace())
            trace.add(here.count, 0, (prefix + ending for prefix in here.prefixes))
        for label, inner in () if is_too_deep else parent.inner:
            depth = here.depth + label.count("/")
            prefixes = (prefix + label for prefix in here.prefixes)
            traces.setdefault(inner, _Trace()).add(here.count, depth, prefixes)
    problems = [
        Problem(
            fault.kind,
            to_text(fault.cid),
            tuple(sorted(trace.prefixes)),
            trace.count,
            fault.message,
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
