"""``ipldstore show``: one version, and what it changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ipldstore.basics.words import printable
from ipldstore.cli.tools.repositories import (
    json_of,
    opened_repository,
    time_text,
    version_facts,
)
from ipldstore.cli.work.diff import sum_up
from ipldstore.diffing import diff
from ipldstore.errors import RevisionError
from ipldstore.repository.log import Version
from ipldstore.repository.repository import Repository
from ipldstore.store.hierarchy import Hierarchy


def show_version(
    revision: str | None, where: str, repository: str
) -> tuple[dict[str, Any], list[str]]:
    """Return a commit and what it changed, as facts and as lines."""
    with opened_repository(where, repository) as repo:
        version = repo.show(revision)
        changes, counted = _changes_of(repo, version)
    lines = [*_iter_lines(version), "", *counted]
    return {**version_facts(version), "changes": changes}, lines


def _changes_of(repo: Repository, version: Version) -> tuple[dict[str, Any] | None, list[str]]:
    """Count what a version changed; None, and a line that says so, where its parents are gone."""
    before = Hierarchy(repo.blocks, read_only=True)
    if version.parents:
        try:
            parent = repo.show(f"{version.cid}^")
        except RevisionError as error:
            return None, [f"what changed is not known: {error}"]
        before = Hierarchy(repo.blocks, root=parent.root, read_only=True)
    return sum_up(diff(before, version.root, repo.blocks))


def _iter_lines(version: Version) -> Iterator[str]:
    yield f"commit    {version.cid}"
    yield f"root      {version.root}"
    for parent in version.parents:
        yield f"parent    {parent}"
    if version.refs:
        yield f"refs      {', '.join(map(printable, version.refs))}"
    yield f"time      {time_text(version.time)}"
    if version.author:
        yield f"author    {printable(version.author)}"
    for key, value in version.metadata.items():
        text = value if isinstance(value, str) else json.dumps(json_of(value))
        yield f"metadata  {printable(key)}={printable(text)}"
    if version.message:
        yield ""
    for line in version.message.splitlines():
        yield f"    {printable(line)}".rstrip()
