"""``ipldstore branch`` and ``ipldstore tag``: names for commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import typer

from ipldstore.basics.words import printable
from ipldstore.cli.frame.output import say, show, show_each
from ipldstore.cli.tools.repositories import opened_repository
from ipldstore.errors import RevisionError
from ipldstore.history.state import State
from ipldstore.refs.commits import make_graph
from ipldstore.refs.states import find_state
from ipldstore.repository.repository import Repository
from ipldstore.views.ancestry import SHORT, first_line

Kind: TypeAlias = Literal["branch", "tag"]


def run_refs(
    kind: Kind,
    name: str | None,
    revision: str | None,
    where: str,
    repository: str,
    *,
    delete: bool,
) -> None:
    """List branches or tags, or make or delete the one that is named."""
    if delete and (name is None or revision is not None):
        raise typer.BadParameter(f"expected the name of a {kind} with --delete, and no more")
    with opened_repository(where, repository) as repo:
        if name is None:
            show_each(_iter_refs(repo, kind))
        else:
            facts = _delete(repo, kind, name) if delete else _make(repo, kind, name, revision)
            show(facts, facts["commit"])


def _iter_refs(repo: Repository, kind: Kind) -> Iterator[tuple[dict[str, Any], str]]:
    _, state = find_state(repo.blocks, repo.name)
    graph = make_graph(repo.blocks, state)
    refs = state.branches if kind == "branch" else state.tags
    if kind == "branch" and not refs:
        say(f"there is no branch yet: a commit makes {state.default!r}")
    width = max((len(printable(name)) for name in refs), default=0)
    for name in sorted(refs):
        commit = graph.commit(refs[name])
        facts = _facts(kind, name, str(refs[name]), commit.message, state)
        mark = {"branch": "* " if name == state.default else "  ", "tag": ""}[kind]
        line = f"{mark}{printable(name):{width}}  {facts['commit'][:SHORT]}"
        yield facts, f"{line}  {first_line(commit.message)}".rstrip()


def _facts(kind: Kind, name: str, commit: str, message: str, state: State) -> dict[str, Any]:
    default = {"default": name == state.default} if kind == "branch" else {}
    return {"name": name, "commit": commit, **default, "message": message}


def _make(repo: Repository, kind: Kind, name: str, revision: str | None) -> dict[str, Any]:
    made = (repo.branch if kind == "branch" else repo.tag)(name, revision)
    say(f"made {kind} {name!r}")
    return _facts_of(repo, kind, name, str(made))


def _delete(repo: Repository, kind: Kind, name: str) -> dict[str, Any]:
    if name not in (repo.branches if kind == "branch" else repo.tags):
        raise RevisionError(f"there is no {kind} {name!r}: `ipldstore {kind}` lists them")
    deleted = repo.delete(name)
    say(f"deleted {kind} {name!r}; `ipldstore undo {name}` brings it back")
    return _facts_of(repo, kind, name, str(deleted))


def _facts_of(repo: Repository, kind: Kind, name: str, commit: str) -> dict[str, Any]:
    _, state = find_state(repo.blocks, repo.name)
    return _facts(kind, name, commit, repo.show(commit).message, state)
