"""``ipldstore operations``: what moved the branches and tags of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipldstore.basics.words import printable
from ipldstore.cli.tools.repositories import opened_repository, time_fact, time_text
from ipldstore.repository.operations import Done


def iter_operations(where: str, repository: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate the operations as facts and as lines, the last first."""
    with opened_repository(where, repository) as repo:
        for done in repo.operations():
            yield operation_facts(done), operation_line(done)


def operation_facts(done: Done) -> dict[str, Any]:
    """Return an operation as JSON has it."""
    return {
        "state": str(done.state),
        "kind": done.kind,
        "ref": done.ref,
        "before": None if done.before is None else str(done.before),
        "after": None if done.after is None else str(done.after),
        "time": time_fact(done.time),
    }


def operation_line(done: Done) -> str:
    """Return an operation as a line, with the commit in full, which `reset` takes."""
    after = "-" if done.after is None else str(done.after)
    kind = printable(done.kind)
    return f"{time_text(done.time)}  {kind:7} {after:59} {printable(done.ref or '-')}"
