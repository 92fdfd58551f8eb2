"""`--json`: every command writes what its documented schema says, errors too."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator
from zarr_folders import ABSENT_ROOT, CLASSIC_ROOT, CONSOLIDATED_ROOT

from ipldstore import Repository
from ipldstore.cli.app import app
from ipldstore.cli.frame.output import say

SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "json"
LISTINGS = {"ls", "diff", "log", "operations", "sessions", "branch", "tag", "roots"}
SESSION = "5e5510"
NEED_A_NODE = {"publish", "pin add", "pin ls", "pin rm", "pin update", "node attach"}
"""Run with a node, in the tests of what goes to nodes."""

CASES = [
    ("put", ["put", "classic.zarr"]),
    ("put", ["put", "demo:vlstr_type"]),
    ("put", ["put", "classic.zarr", "consolidated.zarr"]),
    ("get", ["get", CLASSIC_ROOT, "back.zarr"]),
    ("ls", ["ls", CLASSIC_ROOT]),
    ("ls", ["ls", "-lR", "x.car"]),
    ("tree", ["tree", CONSOLIDATED_ROOT]),
    ("info", ["info", "x.car"]),
    ("info-history", ["info"]),
    ("cat", ["cat", f"{CLASSIC_ROOT}/a/0"]),
    ("cat", ["cat", "x.car/a/.zarray"]),
    ("diff", ["diff", CLASSIC_ROOT, "x.car"]),
    ("diff", ["diff", f"{CLASSIC_ROOT}/a", "x.car"]),
    ("diff-stat", ["diff", CLASSIC_ROOT, "x.car", "--stat"]),
    ("diff-report", ["diff", CLASSIC_ROOT, "x.car", "--report"]),
    ("diff-report", ["diff", CLASSIC_ROOT, "other.car", "--report"]),
    ("diff-plot", ["diff", CLASSIC_ROOT, "other.car", "--plot", "x.svg"]),
    ("verify", ["verify", CLASSIC_ROOT, "--extra"]),
    ("verify", ["verify", "x.car"]),
    ("verify", ["verify"]),
    ("verify", ["verify", "--extra", "--repository", "default"]),
    ("copy", ["copy", "x.car", "sqlite:other.db"]),
    ("export", ["export", CLASSIC_ROOT, "y.car"]),
    ("export", ["export", CLASSIC_ROOT, "y.car", "--since", CONSOLIDATED_ROOT]),
    ("import", ["import", "x.car", "--blocks", "other"]),
    ("unixfs", ["unixfs", CLASSIC_ROOT]),
    ("check-compression", ["check-compression", CLASSIC_ROOT]),
    ("demo", ["demo"]),
    ("put", ["put", "classic.zarr", "--branch", "main"]),
    ("init", ["init", "--repository", "second"]),
    ("commit", ["commit", CLASSIC_ROOT, "-m", "again", "--metadata", "run=7"]),
    ("log", ["log"]),
    ("log", ["log", "--all", "-n", "2"]),
    ("show", ["show"]),
    ("show", ["show", "main~1"]),
    ("branch", ["branch"]),
    ("branch", ["branch", "other", "v1"]),
    ("branch", ["branch", "--delete", "trial"]),
    ("tag", ["tag"]),
    ("tag", ["tag", "v2"]),
    ("tag", ["tag", "-d", "v1"]),
    ("merge", ["merge", "trial"]),
    ("push", ["push", "theirs"]),
    ("push", ["push", "theirs", "v1", "--depth", "1"]),
    ("pull", ["pull", "blocks", "--blocks", "theirs"]),
    ("clone", ["clone", "blocks", "--blocks", "all.car"]),
    ("reset", ["reset", "main", "v1"]),
    ("undo", ["undo"]),
    ("expire", ["expire", "--keep-last", "1"]),
    ("operations", ["operations"]),
    ("sessions", ["sessions"]),
    ("abandon", ["abandon", SESSION]),
    ("roots", ["roots", "--blocks", "changed"]),
]


def iter_commands(group: Any, path: str = "") -> Iterator[str]:
    """Iterate the names of all commands, those of groups in two words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from iter_commands(command, f"{name} ")
        else:
            yield path + name


COMMANDS = sorted(iter_commands(typer.main.get_command(app)))


def validate(data: Any, schema: str) -> None:
    text = (SCHEMAS / f"{schema}.json").read_text(encoding="utf-8")
    Draft202012Validator(json.loads(text)).validate(data)


@pytest.fixture
def stored(call: Any, classic: Path, consolidated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hierarchies in the folder of blocks, and one in an archive."""
    call("put", "consolidated.zarr")
    call("put", "classic.zarr")
    call("export", CONSOLIDATED_ROOT, "x.car")
    keep_versions(call)
    call("init", "theirs")
    leave_session(monkeypatch)
    (classic / "a" / "0").write_bytes(bytes(24))
    changed = call("put", "classic.zarr", "--blocks", "changed").out.decode().strip()
    call("export", changed, "other.car", "--blocks", "changed")


def keep_versions(call: Any) -> None:
    """Make a repository with two commits on a branch, of which another one has the first."""
    for words in (
        ["init"],
        ["commit", CLASSIC_ROOT, "-m", "first", "--author", "Ada", "--metadata", "run=1"],
        ["branch", "trial"],
        ["tag", "v1"],
        ["commit", CONSOLIDATED_ROOT, "-m", "second"],
    ):
        assert call(*words).code == 0


def leave_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a session of a known name that another process began."""
    with monkeypatch.context() as patched, Repository("blocks") as repo:
        patched.setattr("ipldstore.repository.shared.new_session", lambda: SESSION)
        session = repo.writable(message="left")
        repo.resume(session.id)["a/1"] = b"x"
        session.close()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("schema", "arguments"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_comes_out(schema: str, arguments: list[str], call: Any) -> None:
    if "demo" in " ".join(arguments):
        pytest.importorskip("netCDF4")
        pytest.importorskip("iris_sample_data")
    if schema == "diff-plot":
        pytest.importorskip("matplotlib")
    done = call(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines if schema in LISTINGS else len(lines) == 1
    for line in lines:
        validate(json.loads(line), schema)


def test_every_command_has_a_schema_and_a_case() -> None:
    assert {"put", "pin ls", "check-compression"} <= set(COMMANDS)
    files = {path.stem for path in SCHEMAS.glob("*.json")}
    assert files - {"error", "diff-stat", "diff-report", "diff-plot", "info-history"} == {
        name.replace(" ", "-") for name in COMMANDS
    }
    assert {arguments[0] for _, arguments in CASES} == set(COMMANDS) - NEED_A_NODE


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_schemas_are_strict(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    objects = [part for part in walk(schema) if "properties" in part]
    assert objects
    for part in objects:
        assert part["additionalProperties"] is False
        optional = part["properties"].keys() - part["required"]
        assert optional == ({"document", "base64"} if path.stem == "cat" else set())


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from walk(part)


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["ls", "nonsense"], "InvalidCIDError", 2),
        (["ls", "--wrong"], "UsageError", 2),
        (["nonsense"], "UsageError", 2),
        (["export", CLASSIC_ROOT], "UsageError", 2),
        (["ls", CLASSIC_ROOT, "--blocks", "http://127.0.0.1"], "UsageError", 2),
        (["info", ABSENT_ROOT], "BlockNotFoundError", 3),
        (["cat", f"{CLASSIC_ROOT}/a/1"], "FileNotFoundError", 3),
        (["import", "classic.zarr/.zgroup"], "CarFormatError", 4),
        (["ls", CLASSIC_ROOT, "--blocks", "ipfs:http://127.0.0.1:9"], "BackendError", 5),
        (["get", CLASSIC_ROOT, "classic.zarr"], "FileExistsError", 1),
    ],
)
def test_errors(arguments: list[str], kind: str, code: int, call: Any, classic: Path) -> None:
    call("put", "classic.zarr")
    done = call(*arguments, "--json")
    assert (done.code, done.out) == (code, b"")
    (line,) = done.err.splitlines()
    validate(json.loads(line), "error")
    error = json.loads(line)["error"]
    assert (error["type"], error["exit_code"]) == (kind, code)
    assert not error["message"].startswith("error")


def test_an_option_after_two_dashes_is_none(call: Any) -> None:
    done = call("ls", "--wrong", "--", "--json")
    assert (done.code, done.err.startswith("Usage: ipldstore ")) == (2, True)


def test_notes_of_threads_are_left_out_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in ((["ls"], "a note\n"), (["ls", "--json"], "")):
        monkeypatch.setattr(sys, "argv", ["ipldstore", *arguments])
        thread = threading.Thread(target=say, args=["a note"])
        thread.start()
        thread.join()
        assert capsys.readouterr().err == said


def test_values_and_facts(call: Any, classic: Path) -> None:
    assert json.loads(call("put", "classic.zarr", "--json").out) == {
        "sources": ["classic.zarr"],
        "root": CLASSIC_ROOT,
        "source_bytes": 189,
        "blocks": 2,
        "bytes": 222,
        "left_out": [],
        "followed": [],
        "commit": None,
    }
    assert json.loads(call("cat", f"{CLASSIC_ROOT}/.zgroup", "--json").out) == {
        "key": ".zgroup",
        "bytes": 17,
        "document": {"zarr_format": 2},
    }
    assert json.loads(call("cat", f"{CLASSIC_ROOT}/a/0", "--json").out) == {
        "key": "a/0",
        "bytes": 24,
        "base64": "AQAAAAAAAAACAAAAAAAAAAMAAAAAAAAA",
    }
