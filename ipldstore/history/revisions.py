"""Text that names a commit: a ref or a CID, and how far back from there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Literal, NamedTuple

from ipldstore.cid import Link, parse_text, to_text
from ipldstore.errors import InvalidCIDError, InvalidNameError, RevisionError
from ipldstore.formats.cidtext import fault_of
from ipldstore.history.graph import Graph
from ipldstore.history.names import check_ref_name
from ipldstore.history.state import State

PREFIX_LENGTH = len("bafyrei") + 4
"""Characters of the beginning of a commit's CID, at least: all of sha2-256 share seven."""

EXPECTED = "NAME, CID, ~N, ^N and @DATE, as in main~2"

_SHOWN = 200
_SHOWN_NAMES, _SHOWN_MATCHES = 10, 5
_PLURALS = {"branch": "branches", "tag": "tags"}
_START = re.compile(r"[^~^@]*")
_STEP = re.compile(r"([~^])([0-9]{0,18})|(@)([^~^@]*)")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_PREFIX = re.compile(r"bafy[a-z2-7]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Step(NamedTuple):
    """A step from a commit to one before it: "~", "^" or "@", how far, and as it was written."""

    kind: str
    number: int
    text: str


@dataclass(frozen=True)
class Revision:
    """A revision that was taken apart.

    Attributes
    ----------
    text
        As it was written.
    start
        A `Link`, the name of a branch or tag, or the beginning of a CID; empty for the default
        branch.
    steps
        How it goes on from there.
    """

    text: str
    start: Link | str
    steps: tuple[Step, ...] = ()

    @property
    def is_prefix(self) -> bool:
        """Whether it starts with the beginning of a CID."""
        return isinstance(self.start, str) and _PREFIX.match(self.start) is not None


def parse_revision(text: str) -> Revision:
    """Take a revision apart.

    It starts with the name of a branch or tag, a commit's CID, or at least 11 characters of one;
    with nothing, it starts with the default branch. Any number of steps may follow: ``~N`` goes N
    first parents back, ``^N`` to the N-th parent, and ``@DATE`` along first parents to the last
    commit that is not after a day, UTC, or a time. Raises `RevisionError` if it is none of these.
    """
    if not isinstance(text, str):
        raise RevisionError(f"a revision is {type(text).__name__}, expected str")
    start = _START.match(text)
    assert start is not None
    return Revision(text, _read_start(start[0], text), tuple(_read_steps(text, start.end())))


def _read_start(start: str, text: str) -> Link | str:
    if not start:
        if not text:
            raise RevisionError("an empty text is no revision: the default branch is '~0'")
        return start
    try:
        return parse_text(start)
    except InvalidCIDError:
        pass
    if start.startswith(("bafy", "bafk")):
        _check_prefix(start)
        return start
    try:
        check_ref_name(start)
    except InvalidNameError as error:
        raise RevisionError(f"{_show(text)} is no revision: {error}") from None
    return start


def _check_prefix(start: str) -> None:
    if _PREFIX.fullmatch(start) is None or len(start) > len(to_text(Link(b"\1\x71" + bytes(34)))):
        raise RevisionError(f"{_show(start)} is no commit's CID: {fault_of(start, 'cut short')}")
    if len(start) < PREFIX_LENGTH:
        raise RevisionError(
            f"{start!r} has {len(start)} characters: the beginning of a commit's CID needs "
            f"{PREFIX_LENGTH}, as the first {PREFIX_LENGTH - 4} are the same in all"
        )


def _read_steps(text: str, position: int) -> list[Step]:
    steps = []
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise RevisionError(
                f"{_show(text)} is no revision: {text[position:][:20]!r} at character "
                f"{position + 1}, expected ~N, ^N or @DATE"
            )
        date = found[4]
        number = int(found[2] or 1) if date is None else _read_date(date, text, found.start(4))
        steps.append(Step(found[1] or found[3], number, found[0]))
        position = found.end()
    return steps


def _read_date(date: str, text: str, position: int) -> int:
    """Return the last microsecond of a day, or the one of a time."""
    try:
        if _DATE.fullmatch(date) is None:
            raise ValueError("expected a day such as 2026-01-05, or 2026-01-05T12:30Z")
        time = datetime.fromisoformat(date)
    except ValueError as error:
        raise RevisionError(
            f"{_show(text)} is no revision: {date[:40]!r} at character {position + 1} is no "
            f"date: {error}"
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    since = (time - _EPOCH) // _MICROSECOND
    return since if "T" in date else since + timedelta(days=1) // _MICROSECOND - 1


def resolve_revision(revision: Revision, state: State, graph: Graph) -> Link:
    """Return the commit that a revision names.

    Raises
    ------
    RevisionError
        If there is none, or the beginning of a CID is that of several.
    BlockNotFoundError, InvalidNodeError
        If a commit on the way cannot be had; and what else the graph raises.
    """
    link = _find_start(revision, state, graph)
    walked = _START.match(revision.text)[0]  # type: ignore[index]
    for step in revision.steps:
        where = _show(walked) if walked else "the default branch"
        link = _TAKE[step.kind](graph, link, step, where)
        walked += step.text
    return link


def _find_start(revision: Revision, state: State, graph: Graph) -> Link:
    start = revision.start
    if isinstance(start, Link):
        graph.commit(start)
        return start
    if revision.is_prefix:
        return _find_prefix(start, state, graph)
    name = start or state.default
    link = state.branches.get(name) or state.tags.get(name)
    if link is None:
        raise no_ref(name, state)
    return link


def no_ref(name: str, state: State) -> RevisionError:
    """Return the error of a name that is of no branch or tag; it says what there is."""
    names = sorted({*state.branches, *state.tags})
    if name == state.default and name not in names:
        fault = f"the default branch {name!r} has no commit yet"
    else:
        fault = f"the repository has no branch or tag {_show(name)}"
    return RevisionError(f"{fault}{suggest(name, names)} {_list_all_refs(state)}")


def no_branch(name: str, state: State) -> RevisionError:
    """Return the error of a name that is of no branch; it says which there are."""
    shown = list_refs("branch", state.branches)
    if name in state.tags:
        return RevisionError(f"{name!r} is a tag, which never moves, expected a branch: {shown}")
    guess = suggest(name, state.branches)
    return RevisionError(f"there is no branch {name!r} in the repository{guess} {shown}")


def _list_all_refs(state: State) -> str:
    if not state.branches and not state.tags:
        return "the repository has no branch or tag"
    return f"{list_refs('branch', state.branches)}; {list_refs('tag', state.tags)}"


def suggest(name: str, names: Iterable[str]) -> str:
    """Return what leads from a name that is none of some to these: a colon, or the one like it."""
    near = get_close_matches(name, names, 1) if isinstance(name, str) else []
    return f": did you mean {near[0]!r}?" if near else ":"


def list_refs(kind: Literal["branch", "tag"], refs: Iterable[str]) -> str:
    """Say which branches or tags a repository has, the first of them."""
    names = sorted(refs)
    if not names:
        return f"it has no {kind}"
    if len(names) == 1:
        return f"it has one {kind}, {names[0]!r}"
    shown = ", ".join(map(repr, names[:_SHOWN_NAMES]))
    more = len(names) - _SHOWN_NAMES
    return f"its {_PLURALS[kind]} are {shown}{f' and {more:,} more' if more > 0 else ''}"


def _find_prefix(prefix: str, state: State, graph: Graph) -> Link:
    tips = {*state.branches.values(), *state.tags.values()}
    matches = (
        (link, commit)
        for link, commit in graph.iter_ancestors(tips)
        if to_text(link).startswith(prefix)
    )
    found = list(islice(matches, _SHOWN_MATCHES + 1))
    if not found:
        raise RevisionError(
            f"no commit's CID begins with {prefix!r} in the repository: {_list_all_refs(state)}"
        )
    if len(found) > 1:
        shown = ", ".join(
            f"{link} {_first_line(commit.message)!r}" for link, commit in found[:_SHOWN_MATCHES]
        )
        more = " and more" if len(found) > _SHOWN_MATCHES else ""
        raise RevisionError(f"several commits' CIDs begin with {prefix!r}: {shown}{more}")
    return found[0][0]


def _first_line(message: str) -> str:
    return next(iter(message.splitlines()), "")[:_SHOWN]


def _go_back(graph: Graph, link: Link, step: Step, where: str) -> Link:
    """Go some first parents back."""
    for count, (found, _) in enumerate(graph.iter_first_parents(link)):
        if count == step.number:
            return found
    raise RevisionError(
        f"{step.text!r} goes {step.number} commits back from {where}, which has {count} before it "
        f"along first parents{_say_shallow(graph, found)}"
    )


def _go_to_parent(graph: Graph, link: Link, step: Step, where: str) -> Link:
    parents = graph.parents(link)
    if step.number == 0:
        return link
    if step.number > len(parents):
        raise RevisionError(
            f"{step.text!r} is parent {step.number} of {where}, which has "
            f"{len(parents) or 'none'}{_say_shallow(graph, link)}"
        )
    return parents[step.number - 1]


def _go_to_time(graph: Graph, link: Link, step: Step, where: str) -> Link:
    """Go along first parents to the first that was not made after a time."""
    for found, commit in graph.iter_first_parents(link):
        if commit.time <= step.number:
            return found
    raise RevisionError(
        f"{step.text!r} is before {where} began, of which the first commit, {found}, is of "
        f"{_show_time(commit.time)}{_say_shallow(graph, found)}"
    )


_TAKE = {"~": _go_back, "^": _go_to_parent, "@": _go_to_time}


def _say_shallow(graph: Graph, link: Link) -> str:
    return f": the parents of {link} were let go" if link in graph.shallow else ""


def _show_time(time: int) -> str:
    return (_EPOCH + time * _MICROSECOND).isoformat().replace("+00:00", "Z")


def _show(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
