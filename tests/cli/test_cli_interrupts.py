"""Ctrl-C in the middle: nothing half-made, what is useful is kept, and the command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from stalling_gateway import serving
from zarr_folders import read_files, write_files

from ipldstore.cli.frame.interruption import Interruption
from ipldstore.cli.tools.destination import appearing

PROGRAM = [sys.executable, "-m", "ipldstore"]
CHUNKS = 24
DEADLINE = 30

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process there"),
]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let child processes be interrupted, which those of a background job are not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def dataset(count: int) -> dict[str, bytes]:
    chunks = {f"a/{number}": b"%06d" % number * 500 for number in range(count)}
    return {".zgroup": b'{"zarr_format":2}', **chunks}


@pytest.fixture
def root(call: Any) -> str:
    """A hierarchy of some chunks in the folder of blocks."""
    write_files(Path("z"), dataset(CHUNKS))
    text: str = call("put", "z").out.decode().strip()
    return text


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[bytes]) -> str:
    """Interrupt a process and return what it says then."""
    assert process.poll() is None, "it came to its end before"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (130, b""), err
    assert err.count(b"\n") == 1
    return err.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["get", "ROOT", "out.zarr"],
            "'out.zarr' was not made; run again, the command begins anew",
        ),
        (
            ["export", "ROOT", "out.car"],
            "'out.car' was not made; run again, the command begins anew",
        ),
        (
            ["copy", "ROOT", "out.blocks"],
            "blocks written so far stay, run the command again to go on",
        ),
        (
            ["verify", "ROOT", "--journal", "journal"],
            "the journal stays; run the command again to go on",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_while_a_gateway_is_silent(
    arguments: list[str], said: str, root: str, call: Any, workplace: Path
) -> None:
    arguments = [root if word == "ROOT" else word for word in arguments]
    before = set(os.listdir())
    with serving(workplace / "blocks", stall_at=CHUNKS // 2) as gateway:
        arguments += ["--blocks", f"gateway+{gateway.url}"]
        with started(*arguments) as process:
            assert gateway.stalled.wait(DEADLINE)
            assert interrupt(process) == f"interrupted: {said}\n"
        assert set(os.listdir()) - before <= {"out.blocks", "journal"}
        gateway.go_on.set()
        went_on = call(*arguments)
    assert went_on.code == 0, went_on.err
    if "out.zarr" in arguments:
        assert read_files(Path("out.zarr")) == read_files(Path("z"))
    if "out.car" in arguments:
        assert call("verify", "out.car").code == 0
    if "out.blocks" in arguments:
        assert call("verify", root, "--blocks", "out.blocks").code == 0


@pytest.mark.parametrize("command", ["put", "import", "copy"])
def test_what_was_kept_is_not_moved_again(command: str, call: Any, workplace: Path) -> None:
    count = 800
    write_files(Path("z"), dataset(count))
    root = call("put", "z").out.decode().strip()
    call("export", root, "z.car")
    arguments = {
        "put": ["put", "z", "--blocks", "target"],
        "import": ["import", "--blocks", "target"],
        "copy": ["copy", root, "target"],
    }[command]
    with started(*arguments) as process:
        if command == "import":
            assert process.stdin is not None
            process.stdin.write(Path("z.car").read_bytes()[: 1 << 20])
            process.stdin.flush()
        wait_for_blocks(workplace / "target", process)
        said = interrupt(process)
    assert said == "interrupted: blocks written so far stay, run the command again to go on\n"
    kept = blocks_in(workplace / "target")
    assert 0 < len(kept) < count
    archive = Path("z.car").read_bytes() if command == "import" else b""
    went_on = call(*arguments, stdin=archive)
    assert (went_on.code, went_on.out) == (0, f"{root}\n".encode())
    assert kept.items() <= blocks_in(workplace / "target").items()
    assert call("verify", root, "--blocks", "target").code == 0


def wait_for_blocks(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Return once there are blocks in a folder."""
    deadline = time.monotonic() + DEADLINE
    while not any(folder.glob("*/*.data")):
        assert process.poll() is None
        assert time.monotonic() < deadline


def blocks_in(folder: Path) -> dict[Path, int]:
    """Return when the blocks in a folder were written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*.data")}


@pytest.mark.parametrize("is_before", [True, False])
def test_an_interruption_at_the_rename_says_what_is_there(
    is_before: bool, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        if not is_before:
            rename(source, target)
        raise KeyboardInterrupt

    path = workplace / "x"
    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught, appearing(path) as temporary:
        temporary.write_bytes(b"whole")
    said = (
        "was not made; run again, the command begins anew"
        if is_before
        else "was made, and is complete"
    )
    assert caught.value.__notes__ == [f"{str(path)!r} {said}"]
    assert os.listdir(workplace) == ([] if is_before else ["x"])


def test_an_interruption_after_all_is_made_says_so(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command()
    def make() -> None:
        with appearing(Path("x")) as temporary:
            temporary.write_bytes(b"whole")

    interruption = Interruption()
    app([], standalone_mode=False, obj=interruption)
    assert interruption.report() == 130
    assert capsys.readouterr().err == "interrupted: 'x' was made, and is complete\n"


def test_an_interruption_of_the_removal_names_what_is_left(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught, appearing(Path("x")) as temporary:
        temporary.mkdir()
        raise KeyboardInterrupt
    assert caught.value.__notes__ == [
        f"'x' was not made, and {str(temporary)!r} is left, which may be removed; "
        "run again, the command begins anew"
    ]


SLOW_REMOVAL = """
import os, shutil, signal, sys, time
from ipldstore.cli import main
from ipldstore.cli.frame import interruption
interruption._GRACE = 0.2
remove = shutil.rmtree

def remove_slowly(*arguments, **options):
    time.sleep(1)
    remove(*arguments, **options)

def interrupted(*arguments):
    signal.raise_signal(signal.SIGINT)

shutil.rmtree = remove_slowly
os.rename = interrupted
main()
"""


def test_removing_what_is_half_made_takes_the_time_it_needs(root: str, run: Any) -> None:
    done = run("get", root, "out.zarr", code=SLOW_REMOVAL)
    said = "interrupted: 'out.zarr' was not made; run again, the command begins anew\n"
    assert (done.code, done.err) == (130, said)
    assert not list(Path().glob(".out*"))


TORN = """
import os, signal
from ipldstore.cli import main

def torn(*arguments):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("release unlocked lock")

os.rename = torn
main()
"""


def test_an_interruption_that_a_library_makes_another_error_of(root: str, run: Any) -> None:
    done = run("get", root, "out.zarr", code=TORN)
    said = "interrupted: 'out.zarr' was not made; run again, the command begins anew\n"
    assert (done.code, done.err) == (130, said)


def test_signals_are_given_back(call: Any) -> None:
    assert call("--version").code == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


EARLY = """
import signal
from ipldstore.cli import main

import typer.core

def make_context(self, *arguments, **options):
    signal.raise_signal(signal.SIGTERM)
typer.core.TyperGroup.make_context = make_context
main()
"""


def test_a_signal_before_the_command_began_is_said(root: str, run: Any) -> None:
    done = run("verify", root, code=EARLY)
    assert (done.code, done.err.count("\n")) == (128 + signal.SIGTERM, 1)
    assert done.err.startswith("interrupted: ")


TWICE = SLOW_REMOVAL.replace("time.sleep(1)", "interrupted()").replace("SIGINT", "SIGTERM")


def test_a_signal_that_comes_twice_is_one(root: str, run: Any) -> None:
    done = run("get", root, "out.zarr", code=TWICE)
    said = "interrupted: 'out.zarr' was not made; run again, the command begins anew\n"
    assert (done.code, done.err) == (128 + signal.SIGTERM, said)
    assert not list(Path().glob(".ipldstore*"))
