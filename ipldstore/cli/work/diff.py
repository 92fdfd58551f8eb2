"""``ipldstore diff``: the keys in which two hierarchies differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ipldstore.basics.words import printable
from ipldstore.cli.frame.output import say
from ipldstore.cli.tools.destination import check_free
from ipldstore.cli.tools.roots import opened_mapping
from ipldstore.comparing import compare
from ipldstore.diffing import Change, diff
from ipldstore.store.hierarchy import Hierarchy

Pair: TypeAlias = tuple[Hierarchy, Hierarchy]
_KINDS = ("added", "removed", "changed")


@contextmanager
def opened_pair(old: str, new: str, where: str) -> Iterator[Pair]:
    """Open two hierarchies, each as in `opened`."""
    with opened_mapping(old, where) as before, opened_mapping(new, where) as after:
        yield before, after


def iter_changes(pair: Pair, array: str | None) -> Iterator[Change]:
    """Iterate the changes between two hierarchies; of an array, its chunks and metadata."""
    if array is not None:
        _check_there(pair, array)
    for change in diff(*pair):
        if array is None or change.array == array or change.key.rpartition("/")[0] == array:
            yield change


def _check_there(pair: Pair, array: str) -> None:
    if not any(side._list_directory(array) for side in pair):
        raise FileNotFoundError(f"no array {array!r} in either hierarchy")


def iter_entries(changes: Iterable[Change]) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate changes as facts and as lines, which hold what happened and the key."""
    for change in changes:
        yield _facts(change), f"{change.kind:7} {printable(change.key)}"


def _facts(change: Change) -> dict[str, Any]:
    facts = change._asdict()
    return {**facts, "chunk": None if change.chunk is None else list(change.chunk)}


def sum_up(changes: Iterable[Change]) -> tuple[dict[str, Any], list[str]]:
    """Count the changes of each array and of all other keys, as facts and as lines."""
    counts: dict[str | None, Counter[str]] = {}
    for change in changes:
        counts.setdefault(change.array, Counter())[change.kind] += 1
    other = counts.pop(None, Counter())
    total = sum(counts.values(), other)
    arrays = {str(path): _kinds(found) for path, found in counts.items()}
    rows = [(printable(path) or ".", found) for path, found in arrays.items()]
    rows += [("other keys", _kinds(other)), ("all", _kinds(total))]
    lines = [_row(_KINDS, "chunks of"), *(_row(found.values(), name) for name, found in rows)]
    return {**_kinds(total), "arrays": arrays, "other": _kinds(other)}, lines


def _kinds(counts: Counter[str]) -> dict[str, int]:
    return {kind: counts[kind] for kind in _KINDS}


def _row(columns: Iterable[object], name: str) -> str:
    return " ".join(f"{column:>9}" for column in columns) + f"  {name}"


def tell(pair: Pair) -> tuple[dict[str, Any], str]:
    """Say what changed of each group and array, as facts and as lines."""
    found = compare(*pair)
    return found.as_dict(), str(found)


def plot(pair: Pair, file: Path, array: str | None) -> dict[str, Any]:
    """Draw which chunks changed, as a PNG or SVG by the file's name, and return what was made."""
    from ipldstore.views.picture import plot_changes

    check_free(file)
    if array is not None:
        _check_there(pair, array)
    plot_changes(*pair, file, array=array)
    say(f"drew {str(file)!r}")
    return {"file": str(file)}
