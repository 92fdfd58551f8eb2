"""Files and folders that appear only when they are complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipldstore.cli.interruption import AGAIN


@contextmanager
def appearing(destination: Path) -> Iterator[Path]:
    """Give a temporary path beside a destination, to be renamed to it at the end.

    Parameters
    ----------
    destination
        The file or folder to make.

    Yields
    ------
    Path
        Where to make it; removed if anything goes wrong.

    Raises
    ------
    FileExistsError
        If the destination exists.
    FileNotFoundError
        If the folder that it goes into does not.
    """
    check_free(destination)
    if not destination.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder to put {str(destination)!r} in")
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        check_free(destination)
        os.rename(temporary, destination)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"{str(destination)!r} was not made, {AGAIN}")
        raise


def check_free(destination: Path) -> None:
    """Raise `FileExistsError` if there is something."""
    if os.path.lexists(destination):
        raise FileExistsError(f"{str(destination)!r} exists and is not written over")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
