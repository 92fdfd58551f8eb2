"""In a terminal: bars with rate and time of several widths, no colour, no bar, no binary."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from zarr_folders import CLASSIC_FILES, CLASSIC_ROOT, write_files

pytestmark = pytest.mark.once

PROGRAM = [sys.executable, "-m", "ipldstore"]
pty = pytest.importorskip("pty")

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class Shown(NamedTuple):
    """How a program in a terminal ended: its exit code, what was shown, and its output."""

    code: int
    screen: bytes
    out: bytes


def in_terminal(*arguments: str, width: int = 80, out: bool = False, **variables: str) -> Shown:
    """Run the program with standard error, and if wanted standard output, in a terminal."""
    import fcntl
    import termios

    try:
        reader, writer = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals: {error}")
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **variables}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=writer if out else subprocess.PIPE,
        stderr=writer,
        env=environment,
    ) as process:
        os.close(writer)
        screen = b""
        with suppress(OSError):  # what Linux says at the end of a pseudo-terminal
            while piece := os.read(reader, 1 << 16):
                screen += piece
        os.close(reader)
        output = b"" if process.stdout is None else process.stdout.read()
    return Shown(process.returncode, screen, output)


@pytest.fixture
def root(call: Any, workplace: Path) -> str:
    """A hierarchy of several chunks in the folder of blocks and in an archive."""
    chunks = {str(number): os.urandom(1 << 18) for number in range(12)}
    write_files(Path("z"), {".zgroup": b'{"zarr_format":2}', **chunks})
    text: str = call("put", "z").out.decode().strip()
    call("export", text, "z.car")
    return text


def frames(screen: bytes, label: str) -> list[str]:
    """Return the bars of a label as they were drawn, one after the other."""
    lines = re.split(r"[\r\n]+", CONTROL.sub(b"", screen).decode())
    return [line for line in lines if line.startswith(label)]


@pytest.mark.parametrize(
    ("label", "arguments", "width"),
    [
        ("putting", ["put", "z"], 80),
        ("putting", ["put", "z"], 120),
        ("getting", ["get", "ROOT", "out.zarr"], 80),
        ("exporting", ["export", "ROOT", "out.car"], 80),
        ("importing", ["import", "z.car", "--blocks", "other"], 120),
        ("copying", ["copy", "ROOT", "other"], 80),
        ("verifying", ["verify", "ROOT"], 120),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bars(label: str, arguments: list[str], width: int, root: str) -> None:
    shown = in_terminal(*(word.replace("ROOT", root) for word in arguments), width=width)
    assert shown.code == 0
    bars = frames(shown.screen, label)
    assert bars
    assert max(map(len, bars)) <= width
    assert re.search(r"3\.1/3\.1 MB +[\d.]+ [kMG]B/s +0:00:00", bars[-1]), bars[-1]
    last = CONTROL.sub(b"", shown.screen).decode().split("\r\n")[-2]
    assert re.match("(put|got|exported|imported|copied|verified) ", last.lstrip("\r"))


def test_bars_that_count(call: Any) -> None:
    pytest.importorskip("netCDF4")
    pytest.importorskip("iris_sample_data")
    shown = in_terminal("put", "demo:A1B_north_america")
    bars = frames(shown.screen, "putting")
    assert re.search(r"\d+/12 +([\d,]+ chunks/s|\?)", bars[-1]), bars[-1]
    got = in_terminal("get", shown.out.decode().strip(), "back.nc")
    assert got.code == 0
    assert re.search(r"/1\.\d MB", frames(got.screen, "getting")[-1])


def test_no_colour_where_none_is_wanted(classic: Path) -> None:
    assert COLOUR.search(in_terminal("put", "classic.zarr").screen)
    shown = in_terminal("put", "classic.zarr", NO_COLOR="1")
    assert frames(shown.screen, "putting")
    codes = b";".join(COLOUR.findall(shown.screen))
    assert not re.search(rb"3[0-9]|38;|9[0-7]", codes)


def test_no_bar_where_none_can_be_drawn(classic: Path) -> None:
    shown = in_terminal("put", "classic.zarr", TERM="dumb")
    assert shown.screen == b"put 189 bytes of 'classic.zarr' into 2 blocks, 222 bytes\r\n"


def test_nothing_but_text_in_pipes(run: Any, classic: Path, monkeypatch: Any) -> None:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    put = run("put", "classic.zarr")
    assert put.err == "put 189 bytes of 'classic.zarr' into 2 blocks, 222 bytes\n"
    for arguments in (["--help"], ["ls", "-lR", CLASSIC_ROOT], ["info", CLASSIC_ROOT], ["nix"]):
        done = run(*arguments)
        assert b"\x1b" not in done.out + done.err.encode()


def test_trees_fit_the_terminal(root: str) -> None:
    for width in (80, 120):
        shown = in_terminal("tree", root, width=width, out=True)
        assert shown.code == 0
        assert max(map(len, shown.screen.decode().splitlines())) <= width


def test_values_in_a_terminal(call: Any, classic: Path) -> None:
    write_files(classic, {"text": "süß\n".encode(), "steering": b"\x1b[2J"})
    root = call("put", "classic.zarr").out.decode().strip()
    document = in_terminal("cat", f"{root}/.zgroup", out=True)
    assert (document.code, document.screen) == (0, CLASSIC_FILES[".zgroup"] + b"\r\n")
    assert in_terminal("cat", f"{root}/text", out=True).screen == "süß\r\n".encode()
    for key in ("a/0", "steering"):
        refused = in_terminal("cat", f"{root}/{key}", out=True)
        assert refused.code == 2
        assert b"\x1b" not in refused.screen
        assert b"do not go to a terminal" in b" ".join(refused.screen.split())


def test_json_in_a_terminal_has_no_notes(classic: Path) -> None:
    shown = in_terminal("put", "classic.zarr", "--json", TERM="dumb")
    assert (shown.code, shown.screen) == (0, b"")
