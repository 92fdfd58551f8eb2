"""``ipldstore merge``: a revision is merged, or the conflicts that are in the way are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ipldstore.basics.words import printable
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.tools.repositories import opened_repository
from ipldstore.errors import CommitConflictError
from ipldstore.formats.cidobject import CID
from ipldstore.model.merging import Conflict


def merge_revision(
    revision: str,
    into: str | None,
    where: str,
    repository: str,
    *,
    message: str | None,
    author: str | None,
    metadata: Mapping[str, str],
    resolve: Literal["ours", "theirs"] | None,
) -> tuple[dict[str, Any], list[str]]:
    """Merge a revision into a branch, and return what came of it as facts and as lines."""
    with interruptible(KEPT), opened_repository(where, repository) as repo:
        branch = repo.default if into is None else into
        other, before = repo.find(revision), repo.branches.get(branch)
        text = f"Merge {revision} into {branch}" if message is None else message
        try:
            made = repo.merge(
                other, branch, message=text, author=author, metadata=metadata, resolve=resolve
            )
        except CommitConflictError as error:
            return _refuse(branch, error.conflicts)
        root = repo.show(made).root
    say(_describe(revision, branch, made, before, other))
    return {"branch": branch, "commit": str(made), "root": str(root), "conflicts": []}, [str(made)]


def _describe(revision: str, branch: str, made: CID, before: CID | None, other: CID) -> str:
    if made == before:
        return f"branch {branch!r} has {revision!r} already"
    if made == other:
        return f"branch {branch!r} moved on to {revision!r}"
    return f"merged {revision!r} into branch {branch!r}"


def _refuse(branch: str, conflicts: tuple[Conflict, ...]) -> tuple[dict[str, Any], list[str]]:
    say(
        f"nothing is merged: {count_text(len(conflicts), 'conflict')}, of which --ours keeps what "
        f"{branch!r} has, and --theirs takes the other"
    )
    found = [_facts(conflict) for conflict in conflicts]
    facts = {"branch": branch, "commit": None, "root": None, "conflicts": found}
    return facts, [_line(conflict) for conflict in conflicts]


def _facts(conflict: Conflict) -> dict[str, Any]:
    chunk = None if conflict.chunk is None else list(conflict.chunk)
    return {**conflict._asdict(), "chunk": chunk}


def _line(conflict: Conflict) -> str:
    place = {
        "node": conflict.path or ".",
        "attribute": f"{conflict.path or '.'} {conflict.name}",
    }.get(conflict.kind, conflict.name)
    return f"{conflict.kind:9} {printable(place)}: {printable(conflict.why)}"
