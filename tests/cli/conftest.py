"""The command line as a process of its own and, where that is equal, in this process."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from zarr_folders import CLASSIC_FILES, CONSOLIDATED, write_files

from ipldstore.cli import main


class Outcome(NamedTuple):
    code: int
    out: bytes
    err: str


Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("IPLDSTORE_AUTHOR", "IPLDSTORE_BLOCKS", "FORCE_COLOR", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def run() -> Call:
    """Call the command line in a process of its own."""

    def run(*arguments: str, stdin: bytes = b"", code: str | None = None) -> Outcome:
        program = ["-m", "ipldstore"] if code is None else ["-c", code]
        process = subprocess.run(
            [sys.executable, *program, *arguments], input=stdin, capture_output=True, check=False
        )
        return Outcome(process.returncode, process.stdout, process.stderr.decode())

    return run


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Call the command line in this process, which saves importing zarr each time."""

    def call(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ipldstore", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        return Outcome(0 if code is None else int(code), out, err.decode())

    return call


@pytest.fixture
def classic(workplace: Path) -> Path:
    """A Zarr folder whose root CID is known."""
    return write_files(workplace / "classic.zarr", CLASSIC_FILES)


@pytest.fixture
def consolidated(workplace: Path) -> Path:
    """The same with consolidated metadata."""
    files = CLASSIC_FILES | {".zmetadata": CONSOLIDATED.encode()}
    return write_files(workplace / "consolidated.zarr", files)
