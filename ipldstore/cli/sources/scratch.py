"""Temporary files of sources: bounded by the room that there is, and gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipldstore.basics.words import size_text
from ipldstore.cli.frame.interruption import current_interruption
from ipldstore.cli.frame.reporting import CommandError


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a new folder for temporary files, and remove it at the end, also after Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="ipldstore-put-"))
    try:
        yield folder
    finally:
        with current_interruption().cleaning_up():
            shutil.rmtree(folder, ignore_errors=True)


def check_room(size: int, folder: Path, shown: str) -> None:
    """Raise `CommandError` if there is no room for so many bytes in a folder."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise CommandError(
            f"{shown!r} needs {size_text(size)} in {str(folder.parent)!r}, which has "
            f"{size_text(free)} left: make room, or name another folder in TMPDIR"
        )
