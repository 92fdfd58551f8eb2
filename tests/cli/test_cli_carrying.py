"""History that is carried from a shell, and let go: push, pull, clone and expire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from zarr_folders import CLASSIC_ROOT, CONSOLIDATED_ROOT

from ipldstore import Repository


@pytest.fixture
def stored(call: Any, classic: Path, consolidated: Path) -> list[str]:
    """A repository with two commits on the default branch, and one without any."""
    assert call("init").code == call("init", "theirs").code == 0
    first = call("put", "classic.zarr", "--branch", "main", "-m", "first").out.decode().split()
    assert first[0] == CLASSIC_ROOT
    assert call("put", "consolidated.zarr").out.decode().split() == [CONSOLIDATED_ROOT]
    second = call("commit", CONSOLIDATED_ROOT, "-m", "second").out.decode().strip()
    return [first[1], second]


def log(call: Any, *arguments: str) -> list[str]:
    done = call("log", "--json", *arguments)
    assert done.code == 0
    return [json.loads(line)["commit"] for line in done.out.decode().splitlines()]


def test_there_and_back(call: Any, stored: list[str]) -> None:
    pushed = call("push", "theirs")
    assert (pushed.code, pushed.out.decode()) == (0, f"{stored[1]}\n")
    assert "'main' in theirs is at this commit now: carried 2 commits" in pushed.err
    assert log(call, "--blocks", "theirs") == stored[::-1]
    again = call("push", "theirs")
    assert "'main' in theirs is at this commit already" in again.err
    assert call("verify", "--blocks", "theirs").code == 0
    third = call("commit", CLASSIC_ROOT, "-m", "third", "--blocks", "theirs").out.decode().strip()
    pulled = call("pull", "theirs")
    assert pulled.out.decode() == f"{third}\n"
    assert "carried 1 commit, " in pulled.err
    assert log(call) == [third, *stored[::-1]]


def test_two_that_went_apart(call: Any, stored: list[str]) -> None:
    call("push", "theirs")
    call("commit", CLASSIC_ROOT, "-m", "ours")
    theirs = call("commit", CLASSIC_ROOT, "-m", "theirs", "--blocks", "theirs").out.decode()
    refused = call("push", "theirs")
    assert (refused.code, refused.out) == (1, b"")
    assert "has commits that this does not lead to" in refused.err
    assert call("pull", "theirs", "--to", "theirs").out.decode() == theirs
    assert call("merge", "theirs").code == 0
    assert call("push", "theirs").code == 0
    with Repository("theirs") as other, Repository("blocks") as ours:
        assert other.find() == ours.find()


def test_a_clone_in_one_file(call: Any, stored: list[str]) -> None:
    call("tag", "v1", "main~1")
    done = call("clone", "blocks", "--blocks", "all.car")
    assert done.code == 0
    assert "made repository 'default' in all.car" in done.err
    assert log(call, "v1", "--blocks", "all.car") == stored[:1]
    assert call("verify", "--blocks", "all.car").code == 0
    again = call("clone", "blocks", "--blocks", "all.car")
    assert (again.code, again.out) == (1, b"")
    assert "has a repository 'default' already" in again.err


def test_depth(call: Any, stored: list[str]) -> None:
    call("push", "theirs", "--depth", "1")
    assert log(call, "--blocks", "theirs") == stored[1:]
    assert call("push", "theirs", "--depth", "0").code == 2


def test_what_is_not_there(call: Any, stored: list[str]) -> None:
    absent = call("push", "nowhere")
    assert absent.code == 3
    assert not Path("nowhere").exists()
    call("put", "classic.zarr", "--blocks", "plain")
    no_repository = call("push", "plain")
    assert no_repository.code == 3
    assert "`ipldstore clone`" in no_repository.err
    unknown = call("push", "theirs", "nothing")
    assert unknown.code == 3


def test_commits_are_let_go(call: Any, stored: list[str]) -> None:
    kept = call("expire", "--older-than", "1d")
    assert (kept.code, kept.out, kept.err) == (0, b"0\n", "2 commits left, 0 let go\n")
    assert call("expire", "--older-than", "2100-01-01", "--keep-last", "2").out == b"0\n"
    assert call("expire", "--older-than", "2100-01-01").out == b"1\n"
    assert log(call) == stored[1:]
    assert call("expire").code == call("expire", "--older-than", "soon").code == 2
    assert call("expire", "--keep-last", "1", "--branch", "nothing").code == 3
