"""Versions as they are shown: what a commit says of itself, and which led to which."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from ipldstore.basics.words import printable
from ipldstore.cid import Link
from ipldstore.formats.cidobject import CID
from ipldstore.history.commit import Commit
from ipldstore.history.graph import Graph
from ipldstore.history.state import State
from ipldstore.views.ancestry import SHORT, Drawn, draw_html, iter_ancestry_lines

_SHOWN = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(microseconds: int) -> datetime:
    """Return a time, in UTC, that is given in microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


@dataclass(frozen=True, repr=False)
class Version:
    """A version of a repository.

    Attributes
    ----------
    cid : CID
        Its commit.
    root : CID
        The root of its hierarchy.
    parents : tuple of CID
        The commits before it, the branch's own first.
    message, author : str
        What changed, and who did it.
    time : datetime
        When it was made, in UTC.
    metadata : Mapping
        What else is said of it.
    refs : tuple of str
        The branches and tags that are at it.
    """

    cid: CID
    root: CID
    parents: tuple[CID, ...]
    message: str
    author: str
    time: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    refs: tuple[str, ...] = ()

    def __str__(self) -> str:
        facts = {
            "commit": str(self.cid),
            "refs": ", ".join(self.refs),
            "root": str(self.root),
            "parents": ", ".join(map(str, self.parents)),
            "time": f"{self.time:%Y-%m-%d %H:%M:%S} UTC",
            "author": self.author,
            **{f"{name}:": f"{value}" for name, value in self.metadata.items()},
        }
        lines = [f"{name:8} {value}" for name, value in facts.items() if value]
        message = [f"    {line}" for line in self.message.splitlines()]
        return "\n".join(map(printable, [*lines, *([""] * bool(message)), *message]))

    def __repr__(self) -> str:
        first = next(iter(self.message.splitlines()), "")
        return f"<Version {str(self.cid)[:SHORT]} {self.time:%Y-%m-%d %H:%M} {first[:72]!r}>"

    @classmethod
    def of(cls, link: Link, commit: Commit, state: State) -> Version:
        """Make one of a commit, with the names that a state has for it."""
        return cls(
            cid=CID(link),
            root=CID(commit.root),
            parents=tuple(map(CID, commit.parents)),
            message=commit.message,
            author=commit.author,
            time=time_of(commit.time),
            metadata=commit.metadata,
            refs=names_of(state, link),
        )


def names_of(state: State, link: Link) -> tuple[str, ...]:
    """Return the branches and tags that are at a commit, branches first."""
    return tuple(
        name for refs in (state.branches, state.tags) for name in sorted(refs) if refs[name] == link
    )


class Log:
    """The versions that led to some, the last first; see `Repository.log`."""

    def __init__(self, graph: Graph, tips: Collection[Link], state: State) -> None:
        self._graph = graph
        self._tips = tips
        self._state = state

    def __iter__(self) -> Iterator[Version]:
        for link, commit in self._graph.iter_ancestors(self._tips):
            yield Version.of(link, commit, self._state)

    def draw(self, most: int | None = None) -> str:
        """Draw which version came from which, a line for each of so many; None for all."""
        return "\n".join(self.iter_lines(most))

    def iter_lines(self, most: int | None = None, *, ascii_only: bool = False) -> Iterator[str]:
        """Iterate the lines of the drawing as the versions are loaded.

        Parameters
        ----------
        most
            How many versions are drawn at most; None for all.
        ascii_only
            Whether to draw with ASCII characters only, and to spell out all others.
        """
        return iter_ancestry_lines(self._drawn(most), ascii_only=ascii_only)

    def _drawn(self, most: int | None) -> Iterator[Drawn]:
        found = self._graph.iter_ancestors(self._tips)
        for link, commit in islice(found, most):
            yield Drawn(
                link,
                self._graph.parents(link),
                str(CID(link)),
                names_of(self._state, link),
                time_of(commit.time),
                commit.author,
                commit.message,
            )

    def __str__(self) -> str:
        return self.draw()

    def __repr__(self) -> str:
        return f"{self.draw(_SHOWN)}{self._rest()}"

    def _rest(self) -> str:
        rest = next(islice(iter(self), _SHOWN, None), None)
        return "" if rest is None else "\n... and more: print(log) draws all of them"

    def _repr_html_(self) -> str:
        return draw_html(self._drawn(_SHOWN))
