"""``ipldstore expire``: earlier commits are let go."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ipldstore.cli.frame.options import BLOCKS, REPOSITORY, Json, RepositoryName, Where
from ipldstore.cli.frame.output import count_text, say, show

_DAYS = re.compile("([0-9]{1,5})d")


def expire(
    keep_last: Annotated[
        int | None,
        typer.Option("--keep-last", metavar="N", min=1, help="Keep so many commits of a branch."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Keep what is younger, too: 30d for days, or a date, which begins at 0:00 UTC.",
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option("--branch", metavar="NAME", help="Of this branch alone; else of all."),
    ] = None,
    repository: RepositoryName = REPOSITORY,
    where: Where = BLOCKS,
    json: Json = False,
) -> None:
    """Let earlier commits go. What tags are for stays, and so do all blocks."""
    from ipldstore.cli.tools.repositories import opened_repository

    if keep_last is None and older_than is None:
        raise typer.BadParameter("expected --keep-last or --older-than, or both")
    limit = None if older_than is None else _parse_age(older_than)
    with opened_repository(where, repository) as repo:
        done = repo.expire(keep_last=keep_last, older_than=limit, branch=branch)
    say(f"{count_text(done.kept, 'commit')} left, {done.let_go:,} let go")
    show(done._asdict(), str(done.let_go))


def _parse_age(text: str) -> datetime | timedelta:
    if found := _DAYS.fullmatch(text):
        return timedelta(days=int(found[1]))
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected days such as 30d, or a date such as 2026-01-05, not {text!r}",
            param_hint="--older-than",
        ) from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
