"""What both sides of a merge changed in different ways, and who settles it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

Side: TypeAlias = Literal["ours", "theirs"]
SIDES: tuple[Side, Side] = ("ours", "theirs")

_MAX_LINES = 10
_MAX_NAMES = 8
_MAX_NAME_LENGTH = 100


class Conflict(NamedTuple):
    """Something that both sides of a merge changed in different ways.

    Attributes
    ----------
    kind : str
        ``"chunk"``, ``"attribute"``, ``"document"`` or ``"node"``: an array, a group, or another
        directory with all below it.
    path : str
        The path of the array or group, empty for the root.
    name : str
        The name of the attribute; the key of the document or chunk; empty for a node.
    chunk : tuple of int or None
        The place of the chunk in the array's grid.
    why : str
        What was done to it.
    """

    kind: Literal["chunk", "attribute", "document", "node"]
    path: str
    name: str = ""
    chunk: tuple[int, ...] | None = None
    why: str = ""


Resolve: TypeAlias = "Side | Callable[[Conflict], Side | None]"
"""Whose value counts in a conflict; None, from a callable, leaves the conflict."""


def settle(bases: Sequence[Any], ours: Any, theirs: Any) -> Side | None:
    """Say which of two values counts, given those that both came from; None in a conflict."""
    if ours == theirs or all(base == theirs for base in bases):
        return "ours"
    return "theirs" if all(base == ours for base in bases) else None


def explain(bases: Sequence[Any], ours: Any, theirs: Any) -> str:
    """Say why two values, None where there is none, are in conflict."""
    if ours is None:
        return "deleted by ours, changed by theirs"
    if theirs is None:
        return "deleted by theirs, changed by ours"
    return "added by both" if all(base is None for base in bases) else "changed by both"


def check_resolve(resolve: Resolve | None) -> None:
    """Raise `ValueError` or `TypeError` if nothing can be settled so."""
    if isinstance(resolve, str):
        if resolve not in SIDES:
            raise ValueError(f"resolve={resolve!r}: expected 'ours' or 'theirs'")
    elif not (resolve is None or callable(resolve)):
        raise TypeError(
            f"resolve is of type {type(resolve).__name__}: "
            f"expected 'ours', 'theirs' or a function of a conflict"
        )


class Resolver:
    """Asks how conflicts are settled, and keeps those that are not."""

    def __init__(self, resolve: Resolve | None) -> None:
        check_resolve(resolve)
        self._resolve = resolve
        self.conflicts: list[Conflict] = []

    def ask(self, conflict: Conflict) -> Side:
        """Return whose value counts; an unsettled conflict is kept, and "ours" stands in."""
        answer = self._resolve(conflict) if callable(self._resolve) else self._resolve
        if answer is None:
            self.conflicts.append(conflict)
            return "ours"
        if answer not in SIDES:
            raise (ValueError if isinstance(answer, str) else TypeError)(
                f"resolve returned {answer!r} for {conflict}: expected 'ours', 'theirs' or None"
            )
        return answer


def describe(conflicts: Iterable[Conflict]) -> str:
    """Return a text of a few lines that names conflicts, chunks by their ranges."""
    groups = groupby(sorted(conflicts, key=_rank), key=lambda conflict: _rank(conflict)[:3])
    lines: list[str] = []
    left = 0
    for _, group in groups:
        if len(lines) < _MAX_LINES:
            lines.append(_line(list(group)))
        else:
            left += sum(1 for _ in group)
    return "\n".join([*lines, f"and {left:,} more"] if left else lines)


_KINDS = ("node", "document", "attribute", "chunk")


def _rank(conflict: Conflict) -> tuple[Any, ...]:
    kind, path, name, chunk, why = conflict
    return path, _KINDS.index(kind), why, chunk or (), name


def _line(group: list[Conflict]) -> str:
    kind, path, _, _, why = group[0]
    place = _quoted(path) if path else "the root"
    if kind == "node":
        return f"{place}: {why}"
    places = [conflict.chunk for conflict in group if conflict.chunk is not None]
    if kind == "chunk" and len(places) == len(group):
        named = _ranges(places)
    else:
        named = [_quoted(conflict.name) for conflict in group]
    more = f" and {len(named) - _MAX_NAMES:,} more" if len(named) > _MAX_NAMES else ""
    plural = "s" if len(group) > 1 else ""
    count = f" ({len(group):,})" if kind == "chunk" and len(group) > 1 else ""
    return f"{place}: {kind}{plural} {', '.join(named[:_MAX_NAMES])}{more}{count}: {why}"


def _quoted(text: str) -> str:
    is_short = len(text) <= _MAX_NAME_LENGTH
    return repr(text if is_short else f"{text[: _MAX_NAME_LENGTH - 1]}…")


def _ranges(places: list[tuple[int, ...]]) -> list[str]:
    """Write sorted places of chunks, those in a row along the last dimension as one range."""
    breaks = [0, *(at for at, pair in enumerate(pairwise(places), 1) if not _follows(*pair))]
    ends = [*breaks[1:], len(places)]
    return [_range(places[start], places[end - 1]) for start, end in zip(breaks, ends, strict=True)]


def _follows(place: tuple[int, ...], following: tuple[int, ...]) -> bool:
    return bool(place) and (*place[:-1], place[-1] + 1) == following


def _range(first: tuple[int, ...], last: tuple[int, ...]) -> str:
    parts = [str(number) for number in first]
    if first != last:
        parts[-1] = f"{first[-1]}-{last[-1]}"
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
