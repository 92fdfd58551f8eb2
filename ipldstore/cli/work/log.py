"""``ipldstore log``: versions as they are loaded, as facts or as lines of a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ipldstore.cli.frame.output import is_ascii_only, is_json, say
from ipldstore.cli.tools.repositories import opened_repository, version_facts


def iter_log(
    revision: str | None, where: str, repository: str, *, every: bool, most: int | None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Iterate versions as facts, or the lines of their drawing, of which some are of no version."""
    with opened_repository(where, repository) as repo:
        log = repo.log(revision, all=every)
        if is_json():
            for version in islice(log, most):
                yield version_facts(version), ""
            return
        is_empty = most != 0
        for line in log.iter_lines(most, ascii_only=is_ascii_only()):
            is_empty = False
            yield {}, line
        if is_empty:
            say(f"branch {repo.default!r} has no commit yet: the first one makes it")
