"""``ipldstore log``: versions as they are loaded, as facts or as lines of a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ipldstore.cli.frame.output import is_ascii_only, is_json
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
        else:
            for line in log.iter_lines(most, ascii_only=is_ascii_only()):
                yield {}, line
