"""Two changes of one version, committed one after the other: what becomes of both, side by side.

Each pair of changes is made through zarr-python in two sessions that begin from one commit. The
second is committed after the first: in Icechunk by a rebase that detects conflicts, here by the
commit itself. Then both changes are looked for in what the branch has.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import icechunk
import numpy as np
import zarr

import ipldstore

warnings.simplefilter("ignore")

Act = Callable[[zarr.Group], Any]
Seen = Callable[[zarr.Group], bool]


class Change(NamedTuple):
    """Something that is done to a group, and whether it can be seen there afterwards."""

    act: Act
    is_seen: Seen


def array(group: zarr.Group, name: str, size: int = 40) -> zarr.Array[Any]:
    return group.create_array(name, shape=(size,), chunks=(10,), dtype="i4", fill_value=0)


def prepare(group: zarr.Group) -> None:
    group.attrs.update({"title": "t", "source": "s"})
    x = array(group, "x")
    x[:] = np.arange(40)
    x.attrs.update({"units": "m", "note": "n"})
    array(group.create_group("g"), "y")[:] = 1


def write(path: str, start: int, value: int) -> Change:
    def act(group: zarr.Group) -> None:
        group[path][start : start + 10] = value

    return Change(act, lambda group: path in group and _has(group[path], start, value))


def _has(found: Any, start: int, value: int) -> bool:
    if not isinstance(found, zarr.Array):
        return False
    part = found[start : start + 10]
    return part.size == 10 and bool((part == value).all())


def attribute(path: str, name: str, value: Any) -> Change:
    def act(group: zarr.Group) -> None:
        (group[path] if path else group).attrs[name] = value

    def is_seen(group: zarr.Group) -> bool:
        return (path in group if path else True) and (
            (group[path] if path else group).attrs.get(name) == value
        )

    return Change(act, is_seen)


def resize(size: int) -> Change:
    return Change(
        lambda group: group["x"].resize((size,)), lambda group: group["x"].shape == (size,)
    )


def append(value: int) -> Change:
    return Change(
        lambda group: group["x"].append(np.full(10, value, dtype="i4")),
        lambda group: group["x"].shape == (50,) and _has(group["x"], 40, value),
    )


def delete(path: str) -> Change:
    def act(group: zarr.Group) -> None:
        del group[path]

    return Change(act, lambda group: path not in group)


def recreate(size: int) -> Change:
    def act(group: zarr.Group) -> None:
        del group["x"]
        array(group, "x", size)[:] = 5

    return Change(act, lambda group: group["x"].shape == (size,) and _has(group["x"], 0, 5))


def add_array(path: str, value: int) -> Change:
    def act(group: zarr.Group) -> None:
        array(group, path)[:] = value

    return Change(act, lambda group: path in group and _has(group[path], 0, value))


def add_group(path: str) -> Change:
    return Change(
        lambda group: group.create_group(path),
        lambda group: path in group and isinstance(group[path], zarr.Group),
    )


def consolidated(change: Change, path: str) -> Change:
    """Have a change consolidate the metadata, and be seen in that."""

    def act(group: zarr.Group) -> None:
        change.act(group)
        zarr.consolidate_metadata(group.store)

    def is_seen(group: zarr.Group) -> bool:
        opened = zarr.open_consolidated(group.store, mode="r")
        return path in dict(opened.arrays()) and change.is_seen(opened)

    return Change(act, is_seen)


PAIRS: dict[str, tuple[Change, Change]] = {
    "two chunks": (write("x", 0, 7), write("x", 20, 8)),
    "the same chunk": (write("x", 0, 7), write("x", 0, 8)),
    "the same chunk, the same value": (write("x", 0, 7), write("x", 0, 7)),
    "chunk, growth": (write("x", 0, 7), resize(80)),
    "growth, chunk": (resize(80), write("x", 0, 7)),
    "chunk, append": (write("x", 0, 7), append(9)),
    "append, another append": (append(8), append(9)),
    "chunk, shrinking": (write("x", 30, 7), resize(20)),
    "growth, other growth": (resize(80), resize(60)),
    "growth, the same growth": (resize(80), resize(80)),
    "two attributes of a group": (attribute("", "title", "a"), attribute("", "source", "b")),
    "the same attribute": (attribute("", "title", "a"), attribute("", "title", "b")),
    "two attributes of an array": (attribute("x", "units", "km"), attribute("x", "note", "b")),
    "attribute, chunk": (attribute("x", "note", "b"), write("x", 0, 7)),
    "attribute, growth": (attribute("x", "note", "b"), resize(80)),
    "units, chunk": (attribute("x", "units", "km"), write("x", 0, 7)),
    "append, append of zeros": (append(8), append(0)),
    "zeros, made anew": (write("x", 30, 0), recreate(40)),
    "deletion, chunk": (delete("x"), write("x", 0, 7)),
    "chunk, deletion": (write("x", 0, 7), delete("x")),
    "deletion, attribute": (delete("x"), attribute("x", "units", "km")),
    "deletion of a group, chunk in it": (delete("g"), write("g/y", 0, 7)),
    "chunk, made anew with another shape": (write("x", 0, 7), recreate(30)),
    "two new arrays": (add_array("a", 1), add_array("b", 2)),
    "two new arrays, consolidated": (
        consolidated(add_array("a", 1), "a"),
        consolidated(add_array("b", 2), "b"),
    ),
    "new arrays of one name": (add_array("a", 1), add_array("a", 2)),
    "new group and array of one name": (add_group("a"), add_array("a", 2)),
    "deletion of both sides": (delete("x"), delete("x")),
}


class Peer:
    """Icechunk: the second session is rebased and committed, if its conflicts can be solved."""

    conflict: type[Exception] = icechunk.RebaseFailedError

    def __init__(self) -> None:
        self._repo = icechunk.Repository.create(icechunk.in_memory_storage())

    def begin(self) -> Any:
        return self._repo.writable_session("main")

    def commit(self, session: Any) -> None:
        try:
            session.commit("change")
        except icechunk.ConflictError:
            session.rebase(icechunk.ConflictDetector())
            session.commit("change")

    def store(self, session: Any) -> Any:
        return session.store

    def read(self) -> Any:
        return self._repo.readonly_session("main").store


class Ours:
    """A repository, whose commits merge."""

    conflict: type[Exception] = ipldstore.CommitConflictError

    def __init__(self) -> None:
        self._repo = ipldstore.Repository.create(ipldstore.MappingCAStore())

    def begin(self) -> Any:
        return self._repo.writable()

    def commit(self, session: Any) -> None:
        with contextlib.suppress(ipldstore.NoChangesError):
            session.commit("change")

    def store(self, session: Any) -> Any:
        return session

    def read(self) -> Any:
        return self._repo.readonly()


def try_pair(peer: Any, pair: tuple[Change, Change]) -> str:
    """Say what became of two changes."""
    first = peer.begin()
    prepare(zarr.open_group(peer.store(first), mode="w"))
    peer.commit(first)
    sessions = peer.begin(), peer.begin()
    try:
        _act(peer, sessions, pair)
    except TypeError:
        return "cannot be done"
    peer.commit(sessions[0])
    try:
        peer.commit(sessions[1])
    except peer.conflict:
        return "conflict"
    except Exception as error:
        return f"refused: {type(error).__name__}"
    group = zarr.open_group(peer.read(), mode="r", use_consolidated=False)
    lost = [
        name
        for name, change in zip(("first", "second"), pair, strict=True)
        if not _seen(change, group)
    ]
    return f"lost the {' and the '.join(lost)}" if lost else "both"


def _act(peer: Any, sessions: tuple[Any, Any], pair: tuple[Change, Change]) -> None:
    for session, change in zip(sessions, pair, strict=True):
        change.act(zarr.open_group(peer.store(session), mode="r+", use_consolidated=False))


def _seen(change: Change, group: zarr.Group) -> bool:
    try:
        return change.is_seen(group)
    except (KeyError, ValueError):
        return False


def iter_rows() -> Iterator[tuple[str, str, str]]:
    for name, pair in PAIRS.items():
        yield name, try_pair(Ours(), pair), try_pair(Peer(), pair)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = list(iter_rows())
    if parser.parse_args().json:
        print(
            json.dumps(
                [dict(zip(("pair", "ipldstore", "icechunk"), row, strict=True)) for row in rows]
            )
        )
        return
    print("| first, then second | ipldstore | Icechunk |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
