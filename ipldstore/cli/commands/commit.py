"""``ipldstore commit``: a root becomes the next version on a branch."""

from __future__ import annotations

from ipldstore.cli.frame.options import (
    BLOCKS,
    REPOSITORY,
    Author,
    Branch,
    Json,
    Message,
    Metadata,
    RepositoryName,
    Root,
    Where,
)
from ipldstore.cli.frame.output import say, show


def commit(
    what: Root,
    message: Message,
    branch: Branch = None,
    author: Author = None,
    metadata: Metadata = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Commit a root whose blocks are in --blocks, in place of what the branch has."""
    from ipldstore.basics.urls import show_url
    from ipldstore.cid import to_text
    from ipldstore.cli.tools.repositories import opened_repository, read_metadata
    from ipldstore.cli.tools.roots import located
    from ipldstore.errors import InvalidCIDError

    said = read_metadata(metadata)
    with opened_repository(where, repository) as repo, located(what, where) as (_, root, path):
        if path:
            raise InvalidCIDError(f"expected a root, not a place under one: {show_url(what)!r}")
        branch = repo.default if branch is None else branch
        made = repo.commit(root, branch, message=message, author=author, metadata=said)
    say(f"committed to branch {branch!r}")
    show({"branch": branch, "commit": str(made), "root": to_text(root)}, str(made))
