"""`export` and `import`: files, pipes, broken archives and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import ABSENT_ROOT, CLASSIC_ROOT, CONSOLIDATED_ROOT

PROGRAM = [sys.executable, "-m", "ipldstore"]


def test_from_one_folder_into_another_through_a_pipe(call: Any, consolidated: Path) -> None:
    call("put", "consolidated.zarr")
    exporting = subprocess.Popen(
        [*PROGRAM, "export", CONSOLIDATED_ROOT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    importing = subprocess.run(
        [*PROGRAM, "import", "--blocks", "other"],
        stdin=exporting.stdout,
        capture_output=True,
        check=False,
    )
    _, said = exporting.communicate()
    assert exporting.returncode == 0
    assert said == b"exported 2 blocks as an archive of 560 bytes\n"
    assert importing.returncode == 0
    assert importing.stdout == f"{CONSOLIDATED_ROOT}\n".encode()
    assert importing.stderr == b"imported a hierarchy of 2 blocks, 426 bytes\n"
    assert call("get", CONSOLIDATED_ROOT, "back", "--blocks", "other").code == 0


@pytest.mark.parametrize(
    ("folder", "root", "size"),
    [("classic.zarr", CLASSIC_ROOT, 356), ("consolidated.zarr", CONSOLIDATED_ROOT, 560)],
)
def test_known_sizes(
    folder: str, root: str, size: int, call: Any, classic: Path, consolidated: Path
) -> None:
    call("put", folder)
    exported = call("export", root, "-")
    assert (exported.code, len(exported.out)) == (0, size)
    assert call("export", root, "x.car") == (
        0,
        b"",
        f"exported 2 blocks as an archive of {size} bytes\n",
    )
    assert Path("x.car").read_bytes() == exported.out
    assert call("import", "x.car", "--blocks", "other").out == f"{root}\n".encode()


def test_only_what_is_new(call: Any, classic: Path, consolidated: Path) -> None:
    for folder in ("consolidated.zarr", "classic.zarr"):
        call("put", folder)
    whole = call("export", CLASSIC_ROOT).out
    part = call("export", CLASSIC_ROOT, "new.car", "--since", CONSOLIDATED_ROOT)
    assert (part.code, part.out) == (0, b"")
    assert Path("new.car").stat().st_size < len(whole)
    assert call("import", "new.car", "--blocks", "empty").code == 3
    call("put", "consolidated.zarr", "--blocks", "other")
    assert call("import", "new.car", "--blocks", "other").code == 0
    assert call("verify", CLASSIC_ROOT, "--blocks", "other").code == 0
    assert call("export", CLASSIC_ROOT, "--since", ABSENT_ROOT).code == 3
    assert call("export", CLASSIC_ROOT, "--since", "no CID").code == 2


def test_export_over_something(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    Path("x.car").write_bytes(b"mine")
    assert call("export", CLASSIC_ROOT, "x.car").code == 1
    assert Path("x.car").read_bytes() == b"mine"


def test_export_without_a_chunk_writes_nothing(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    for path in Path("blocks").glob("*/*.data"):
        if path.stat().st_size == 24:
            path.unlink()
    for file in ("-", "x.car"):
        exported = call("export", CLASSIC_ROOT, file)
        assert (exported.code, exported.out) == (3, b"")
    assert sorted(os.listdir()) == ["blocks", "classic.zarr"]


def test_export_of_a_corrupt_block(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    for path in Path("blocks").glob("*/*.data"):
        path.write_bytes(b"x" * path.stat().st_size)
    exported = call("export", CLASSIC_ROOT, "x.car")
    assert (exported.code, exported.out) == (4, b"")
    assert exported.err.startswith(f"error: block {CLASSIC_ROOT}")
    assert not Path("x.car").exists()


def test_export_of_a_root_that_is_not_there(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    assert call("export", ABSENT_ROOT, "x.car").code == 3


def test_import_of_broken_archives(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    archive = call("export", CLASSIC_ROOT, "-").out
    for broken in (b"", b"no archive", archive[:-1], archive[:-1] + b"x"):
        imported = call("import", "--blocks", "other", stdin=broken)
        assert (imported.code, imported.out) == (4, b"")
        assert imported.err.startswith("error: ")
        assert imported.err.count("\n") == 1


def test_import_of_an_incomplete_archive(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    archive = call("export", CLASSIC_ROOT, "-").out
    chunk_section = 1 + 36 + 24
    imported = call("import", "--blocks", "other", stdin=archive[:-chunk_section])
    assert (imported.code, imported.out) == (3, b"")
    assert "archive is incomplete under its root" in imported.err


def test_import_of_a_file_that_is_not_there(call: Any) -> None:
    imported = call("import", "no.car")
    assert imported == (3, b"", "error: No such file or directory: 'no.car'\n")
    assert not Path("blocks").exists()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let child processes be interrupted, which those of a background job are not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_import_can_be_repeated(call: Any, workplace: Path) -> None:
    folder = workplace / "z"
    folder.mkdir()
    (folder / ".zgroup").write_bytes(b'{"zarr_format":2}')
    for number in range(8):
        (folder / str(number)).write_bytes(bytes([number]) * (1 << 18))
    root = call("put", "z").out
    archive = call("export", root.decode().strip(), "-").out
    process = subprocess.Popen(
        [*PROGRAM, "import", "--blocks", "other"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(archive[: 1 << 20])  # more than a pipe holds: the import has begun
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err == (b"interrupted: blocks written so far stay, run the command again to go on\n")
    assert call("import", "--blocks", "other", stdin=archive).out == root
