"""``ipldstore operations``: what moved the branches and tags of a repository."""

from __future__ import annotations

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import show_each


def operations(
    repository: RepositoryName = REPOSITORY, where: Where = BLOCKS, json: Json = False
) -> None:
    """List what moved branches and tags, the last first: time, kind, where it is since, name."""
    from ipldstore.cli.work.operations import iter_operations

    show_each(iter_operations(where, repository))
