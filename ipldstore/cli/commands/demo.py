"""``ipldstore demo``: the whole story on real data."""

from __future__ import annotations

from typing import Annotated

import typer

from ipldstore.cli.frame.options import Json
from ipldstore.cli.frame.output import is_json, show


def demo(
    where: Annotated[
        str | None,
        typer.Option(
            "--blocks", metavar="STORE", help="Keep the blocks here; else in a temporary folder."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the whole story on real data."""
    from ipldstore.cli.work.demo import iter_story

    facts = {}
    for line, known in iter_story(where):
        facts.update(known)
        if not is_json():
            show({}, line)
    if is_json():
        show(facts)
