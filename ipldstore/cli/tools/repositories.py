"""The repositories that the commands work on, and how they show versions."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import typer

from ipldstore.cli.tools.blocks import open_blocks
from ipldstore.errors import RepositoryNotFoundError
from ipldstore.repository.log import Version
from ipldstore.repository.repository import Repository

MADE_BY = " (option --blocks): `ipldstore init` makes one with a repository"


@contextmanager
def opened_repository(where: str, name: str) -> Iterator[Repository]:
    """Open a repository in the blocks that ``--blocks`` names."""
    with open_blocks(where, named_by=MADE_BY) as blocks:
        yield Repository(blocks, name)


@contextmanager
def opened_whole(where: str, name: str) -> Iterator[Repository]:
    """`opened_repository`, where no hierarchy is named."""
    try:
        with opened_repository(where, name) as repo:
            yield repo
    except RepositoryNotFoundError as error:
        error.add_note("or name a ROOT, such as a CID or FILE.car")
        raise


def read_metadata(pairs: Sequence[str] | None) -> dict[str, str]:
    """Read what ``--metadata`` gives, each as KEY=VALUE."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"expected KEY=VALUE after --metadata, not {pair!r}")
        if key in found:
            raise typer.BadParameter(f"--metadata has {key!r} twice")
        found[key] = value
    return found


def version_facts(version: Version) -> dict[str, Any]:
    """Return what a commit says of itself, as JSON has it."""
    return {
        "commit": str(version.cid),
        "root": str(version.root),
        "parents": [str(parent) for parent in version.parents],
        "refs": list(version.refs),
        "time": time_fact(version.time),
        "author": version.author,
        "message": version.message,
        "metadata": json_of(version.metadata),
    }


def time_fact(time: datetime) -> str:
    """Write a time in UTC as JSON has it, which is also a date of a revision."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_text(time: datetime) -> str:
    """Write a time in UTC for people."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def json_of(value: Any) -> Any:
    """Return an IPLD value without links as one of JSON, byte strings as DAG-JSON has them."""
    if isinstance(value, Mapping):
        return {key: json_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_of(item) for item in value]
    if isinstance(value, bytes):
        return {"/": {"bytes": base64.b64encode(value).decode().rstrip("=")}}
    return value
