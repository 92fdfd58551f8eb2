"""``ipldstore show``: one version, and what it changed."""

from __future__ import annotations

from ipldstore.cli.frame import output
from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Revision, Where


def show(
    revision: Revision = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Show a commit, and count what it changed against its first parent."""
    from ipldstore.cli.work.show import show_version

    facts, lines = show_version(revision, where, repository)
    output.show(facts, *lines)
