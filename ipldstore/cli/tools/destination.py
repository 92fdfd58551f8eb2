"""Files and folders that appear only when they are complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipldstore.basics.urls import show_url
from ipldstore.cli.frame.interruption import BEGUN_ANEW, current_interruption
from ipldstore.store.archive import check_place


@contextmanager
def appearing(destination: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a path beside a destination, to be renamed to it at the end, or removed on an error."""
    _check_place(destination, overwrite=overwrite)
    temporary = destination.with_name(f".ipldstore-{secrets.token_hex(8)}.partial")
    attempt = _Attempt(destination, temporary)
    interruption = current_interruption()
    with interruption.explained(attempt.outcome):
        try:
            yield temporary
            _check_place(destination, overwrite=overwrite)
            attempt.is_at_its_end = True
            (os.replace if overwrite else os.rename)(temporary, destination)
            interruption.note_finished(attempt.outcome())
        except BaseException:
            with interruption.cleaning_up():
                _remove(temporary)
            raise


@dataclass
class _Attempt:
    """A file or folder that is being made, and what has become of it."""

    destination: Path
    temporary: Path
    is_at_its_end: bool = False

    def outcome(self) -> str:
        if os.path.lexists(self.temporary):
            return (
                f"{str(self.destination)!r} was not made, and {str(self.temporary)!r} is left, "
                f"which may be removed; {BEGUN_ANEW}"
            )
        if self.is_at_its_end and os.path.lexists(self.destination):
            return f"{str(self.destination)!r} was made, and is complete"
        return f"{str(self.destination)!r} was not made; {BEGUN_ANEW}"


def _check_place(destination: Path, *, overwrite: bool) -> None:
    if overwrite:
        check_place(destination, overwrite=True)
        return
    check_free(destination)
    if not destination.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder to put {show_url(str(destination))!r} in")


def check_free(destination: Path) -> None:
    """Raise `FileExistsError` if there is something."""
    if os.path.lexists(destination):
        raise FileExistsError(f"{str(destination)!r} exists and is not written over")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
