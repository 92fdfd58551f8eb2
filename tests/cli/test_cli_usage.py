"""Help, version, options, exit codes, terminals, and what is imported for what."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import ABSENT_ROOT, CLASSIC_ROOT

from ipldstore import DirectoryCAStore, SQLiteCAStore
from ipldstore.cli import main
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.version import __version__

COMMANDS = [
    *("put", "get", "ls", "tree", "info", "cat", "diff", "verify", "copy", "export", "import"),
    *("publish", "unixfs", "check-compression", "demo"),
    *(
        "init",
        "commit",
        "log",
        "show",
        "branch",
        "tag",
        "merge",
        "push",
        "pull",
        "clone",
        "reset",
        "undo",
        "expire",
        "operations",
        "sessions",
        "abandon",
        "roots",
    ),
]
HEAVY = {
    *("aiohttp", "asyncio", "dag_cbor", "dask", "multiformats", "netCDF4", "numpy"),
    *("requests", "rich", "xarray", "zarr"),
}
SAY_MODULES = """
import sys
from ipldstore.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


def test_entry_point() -> None:
    (script,) = entry_points(group="console_scripts", name="ipldstore")
    assert script.load() is main


def test_help_names_every_command_and_is_light(run: Any) -> None:
    shown = run("--help", code=SAY_MODULES)
    assert shown.code == 0
    text = shown.out.decode()
    assert text.startswith("Usage: ipldstore [OPTIONS] COMMAND")
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert max(map(len, text.splitlines())) <= 80
    assert HEAVY.isdisjoint(shown.err.split())


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["ls", "-lR", CLASSIC_ROOT], set()),
        (["cat", f"{CLASSIC_ROOT}/a/0"], set()),
        (["info", CLASSIC_ROOT], set()),
        (["diff", CLASSIC_ROOT, "x.car"], {"multiformats"}),
        (["tree", CLASSIC_ROOT], {"rich"}),
        (["export", CLASSIC_ROOT, "y.car"], set()),
        (["verify", CLASSIC_ROOT], set()),
        (["copy", CLASSIC_ROOT, "target"], {"multiformats"}),
        (["import", "x.car", "--blocks", "target"], {"multiformats"}),
        (["init", "target"], {"multiformats"}),
        (["commit", CLASSIC_ROOT, "-m", "again"], {"multiformats"}),
        (["log", "--all"], {"multiformats"}),
        (["show", "main~1"], {"multiformats"}),
        (["branch"], {"multiformats"}),
        (["tag", "v1"], {"multiformats"}),
        (["merge", "trial"], {"multiformats"}),
        (["reset", "main", "trial"], {"multiformats"}),
        (["undo", "main"], {"multiformats"}),
        (["operations"], {"multiformats"}),
        (["sessions"], {"multiformats"}),
        (["roots"], {"multiformats"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_import_what_they_need(
    arguments: list[str],
    needed: set[str],
    call: Any,
    run: Any,
    classic: Path,
    consolidated: Path,
) -> None:
    call("init")
    call("put", "classic.zarr", "--branch", "main")
    call("branch", "trial")
    call("put", "consolidated.zarr", "--branch", "main")
    call("export", CLASSIC_ROOT, "x.car")
    outcome = run(*arguments, code=SAY_MODULES)
    assert outcome.code == 0
    assert HEAVY & set(outcome.err.splitlines()[-1].split()) <= needed


def test_version(run: Any) -> None:
    assert run("--version") == (0, f"ipldstore {__version__}\n".encode(), "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands(command: str, call: Any) -> None:
    shown = call(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert b"--blocks STORE" in shown.out
    assert shown.out == call(command, "-h").out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["put"], ["get", CLASSIC_ROOT], ["ls", "--wrong", CLASSIC_ROOT]]
)
def test_wrong_usage(arguments: list[str], call: Any) -> None:
    outcome = call(*arguments)
    assert (outcome.code, outcome.out) == (2, b"")
    assert outcome.err.startswith("Usage: ipldstore ")


@pytest.mark.parametrize("text", ["nonsense", "bafy", "", CLASSIC_ROOT[:-1], CLASSIC_ROOT + "="])
@pytest.mark.parametrize("command", ["get", "ls", "export"])
def test_malformed_cid(command: str, text: str, call: Any) -> None:
    outcome = call(command, text, *(["out"] if command == "get" else []))
    assert (outcome.code, outcome.out) == (2, b"")
    assert outcome.err.startswith(f"error: not a CID: {text!r}")
    assert outcome.err.count("\n") == 1


def test_file_or_folder_in_place_of_a_root(call: Any, classic: Path) -> None:
    """Each is told by what it is, and what to do with it."""
    DirectoryCAStore("blocks")
    with SQLiteCAStore("blocks.db") as database:
        database.put(b"x")
    os.mkdir("empty")
    Path("rain.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    Path("notes").write_text("hello\n")
    Hierarchy().to_car("archive")
    for place, told in {
        "blocks": "a folder of blocks: name a root in it, and the folder as blocks=",
        "blocks.db": "an SQLite database: one of blocks is sqlite:blocks.db",
        "classic.zarr": "a Zarr folder: `ipldstore put` makes a root of it",
        "rain.nc": "a NetCDF-4 or HDF5 file: `ipldstore put` makes",
        "archive": "a CAR archive: name it car:archive",
        "notes": "text, which begins with 'hello'",
        "empty": "an empty folder",
    }.items():
        outcome = call("ls", place)
        assert (outcome.code, outcome.out) == (2, b"")
        assert outcome.err.startswith(f"error: not a CID: {place!r} is {told}")
    absent = call("ls", "nothing")
    assert "and there is no file or folder 'nothing'" in absent.err
    url = call("ls", "sqlite:blocks.db")
    assert "a block store is named as blocks= (of commands, --blocks), beside a root" in url.err


def test_a_root_among_other_text(call: Any, classic: Path) -> None:
    assert call("put", "classic.zarr").code == 0
    listed = call("ls", f" {CLASSIC_ROOT}\n")
    assert (listed.code, listed.out) == (0, call("ls", f"ipld://{CLASSIC_ROOT}").out)
    for text in (f"blocks/{CLASSIC_ROOT}", f"'{CLASSIC_ROOT}'"):
        assert f"but {CLASSIC_ROOT} is: name that" in call("ls", text).err
    typo = CLASSIC_ROOT[:20] + "0" + CLASSIC_ROOT[21:]
    assert "'0' at character 21" in call("ls", typo).err


@pytest.mark.parametrize("command", ["get", "ls", "export"])
def test_no_folder_of_blocks(command: str, call: Any) -> None:
    outcome = call(command, ABSENT_ROOT, *(["out"] if command == "get" else []))
    assert outcome == (3, b"", "error: no folder of blocks 'blocks' (option --blocks)\n")
    assert os.listdir() == []


@pytest.mark.parametrize("command", ["put", "ls", "import"])
def test_folder_that_cannot_hold_blocks(command: str, call: Any, classic: Path) -> None:
    Path("x.car").write_bytes(b"")
    argument = {"put": "classic.zarr", "ls": CLASSIC_ROOT, "import": "x.car"}[command]
    outcome = call(command, argument, "--blocks", "classic.zarr")
    assert (outcome.code, outcome.out) == (5, b"")
    assert "is not empty and holds no SHARDING file" in outcome.err
    Path("x.bin").write_bytes(b"")
    assert call(command, argument, "--blocks", "x.bin").code == 5


def test_root_that_is_no_directory(call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    chunk = call("ls", "-l", f"{CLASSIC_ROOT}/a/0").out.decode().split()[2]
    outcome = call("ls", chunk)
    assert (outcome.code, outcome.out) == (4, b"")
    assert outcome.err.startswith(f"error: block {chunk} holds no directory: ")


def test_blocks_from_the_environment(
    call: Any, classic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPLDSTORE_BLOCKS", "from-environment")
    assert call("put", "classic.zarr").code == 0
    assert Path("from-environment/SHARDING").exists()
    assert not Path("blocks").exists()
    assert call("ls", CLASSIC_ROOT, "--blocks", "other").code == 3


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: what it shows, and itself, which the test has to close."""
    pty = pytest.importorskip("pty")
    try:
        ends = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals: {error}")
    yield ends
    os.close(ends[0])


@pytest.mark.parametrize("no_color", [False, True])
def test_progress_on_a_terminal_only(
    no_color: bool, classic: Path, terminal: tuple[int, int]
) -> None:
    reader, writer = terminal
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        **({"NO_COLOR": "1"} if no_color else {}),
    }
    process = subprocess.run(
        [sys.executable, "-m", "ipldstore", "put", "classic.zarr"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=environment,
        check=True,
    )
    os.close(writer)
    shown = _read_all(reader)
    assert process.stdout == f"{CLASSIC_ROOT}\n".encode()
    assert b"putting" in shown
    assert (b"\x1b[38;" in shown) is not no_color
    assert shown.endswith(b"put 189 bytes of 'classic.zarr' into 2 blocks, 222 bytes\r\n")


def _read_all(descriptor: int) -> bytes:
    data = b""
    with suppress(OSError):  # what Linux says at the end of a pseudo-terminal
        while piece := os.read(descriptor, 4096):
            data += piece
    return data


@pytest.mark.parametrize(("command", "stream"), [("export", "stdout"), ("import", "stdin")])
def test_archives_do_not_touch_a_terminal(
    command: str, stream: str, terminal: tuple[int, int]
) -> None:
    arguments = [CLASSIC_ROOT] if command == "export" else []
    process = subprocess.run(
        [sys.executable, "-m", "ipldstore", command, *arguments],
        stderr=subprocess.PIPE,
        check=False,
        **{stream: terminal[1]},
    )
    os.close(terminal[1])
    assert process.returncode == 2
    assert b"terminal" in process.stderr
