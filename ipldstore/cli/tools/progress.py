"""Progress bars, on standard error, while a terminal watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from ipldstore.cli.frame.escaping import unescaped

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Advance: TypeAlias = Callable[[int], None]
"""Told how much more is done."""


def is_watched() -> bool:
    """Whether standard error is a terminal that can show a bar."""
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


@contextmanager
def progress(label: str, total: int | None, *, unit: str = "bytes") -> Iterator[Advance]:
    """Show a progress bar, which is told how much more is done; the total is None if unknown."""
    if not is_watched():
        yield lambda amount: None
        return
    with _make_bar(unit) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)


def as_totals(advance: Advance) -> Callable[[int, int], None]:
    """Return what takes the blocks and bytes done so far, and tells how many bytes these add."""
    told = 0

    def update(blocks: int, size: int) -> None:
        nonlocal told
        advance(size - told)
        told = size

    return update


class CountedStream:
    """A binary stream that tells how many bytes go through it."""

    def __init__(self, stream: BinaryIO, advance: Advance) -> None:
        self._stream = stream
        self._advance = advance

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._advance(len(data))
        return data

    def write(self, data: bytes) -> int:
        count = self._stream.write(data)
        self._advance(count)
        return count


def _make_bar(unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    in_bytes = unit == "bytes"
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TransferSpeedColumn() if in_bytes else _make_rate(unit),
        TimeRemainingColumn(),
        console=Console(file=unescaped(sys.stderr)),
        transient=True,
    )


def _make_rate(unit: str) -> ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("?" if speed is None else f"{speed:,.0f} {unit}/s", "progress.data.speed")

    return Rate()
