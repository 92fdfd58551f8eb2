"""``ipldstore push``, ``pull`` and ``clone``, done and told."""

from __future__ import annotations

from typing import Any, Literal

from ipldstore.basics.urls import show_url
from ipldstore.cli.frame.interruption import KEPT, interruptible
from ipldstore.cli.frame.output import count_text, say
from ipldstore.cli.tools.blocks import open_blocks
from ipldstore.cli.tools.progress import as_totals, progress
from ipldstore.cli.tools.repositories import opened_repository
from ipldstore.errors import RepositoryNotFoundError
from ipldstore.repository.carrying import Carried
from ipldstore.repository.repository import Repository


def carry(
    kind: Literal["push", "pull"],
    other: str,
    where: str,
    name: str,
    revision: str | None,
    *,
    to: str | None,
    depth: int | None,
    force: bool,
) -> dict[str, Any]:
    """Carry a revision to or from another repository, and return what came of it as facts."""
    with (
        interruptible(KEPT),
        opened_repository(where, name) as repo,
        open_blocks(other, named_by="") as blocks,
    ):
        there = _open_other(blocks, name, other)
        label = "pushing" if kind == "push" else "pulling"
        with progress(label, None) as advance:
            done = (repo.push if kind == "push" else repo.pull)(
                there, revision, to=to, depth=depth, force=force, progress=as_totals(advance)
            )
    place = show_url(other if kind == "push" else where)
    say(_describe(done, place))
    return {
        "ref": done.ref,
        "commit": str(done.commit),
        "before": None if done.before is None else str(done.before),
        "commits": done.commits,
        **done.copied._asdict(),
    }


def _open_other(blocks: Any, name: str, place: str) -> Repository:
    try:
        return Repository(blocks, name)
    except RepositoryNotFoundError as error:
        error.add_note(f"`ipldstore clone` makes one with all of another, `ipldstore init {place}`")
        raise


def _describe(done: Carried, place: str) -> str:
    if done.before == done.commit:
        return f"{done.ref!r} in {place} is at this commit already"
    commits = count_text(done.commits, "commit")
    blocks = count_text(done.copied.blocks, "block")
    return f"{done.ref!r} in {place} is at this commit now: carried {commits}, {blocks}"


def clone_repository(source: str, where: str, name: str, depth: int | None) -> dict[str, Any]:
    """Clone a repository, and return what came of it as facts."""
    with (
        interruptible(KEPT),
        opened_repository(source, name) as repo,
        open_blocks(where, make=True) as blocks,
        progress("cloning", None) as advance,
    ):
        clone = Repository.clone(repo, blocks, name, depth=depth, progress=as_totals(advance))
        state, branches, tags = clone.cid, clone.branches, clone.tags
    say(
        f"made repository {name!r} in {show_url(where)}, with all branches and tags of that in "
        f"{show_url(source)}"
    )
    return {
        "blocks": show_url(where),
        "repository": name,
        "state": str(state),
        "branches": {branch: str(commit) for branch, commit in branches.items()},
        "tags": {tag: str(commit) for tag, commit in tags.items()},
    }
