"""The commands take a revision of the repository in --blocks wherever they take a root."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import CLASSIC_ROOT, CONSOLIDATED_ROOT

from ipldstore import DirectoryCAStore, IPLDStore
from ipldstore.cid import as_link
from tests.histories import History, make_state, put_state


@pytest.fixture
def commits(tmp_path: Any, monkeypatch: Any) -> list[Any]:
    """The commits of a repository in the folder ``blocks``."""
    monkeypatch.chdir(tmp_path)
    blocks = DirectoryCAStore("blocks")
    history, commits = History(blocks), []
    for number in range(2):
        store = IPLDStore(blocks)
        store[".zgroup"] = store["g/.zgroup"] = b'{"zarr_format":2}'
        store["g/0"] = b"%d" % number
        commits.append(history.commit(*commits, root=as_link(store.freeze())))
    put_state(blocks, make_state({"main": commits[1], "feature/x": commits[0]}))
    return commits


@pytest.mark.parametrize(
    ("what", "number"),
    [("main", 1), ("main~1", 0), ("~", 0), ("feature/x", 0), ("ipld:///feature%2Fx", 0)],
)
def test_listings(what: str, number: int, commits: Any, call: Any) -> None:
    expected = call("ls", str(commits[number]), "-l")
    assert expected.code == 0
    for where in ([], ["--blocks", "blocks"], ["--blocks", os.path.abspath("blocks")]):
        outcome = call("ls", what, "-l", *where)
        assert (outcome.code, outcome.out) == (0, expected.out)


def test_places_below(commits: Any, call: Any) -> None:
    for what, value in (("main~1", b"0"), ("main", b"1"), ("main?blocks=blocks", b"1")):
        revision, _, query = what.partition("?")
        place = f"ipld:///{revision}/g/0{'?' if query else ''}{query}"
        assert call("cat", place).out == value
    assert call("cat", f"{commits[0]}/g/0").out == b"0"


@pytest.mark.parametrize("command", ["info", "tree", "verify", "check-compression"])
def test_other_commands(command: str, commits: Any, call: Any) -> None:
    expected = call(command, str(commits[0]), "--json")
    assert expected.code == 0
    assert call(command, "main~1", "--json").out == expected.out
    assert json.loads(call("ls", "main~1", "--json").out.splitlines()[0])


def test_what_takes_two(commits: Any, call: Any) -> None:
    outcome = call("diff", "main~1", "main")
    assert (outcome.code, outcome.out) == (0, b"changed g/0\n")
    assert call("get", "main~1", "out").code == 0
    with open("out/g/0", "rb") as file:
        assert file.read() == b"0"
    assert call("copy", "main~1", "sqlite:other").code == 0
    assert call("export", "main~1", "x.car").code == 0
    assert call("cat", "x.car/g/0").out == b"0"


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("mian", 3, "error: the repository has no branch or tag 'mian': did you mean 'main'?"),
        ("main~x", 3, "error: 'main~x' is no revision: 'x' at character 6"),
        ("main~9", 3, "error: '~9' goes 9 commits back from 'main', which has 1 before it"),
        ("ipld:///mian", 3, "error: the repository has no branch or tag 'mian'"),
        ("ipld://main", 2, "error: not a CID: 'main': "),
        ("blocks", 2, "error: not a CID: 'blocks' is a folder of blocks"),
    ],
)
def test_mistakes(what: str, code: int, message: str, commits: Any, call: Any) -> None:
    outcome = call("ls", what)
    assert (outcome.code, outcome.out) == (code, b"")
    assert outcome.err.startswith(message)


def test_without_a_repository(tmp_path: Any, monkeypatch: Any, call: Any) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call("ls", "main")
    assert outcome.code == 2
    assert "no file or folder 'main'" in outcome.err
    assert "revision such as main~2" in outcome.err
    outcome = call("ls", "main", "--blocks", "elsewhere")
    assert outcome.err.startswith("error: no folder of blocks 'elsewhere'")
    DirectoryCAStore("blocks")
    outcome = call("ls", "main")
    assert outcome.code == 2
    assert outcome.err.startswith("error: not a CID: 'main': ")
    assert "and it is no revision, as DirectoryCAStore(" in outcome.err


def test_help(call: Any) -> None:
    for command in ("ls", "info", "diff"):
        assert call(command, "--help").code == 0
    assert "revision" in call("ls", "--help").out.decode()


def test_nodes_take_none(commits: Any, call: Any) -> None:
    for what in ("main", "ipld:///main"):
        outcome = call("pin", "add", what)
        assert outcome.code == 2
        assert outcome.err.startswith(("error: not a CID", "error: 'ipld:///main' is no root"))


@pytest.fixture
def models(call: Any, classic: Path, consolidated: Path) -> None:
    """Two repositories in one folder, whose branches are called alike."""
    for name, source in (("default", "classic.zarr"), ("models", "consolidated.zarr")):
        assert call("init", "--repository", name).code == 0
        assert call("put", source, "--branch", "main", "--repository", name).code == 0


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("command", ["info", "verify", "copy", "export"])
def test_a_revision_of_another_repository(command: str, call: Any) -> None:
    for name, root in (("default", CLASSIC_ROOT), ("models", CONSOLIDATED_ROOT)):
        more = [f"{name}.car"] if command in ("copy", "export") else []
        done = call(command, "main", *more, "--repository", name, "--json")
        assert (done.code, json.loads(done.out)["root"]) == (0, root)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "main"],
        ["ls", "ipld:///main/a"],
        ["tree", "main~0"],
        ["cat", "ipld:///main/a/.zarray"],
        ["diff", "main", CLASSIC_ROOT],
        ["diff", "main", "main", "--report"],
        ["get", "main", "back.zarr"],
        ["unixfs", "main"],
        ["check-compression", "main"],
        ["commit", "main", "-m", "again"],
    ],
    ids=lambda value: value[0],
)
def test_every_command_finds_a_revision_in_the_repository_that_is_named(
    arguments: list[str], call: Any
) -> None:
    assert call("branch", "only-here", "--repository", "models").code == 0
    there = [text.replace("main", "only-here") for text in arguments]
    assert call(*there).code == 3
    done = call(*there, "--repository", "models")
    if arguments[0] == "commit":  # found, and there already
        assert (done.code, "nothing to commit" in done.err) == (1, True), done.err
    else:
        assert done.code == 0, done.err


@pytest.mark.usefixtures("models")
def test_a_repository_that_is_not_there(call: Any) -> None:
    done = call("tree", "main", "--repository", "modles")
    assert (done.code, done.out) == (3, b"")
    assert "no repository 'modles' in" in done.err
    assert "which has 'default', 'models'" in done.err
    assert call("tree", "main", "--repository", "../x").code == 2
    assert call("tree", CLASSIC_ROOT, "--repository", "modles").code == 0
